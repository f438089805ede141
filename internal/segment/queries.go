package segment

import (
	"math"
	"path/filepath"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment/streams"
)

// Streams returns the names of the streams that have segments or quarantined files, in order.
func (s *Store) Streams() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make([]string, 0, len(s.streams))
	for name, st := range s.streams {
		if len(st.Catalog.Entries) > 0 || st.QuarantinedBytes > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Segments returns a stream's segments with media recorded in [from, to), oldest first; a zero time is unbounded. O(log n)
// for each epoch, plus the result.
func (s *Store) Segments(stream string, from, to time.Time) []Info {
	return s.SegmentsFrom(Before(stream), from, to, math.MaxInt)
}

// SegmentsFrom is Segments from a key on, which need not exist, and returns at most most of them.
func (s *Store) SegmentsFrom(first Key, from, to time.Time, most int) []Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[first.Stream]
	if st == nil {
		return nil
	}
	return st.Infos(first.ID(), from, to, most)
}

// NextPending returns a stream's oldest segment that is not uploaded, comes after `after` (see Before) and has media
// recorded in [from, to); a zero time is unbounded. Its cost does not depend on the number of segments. It may be one with
// NotesUnread.
func (s *Store) NextPending(after Key, from, to time.Time) (Key, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[after.Stream]
	if st == nil {
		return Key{}, false
	}
	e, ok := st.Catalog.NextPending(after.ID(), from, to)
	return streams.KeyOf(st.Name, e.ID), ok
}

// NotesUnread reports whether it is not known yet which fragments of a segment are uploaded: those that Done denies may be.
func (s *Store) NotesUnread(k Key) bool {
	return of(s, k.Stream, func(st *streams.Stream) bool { return !st.Noted(k.ID()) })
}

// LastEnd returns the newest producer time that the stream's current epoch ever had: a new segment must start after it. Zero
// when there is none.
func (s *Store) LastEnd(stream string) time.Time {
	return of(s, stream, func(st *streams.Stream) (end time.Time) {
		if last := st.Catalog.Newest(); last != math.MinInt64 {
			end = time.UnixMilli(last).UTC()
		}
		return end
	})
}

// Holds reports whether the disk has any file of a stream, also files that cannot be read or are not recovered yet.
func (s *Store) Holds(stream string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.volume.Unread.Of(stream) != nil {
		return true
	}
	st := s.streams[stream]
	return st != nil && (len(st.Catalog.Entries) > 0 || st.QuarantinedBytes > 0 || len(st.Catalog.Broken) > 0)
}

// Usage sums up a stream from memory. Its cost does not depend on the number of segments.
func (s *Store) Usage(stream string) Usage {
	return of(s, stream, (*streams.Stream).Usage)
}

// of returns what is known of a stream, and the zero value when there is no such stream.
func of[T any](s *Store, stream string, read func(*streams.Stream) T) (known T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.streams[stream]; st != nil {
		return read(st)
	}
	return known
}

// NewestBefore returns when the newest media recorded before t was recorded, zero when there is none. O(log n) for each
// epoch.
func (s *Store) NewestBefore(stream string, t time.Time) (newest time.Time) {
	return of(s, stream, func(st *streams.Stream) time.Time { return st.Catalog.NewestBefore(t) })
}

// LastRecorded returns when the newest media that the stream ever had was recorded. Zero when there was none.
func (s *Store) LastRecorded(stream string) time.Time {
	return of(s, stream, func(st *streams.Stream) time.Time { return st.Catalog.LastRecorded() })
}

// LastUploadedEnd returns when the stream's newest completely uploaded segment was recorded, zero when there is none on the
// disk.
func (s *Store) LastUploadedEnd(stream string) time.Time {
	return of(s, stream, func(st *streams.Stream) time.Time { return st.Catalog.LastUploaded() })
}

// Changes returns a channel that receives after a fragment of the stream was completed, or a segment sealed or deleted
// (changes in quick succession may arrive as one), and a function that ends the subscription.
func (s *Store) Changes(stream string) (changes <-chan struct{}, stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stream(stream).Watchers.Watch()
}

// infoOf returns the Info of a segment; one that is no longer active was sealed.
func (s *Store) infoOf(k Key) Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.streams[k.Stream]; st != nil {
		if i, ok := st.Catalog.Find(k.ID()); ok {
			return st.Info(st.Catalog.Entries[i])
		}
	}
	return Info{Key: k, State: Sealed}
}

// Path returns the path of a segment's file, for messages.
func (s *Store) Path(k Key) string {
	return of(s, k.Stream, func(st *streams.Stream) string {
		if i, ok := st.Catalog.Find(k.ID()); ok {
			return filepath.Join(st.Dir, st.Catalog.Entries[i].Name())
		}
		return ""
	})
}
