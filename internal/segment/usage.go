package segment

import (
	"slices"
	"sort"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/catalog"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// Usage sums up a stream. Pending is what was completely recorded and is not persisted yet, in
// whatever order its upload goes.
type Usage struct {
	Segments        int
	Uploaded        int // of Segments
	Bytes           int64
	Growing         int64 // what Bytes does not count yet of the segment being written, up to its end
	Quarantine      int64 // of Bytes: unreadable files that were set aside
	PendingBytes    int64
	PendingDuration time.Duration
	PendingSince    time.Time // when the oldest pending media was recorded
	Oldest          time.Time // recorded
	Newest          time.Time // recorded
	// RefusedFragments and RefusedBytes are on this disk only, as the service does not take them. They are
	// not pending.
	RefusedFragments int
	RefusedBytes     int64
}

// Holds reports whether there is something of a stream on the disk, also what cannot be read or is not recovered yet.
func (s *Store) Holds(stream string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unreadOf(stream) != nil {
		return true
	}
	st := s.streams[stream]
	return st != nil && (len(st.catalog.Entries) > 0 || st.aside > 0 || len(st.catalog.Broken) > 0)
}

// Usage sums up a stream from memory. It costs the same however many segments there are.
func (s *Store) Usage(stream string) Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[stream]
	if st == nil {
		return Usage{}
	}
	if len(st.catalog.Entries) == 0 {
		return Usage{Bytes: st.aside, Quarantine: st.aside}
	}
	x := &st.catalog.Index
	u := Usage{
		Segments: len(x.Entries),
		Uploaded: x.Number(catalog.KindUploaded) + x.Number(catalog.KindRefused),
		Bytes:    x.Bytes + st.aside,
		Growing:  st.growing(),
		Oldest:   time.UnixMilli(st.catalog.OldestRecorded()).UTC(),
		Newest:   time.UnixMilli(st.catalog.NewestRecorded()).UTC(),

		Quarantine:       st.aside,
		RefusedFragments: st.refused.count, RefusedBytes: st.refused.bytes,
	}
	bytes, millis := x.PendingBytes, x.PendingMillis
	for k, a := range st.active {
		if i, ok := x.Find(k); ok && a.progress != nil && x.Entries[i].Pends() {
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

// NewestBefore is when the newest media was recorded of that which was before t, zero when there is none.
// O(log n) for each epoch.
func (s *Store) NewestBefore(stream string, t time.Time) (newest time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[stream]
	if st == nil {
		return time.Time{}
	}
	return st.catalog.NewestBefore(t)
}

// LastRecorded is when the newest media that the stream ever had was recorded. Zero when there was none.
func (s *Store) LastRecorded(stream string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[stream]
	if st == nil {
		return time.Time{}
	}
	return st.catalog.LastRecorded()
}

// LastUploadedEnd is when the stream's newest segment that is uploaded whole was recorded, zero when there is
// none on the disk.
func (s *Store) LastUploadedEnd(stream string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[stream]
	if st == nil {
		return time.Time{}
	}
	return st.catalog.LastUploaded()
}

// left is what of a segment waits for its upload.
type left struct {
	bytes  int64 // with what belongs to no fragment, as long as one waits
	millis int64 // of media; a fragment begins where the one before ends
	since  int64 // producer time of the oldest of it, Unix ms
}

// left gives what of a segment that pends is neither persisted nor refused. What is done need not
// be its beginning: a live upload sends the newest first.
func (a *active) left(e catalog.Entry) left {
	if a == nil || a.progress == nil {
		return left{e.Bytes, int64(e.Length), e.Start}
	}
	done := a.progress.spans
	if a.writer != nil {
		done = a.writer.spans(a.progress)
	}
	l := left{bytes: max(0, e.Bytes-a.progress.bytes), millis: int64(e.Length), since: e.Start}
	for _, s := range done {
		l.millis -= s.to - s.from
	}
	if len(done) > 0 && done[0].from == 0 {
		l.since = e.Start + done[0].to
	}
	if l.millis <= 0 {
		return left{since: e.End()}
	}
	return l
}

// span is media in ms since its segment's start.
type span struct{ from, to int64 }

// spansApart is the least between two fragments when there is another between them: none is
// shorter.
const spansApart = int64(kvslimit.MinFragment / time.Millisecond)

// cover adds media to spans, which are in order and apart.
func cover(spans []span, s span) []span {
	i := sort.Search(len(spans), func(i int) bool { return spans[i].to+spansApart > s.from })
	j := sort.Search(len(spans), func(j int) bool { return spans[j].from >= s.to+spansApart })
	if i < j {
		s = span{min(s.from, spans[i].from), max(s.to, spans[j-1].to)}
	}
	return slices.Replace(spans, i, j, s)
}

// spans gives the media of the fragments that p has. Here it is known what lies between two of
// them, also of a camera that sends a frame every few seconds.
func (w *Writer) spans(p *progress) (spans []span) {
	w.mu.Lock()
	list := w.fragments // is only appended to
	w.mu.Unlock()
	end := int64(0) // of the fragment before
	for _, f := range list {
		last := f.Last.Milliseconds()
		switch n := len(spans); {
		case !p.done[f.Start]:
		case n > 0 && spans[n-1].to == end:
			spans[n-1].to = last
		default:
			spans = append(spans, span{end, last})
		}
		end = last
	}
	return spans
}

// pendingSince gives when the oldest pending media was recorded.
func (st *stream) pendingSince() (int64, bool) {
	x := &st.catalog.Index
	for _, k := range []catalog.Kind{catalog.KindSealed, catalog.KindWriting} {
		i, ok := x.Next(k, layout.First)
		for ; ok; i, ok = x.Next(k, x.Entries[i].ID.Next()) {
			e := x.Entries[i]
			if !e.Pends() {
				continue
			}
			if l := st.active[e.ID].left(e); l.bytes > 0 || l.millis > 0 {
				return st.catalog.Recorded(e.Epoch, l.since), true
			}
		}
	}
	return 0, false
}
