package pace

import (
	"slices"
	"sync"
	"time"
)

// A wait costs a wake-up of both ends, and caches are cold after it. So fragments of all streams that wait begin
// on common beats.
const (
	beats     = 4 // per interval between two fragments of a stream
	afterBeat = 5 * time.Millisecond
)

// bucket is a token bucket: rate tokens per second, at most burst of them saved. Safe for concurrent use.
type bucket struct {
	rate  float64
	burst float64
	now   func() time.Time

	mu     sync.Mutex
	tokens float64 // guarded by mu; below zero when taken on credit
	last   time.Time
}

func newBucket(rate, burst float64) *bucket {
	return &bucket{rate: rate, burst: burst, tokens: burst, now: time.Now}
}

func (b *bucket) fill() {
	now := b.now()
	if !b.last.IsZero() {
		b.tokens = min(b.burst, b.tokens+now.Sub(b.last).Seconds()*b.rate)
	}
	b.last = now
}

// take takes n tokens, on credit if need be, and returns how long to wait until they are earned.
func (b *bucket) take(n float64) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fill()
	b.tokens -= n
	return b.wait(0)
}

// ready returns how long to wait until one token is available, and takes none.
func (b *bucket) ready() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fill()
	return b.wait(1)
}

// onBeat lengthens a wait so that it ends on the next beat; one that ends up to afterBeat after a beat stays as it is.
// A whole number of beats makes up the time that a token takes, so a stream that is on a beat waits no longer.
func (b *bucket) onBeat(wait time.Duration) time.Duration {
	beat := int64(float64(time.Second) / b.rate / beats)
	behind := time.Duration(b.now().Add(wait).UnixNano() % beat)
	if behind <= afterBeat {
		return wait
	}
	return wait + time.Duration(beat) - behind
}

func (b *bucket) wait(want float64) time.Duration {
	if b.tokens >= want {
		return 0
	}
	return time.Duration((want-b.tokens)/b.rate*float64(time.Second)) + time.Microsecond
}

// aSecond leaves room for waking 10 ms too late, as FragmentsPerSecond does.
const aSecond = 1010 * time.Millisecond

// second bounds how much is sent within any second, in bursts or not. Safe for concurrent use.
type second struct {
	most float64
	now  func() time.Time

	mu     sync.Mutex
	passed []passage // in the last second, oldest first; guarded by mu
	sum    float64   // of passed; guarded by mu
}

type passage struct {
	at time.Time
	n  float64
}

func newSecond(most float64) *second { return &second{most: most, now: time.Now} }

// take records that n, at most most, are sent after wait, and returns how long the wait has to be.
func (s *second) take(n float64, wait time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	at := now.Add(wait)
	gone := 0
	for _, p := range s.passed {
		left := p.at.Add(aSecond)
		if left.After(at) {
			if s.sum+n <= s.most {
				break
			}
			at = left
		}
		s.sum -= p.n
		gone++
	}
	s.passed = append(slices.Delete(s.passed, 0, gone), passage{at, n})
	s.sum += n
	return at.Sub(now)
}
