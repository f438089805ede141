package streams

import (
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment/catalog"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// Info is what the store knows of a segment without opening it.
type Info struct {
	Key
	End time.Time // producer time of the last frame
	// RecordedFrom and RecordedTo are when the first and the last frame were recorded, as far as is known: the file's times,
	// corrected where they are known to be wrong. They are never later than the start of a later epoch.
	RecordedFrom, RecordedTo time.Time
	Bytes                    int64
	State                    layout.State
	// PendingBytes is the size of the part that waits for its upload.
	PendingBytes int64
	// RefusedFragments and RefusedBytes count the fragments that the service does not accept, in any state.
	RefusedFragments int
	RefusedBytes     int64
	// Refused is true when some fragments of an uploaded segment were refused by the service: they exist only here.
	Refused bool
	// Gaps are those within the segment, in order, by the file's times.
	Gaps []Gap
	// GapsKnown is true when there are no others: earlier versions did not note them. If false, see Reader.Gaps.
	GapsKnown bool
	// Held is true when a hold keeps it from being deleted.
	Held bool
	// ClockUnset is true when the hub's clock was not set yet, so that its times are wrong.
	ClockUnset bool
	// ClockAhead is true when its times were ahead, which ended its epoch.
	ClockAhead bool
	// ClockOffset is to be added to its times in either case, 0 when it is not known.
	ClockOffset time.Duration
}

// Gap is a time without media.
type Gap struct{ From, To time.Time }

// Within converts the gaps of a segment to times.
func Within(k Key, spans []layout.Span) []Gap {
	var list []Gap
	for _, s := range spans {
		at := func(ms int64) time.Time { return k.StartTime().Add(time.Duration(ms) * time.Millisecond) }
		list = append(list, Gap{From: at(s.From), To: at(s.To)})
	}
	return list
}

// Info returns the Info of a segment.
func (st *Stream) Info(e catalog.Entry) Info {
	info := Info{
		Key:     KeyOf(st.Name, e.ID),
		End:     time.UnixMilli(e.End()).UTC(),
		Bytes:   e.Bytes,
		State:   e.State,
		Refused: e.Refused,
		Held:    e.Held,
	}
	info.RefusedFragments, info.RefusedBytes = st.Refused.Sum(e.ID)
	if e.State != layout.Uploaded {
		info.PendingBytes = st.Active[e.ID].left(e).bytes
	}
	st.date(&info, e)
	spans := st.Gaps.Of(e.ID)
	info.GapsKnown = st.Gaps.Covers(e.ID) && e.State != layout.Writing
	if a := st.Active[e.ID]; a != nil && a.Recording != nil {
		spans, info.GapsKnown = a.Recording.Gaps(), true
	}
	info.Gaps = Within(info.Key, spans)
	return info
}

// Infos returns the Info of at most so many segments from an ID on that have media recorded in [from, to).
func (st *Stream) Infos(first layout.ID, from, to time.Time, most int) []Info {
	list := []Info{}
	for r := range st.Catalog.Overlapping(from, to) {
		r.From = min(r.To, max(r.From, st.Catalog.At(first)))
		r.To -= max(0, r.To-r.From-(most-len(list)))
		list = slices.Grow(list, r.To-r.From)
		for _, e := range st.Catalog.Entries[r.From:r.To] {
			list = append(list, st.Info(e))
		}
	}
	return list
}

// date fills in what is known about the clock by which a segment was recorded, and when it was recorded.
func (st *Stream) date(info *Info, e catalog.Entry) {
	d := st.Catalog.Dating(e)
	info.RecordedFrom, info.RecordedTo = time.UnixMilli(d.From).UTC(), time.UnixMilli(d.To).UTC()
	info.ClockUnset, info.ClockAhead, info.ClockOffset = d.Unset, d.Ahead, d.Offset
}
