package uploader

import (
	"sync"
	"time"
)

// The pace, a little below what the service allows per stream (limits, PutMedia): 5 fragments/s,
// 12.5 MB/s, 5 requests/s. Above it the service reads more slowly or refuses.
//
// How the service counts is not documented. The hardest way is a window of one second that slides
// along with every arrival; who passes that passes a fixed window and a bucket too. A bucket of
// burst b and rate r lets six fragments begin within (6-b)/r at the least, which must be more than a
// second. What is above it forgives the network that brings fragments nearer together; (b-1)/r
// forgives us who wake too late. Both together are 5/r-1 seconds: at 4.9/s 10 ms each. A fragment
// that comes earlier still is held back by the service for that little, and nothing is lost.
const (
	fragmentsPerSecond = 4.9
	fragmentBurst      = 1.05
	bytesPerSecond     = 12.25e6
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
