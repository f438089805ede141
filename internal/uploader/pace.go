package uploader

import (
	"sync"
	"time"
)

// The pace, a little below what the service allows per stream (limits, PutMedia): 5 fragments/s,
// 12.5 MB/s, 5 requests/s. Above it the service reads more slowly or refuses.
const (
	fragmentsPerSecond = 1 / 0.21
	fragmentBurst      = 2
	bytesPerSecond     = 11.95e6
	byteBurst          = 512 << 10
	sessionsPerSecond  = 4
	shortestWait       = 50 * time.Millisecond
)

// bucket is a token bucket: rate tokens per second, at most burst saved up. Safe for concurrent use.
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

// take takes n tokens, on credit if need be, and gives how long to wait until they are earned.
func (b *bucket) take(n float64) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fill()
	b.tokens -= n
	return b.wait(0)
}

// ready gives how long to wait until one token is there, and takes none.
func (b *bucket) ready() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fill()
	return b.wait(1)
}

func (b *bucket) wait(want float64) time.Duration {
	if b.tokens >= want {
		return 0
	}
	return time.Duration((want-b.tokens)/b.rate*float64(time.Second)) + time.Microsecond
}
