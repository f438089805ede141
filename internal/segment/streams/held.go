package streams

import (
	"github.com/kvs-edge/kvs-edge-agent/internal/hold"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/catalog"
)

// TimesOf returns the times that a hold holds.
func TimesOf(h hold.Hold) catalog.Held {
	return catalog.Held{From: h.From.UnixMilli(), To: h.To.UnixMilli()}
}

// FollowHolds makes the catalog hold what the file of holds says, and all of the stream when the file cannot be read.
func (st *Stream) FollowHolds() {
	var list []catalog.Held
	for _, h := range st.Holds.List() {
		list = append(list, TimesOf(h))
	}
	if st.asked != nil {
		list = append(list, *st.asked)
	}
	st.Catalog.Hold(list, st.Holds.Broken() != nil)
	if st.limit.Bytes > 0 && st.Room() < st.taken() { // the end of a hold loses no media that is being recorded
		st.limit.armed = false
	}
	st.Recheck()
}

// Held reports whether the stream has a hold, or may have one.
func (st *Stream) Held() bool { return st.asked != nil || st.Holds.Needed() }

// AskHold holds times before their hold is written, until EndAsking. It returns the deletions that began before, in these times: the
// hold has what they leave, so wait for them.
func (st *Stream) AskHold(h catalog.Held) (deletions []<-chan struct{}) {
	st.asked = &h
	st.FollowHolds()
	for k, a := range st.Active {
		if a.Moving == nil || !a.Moving.Deletes {
			continue
		}
		if i, ok := st.Catalog.Find(k); ok && st.Catalog.Reaches(h, st.Catalog.Entries[i]) {
			deletions = append(deletions, a.Moving.Ended)
		}
	}
	return deletions
}

// EndAsking ends AskHold: from now on the file of holds decides.
func (st *Stream) EndAsking() {
	st.asked = nil
	st.FollowHolds()
}
