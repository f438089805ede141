package segment

import (
	"time"

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
		RefusedFragments: st.refused.Count, RefusedBytes: st.refused.Bytes,
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
	done := a.progress.Spans()
	if a.writer != nil {
		done = a.progress.SpansOf(a.writer.sofar())
	}
	l := left{bytes: max(0, e.Bytes-a.progress.Bytes()), millis: int64(e.Length), since: e.Start}
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
