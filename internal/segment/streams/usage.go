package streams

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment/catalog"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// Usage sums up a stream. Pending is complete media that is not persisted yet, in whatever order it is uploaded.
type Usage struct {
	Segments        int
	Uploaded        int // of Segments
	Bytes           int64
	Growing         int64 // of the segment being written, up to its end; not in Bytes
	Quarantine      int64 // of Bytes: quarantined files
	PendingBytes    int64
	PendingDuration time.Duration
	PendingSince    time.Time // when the oldest pending media was recorded
	Oldest          time.Time // recorded
	Newest          time.Time // recorded
	// RefusedFragments and RefusedBytes are on this disk only, as the service does not accept them. They are
	// not pending.
	RefusedFragments int
	RefusedBytes     int64
	// HeldSegments and HeldBytes are kept by Holds holds: nothing deletes them, and they do not count for the stream's limit.
	HeldSegments int
	HeldBytes    int64
	HeldGrowing  int64 // of Growing
	Holds        int
}

// Usage sums the stream up. Its cost does not depend on the number of segments.
func (st *Stream) Usage() Usage {
	if len(st.Catalog.Entries) == 0 {
		return Usage{Bytes: st.QuarantinedBytes, Quarantine: st.QuarantinedBytes, Holds: st.Holds.Len()}
	}
	x := &st.Catalog.Index
	u := Usage{
		Segments: len(x.Entries),
		Uploaded: x.Number(catalog.KindUploaded) + x.Number(catalog.KindRefused),
		Bytes:    x.Bytes + st.QuarantinedBytes,
		Oldest:   time.UnixMilli(st.Catalog.OldestRecorded()).UTC(),
		Newest:   time.UnixMilli(st.Catalog.NewestRecorded()).UTC(),

		Quarantine:       st.QuarantinedBytes,
		RefusedFragments: st.Refused.Count, RefusedBytes: st.Refused.Bytes,
		HeldSegments: x.NumberHeld(), HeldBytes: x.HeldBytes, Holds: st.Holds.Len(),
	}
	u.Growing, u.HeldGrowing = st.growing()
	bytes, millis := x.PendingBytes, x.PendingMillis
	for k, a := range st.Active {
		if i, ok := x.Find(k); ok && a.Progress != nil && x.Entries[i].Pends() {
			e := x.Entries[i]
			left := a.left(e)
			bytes -= e.Bytes - left.bytes
			millis -= int64(e.Length) - left.millis
		}
	}
	u.PendingBytes, u.PendingDuration = bytes, time.Duration(millis)*time.Millisecond
	if since, ok := st.pendingSince(); ok {
		u.PendingSince = time.UnixMilli(since).UTC()
	}
	return u
}

// left is the part of a segment that waits for its upload.
type left struct {
	bytes  int64 // with the bytes that belong to no fragment, as long as one waits
	millis int64 // of media; a fragment begins where the previous one ends
	since  int64 // producer time of its oldest frame, Unix ms
}

// left returns the part that is neither persisted nor refused. The done part need not be the beginning: a live upload sends
// the newest fragments first.
func (a *active) left(e catalog.Entry) left {
	if a == nil || a.Progress == nil {
		return left{e.Bytes, int64(e.Length), e.Start}
	}
	done := a.Progress.Spans()
	if a.Recording != nil {
		done = a.Progress.SpansOf(a.Recording.SoFar())
	}
	l := left{bytes: max(0, e.Bytes-a.Progress.Bytes()), millis: int64(e.Length), since: e.Start}
	for _, s := range done {
		l.millis -= s.To - s.From
	}
	if len(done) > 0 && done[0].From == 0 {
		l.since = e.Start + done[0].To
	}
	if l.millis <= 0 {
		return left{since: e.End()}
	}
	return l
}

// pendingSince returns when the oldest pending media was recorded.
func (st *Stream) pendingSince() (int64, bool) {
	x := &st.Catalog.Index
	for _, k := range []catalog.Kind{catalog.KindSealed, catalog.KindWriting} {
		i, ok := x.Next(k, layout.First)
		for ; ok; i, ok = x.Next(k, x.Entries[i].ID.Next()) {
			e := x.Entries[i]
			if !e.Pends() {
				continue
			}
			if l := st.Active[e.ID].left(e); l.bytes > 0 || l.millis > 0 {
				return st.Catalog.Recorded(e.Epoch, l.since), true
			}
		}
	}
	return 0, false
}
