package segment

import "time"

// Usage sums up a stream. Pending is what is not persisted yet.
type Usage struct {
	Segments        int
	Uploaded        int // of Segments
	Bytes           int64
	PendingBytes    int64
	PendingDuration time.Duration
	PendingSince    time.Time // producer time of the oldest pending media
	Oldest          time.Time
	Newest          time.Time
}

// Usage sums up a stream from memory. It costs the same however many segments there are.
func (s *Store) Usage(stream string) Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[stream]
	if st == nil || len(st.index.entries) == 0 {
		return Usage{}
	}
	x := &st.index
	u := Usage{
		Segments: len(x.entries),
		Uploaded: x.kinds[kindUploaded].count + x.kinds[kindRefused].count,
		Bytes:    x.bytes,
		Oldest:   time.UnixMilli(x.entries[0].start).UTC(),
		Newest:   time.UnixMilli(x.lastEnd()).UTC(),
	}
	bytes, millis := x.pendingBytes, x.pendingMillis
	for start, a := range st.active {
		if i, ok := x.find(start); ok && a.progress != nil && x.entries[i].pends() {
			doneBytes, until := a.progress.of(x.entries[i])
			bytes -= doneBytes
			millis -= until - start
		}
	}
	u.PendingBytes, u.PendingDuration = bytes, time.Duration(millis)*time.Millisecond
	if since, ok := st.pendingSince(); ok {
		u.PendingSince = time.UnixMilli(since).UTC()
	}
	return u
}

// of gives what is done of a segment: bytes, and up to which producer time.
func (p *progress) of(e entry) (bytes, until int64) {
	if p.until >= e.end() {
		return e.bytes, e.end()
	}
	return min(p.bytes, e.bytes), max(e.start, p.until)
}

// pendingSince gives the producer time of the oldest pending media.
func (st *stream) pendingSince() (int64, bool) {
	x := &st.index
	for _, k := range []kind{kindSealed, kindWriting} {
		i, ok := x.next(k, x.kinds[k].from)
		for ; ok; i, ok = x.next(k, x.entries[i].start+1) {
			e := x.entries[i]
			if !e.pends() {
				continue
			}
			a := st.active[e.start]
			if a == nil || a.progress == nil {
				return e.start, true
			}
			if _, until := a.progress.of(e); until < e.end() {
				return until, true
			}
		}
	}
	return 0, false
}
