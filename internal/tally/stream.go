package tally

import (
	"sync"
	"time"
)

const (
	// joined is the distance of frames up to which two fragments are continuous: segment.GapAfter, of a higher layer.
	joined = 2 * time.Second
	// sequences is how many runs of continuous fragments are followed at once: a live upload sends older media in between.
	sequences = 4
	// recentFragments is of how many fragments Recent is the mean, and leastRecent how many it needs.
	recentFragments = 32
	leastRecent     = 8
)

// Stream counts the uploads of one stream. Safe for concurrent use.
type Stream struct {
	tally *Tally
	name  string

	mu     sync.Mutex
	ends   [sequences]end // guarded by mu, as all below
	oldest int            // index in ends
	recent [recentFragments]time.Duration
	next   int // index in recent, a ring
	known  int // of recent
}

// end is the last fragment of a run of continuous ones; zero for none.
type end struct{ start, last time.Time }

// Stream returns the counter of a stream's uploads, the same for each call.
func (t *Tally) Stream(name string) *Stream {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.counters[name]
	if s == nil {
		s = &Stream{tally: t, name: name}
		t.counters[name] = s
	}
	return s
}

// Call counts a call of PutMedia.
func (s *Stream) Call() {
	s.tally.add(s.name, s.tally.o.Now(), Day{Calls: 1})
}

// Persisted counts a fragment that the service has stored: when its first and its last frame were recorded, and its size.
func (s *Stream) Persisted(start, last time.Time, bytes int64) {
	if before, continuous := s.follow(end{start, last}); continuous {
		// A fragment lasts until the next one begins. Until that is known it lasts until its last frame.
		s.tally.add(s.name, before.start, Day{MediaMS: start.Sub(before.last).Milliseconds()})
	}
	s.tally.add(s.name, start, Day{Bytes: bytes, Fragments: 1, MediaMS: max(0, last.Sub(start).Milliseconds())})
}

// follow finds the fragment that another one continues.
func (s *Stream) follow(f end) (before end, continuous bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, e := range s.ends {
		if gap := f.start.Sub(e.last); e.start.IsZero() || gap <= 0 || gap > joined {
			continue
		}
		s.ends[i] = f
		s.recent[s.next] = f.start.Sub(e.start)
		s.next = (s.next + 1) % recentFragments
		s.known = min(s.known+1, recentFragments)
		return e, true
	}
	s.ends[s.oldest] = f
	s.oldest = (s.oldest + 1) % sequences
	return end{}, false
}

// Recent is the mean length of the last fragments, 0 while there are too few.
func (s *Stream) Recent() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known < leastRecent {
		return 0
	}
	var sum time.Duration
	for _, length := range s.recent[:s.known] {
		sum += length
	}
	return sum / time.Duration(s.known)
}
