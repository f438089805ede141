package media

import (
	"cmp"
	"sync"
	"time"
)

// Limits of the service. A field that is 0 has the value of KVS, given with its source.
type Limits struct {
	MinFragmentDuration   time.Duration // 1 s (quotas, PutMedia)
	MaxFragmentDuration   time.Duration // 20 s (quotas, PutMedia)
	MaxFragmentBytes      int64         // 50,000,000 (quotas, PutMedia)
	MaxTracks             int           // 3 (quotas, PutMedia)
	MaxTags               int           // 10 per fragment (quotas, PutMedia)
	PutMediaPerSecond     int           // 5 per stream (quotas, PutMedia)
	FragmentsPerSecond    float64       // 5 per stream (quotas, PutMedia)
	BytesPerSecond        float64       // 12,500,000 per stream (quotas, PutMedia)
	MaxConnectionDuration time.Duration // 45 min (quotas, producer SDK)
	IdleInterval          time.Duration // 5 s between IDLE acknowledgements while no byte comes (not documented)
	IdleTimeout           time.Duration // 60 s without a byte end the session; the API reference says 30 s
	GetMediaPerSecond     int           // 5 per stream (quotas, GetMedia)
	GetMediaConnections   int           // 3 per stream (quotas, GetMedia)
	FragmentMetadata      int           // 10,000 points a second and stream (quotas, fragment-metadata)
	GetMediaIdle          time.Duration // 5 s at the newest fragment, with no producer connected, end GetMedia (not documented)
}

func (l Limits) orKVS() Limits {
	l.MinFragmentDuration = cmp.Or(l.MinFragmentDuration, time.Second)
	l.MaxFragmentDuration = cmp.Or(l.MaxFragmentDuration, 20*time.Second)
	l.MaxFragmentBytes = cmp.Or(l.MaxFragmentBytes, 50_000_000)
	l.MaxTracks = cmp.Or(l.MaxTracks, 3)
	l.MaxTags = cmp.Or(l.MaxTags, 10)
	l.PutMediaPerSecond = cmp.Or(l.PutMediaPerSecond, 5)
	l.FragmentsPerSecond = cmp.Or(l.FragmentsPerSecond, 5)
	l.BytesPerSecond = cmp.Or(l.BytesPerSecond, 12_500_000)
	l.MaxConnectionDuration = cmp.Or(l.MaxConnectionDuration, 45*time.Minute)
	l.IdleInterval = cmp.Or(l.IdleInterval, 5*time.Second)
	l.IdleTimeout = cmp.Or(l.IdleTimeout, 60*time.Second)
	l.GetMediaPerSecond = cmp.Or(l.GetMediaPerSecond, 5)
	l.GetMediaConnections = cmp.Or(l.GetMediaConnections, 3)
	l.FragmentMetadata = cmp.Or(l.FragmentMetadata, 10_000)
	l.GetMediaIdle = cmp.Or(l.GetMediaIdle, 5*time.Second)
	return l
}

// leastDistance is how soon after a fragment the next one may begin: a tenth sooner than quotas say. KVS measures from a fragment's first
// frame to its last (ListFragments), and so takes 0.9 s where the quota were meant of whole GOPs; AWS's advice for the least latency has
// GOPs of 0.5 s.
func (l Limits) leastDistance() time.Duration {
	return l.MinFragmentDuration - l.MinFragmentDuration/10
}

// pace is a token bucket: rate tokens per second, at most burst at once.
type pace struct {
	mu     sync.Mutex
	rate   float64
	burst  float64
	tokens float64
	last   time.Time
}

func newPace(rate, burst float64) *pace { return &pace{rate: rate, burst: burst, tokens: burst} }

// take takes n tokens, on credit if need be, and returns how long the taker must wait for them.
func (p *pace) take(n float64) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if !p.last.IsZero() {
		p.tokens = min(p.burst, p.tokens+now.Sub(p.last).Seconds()*p.rate)
	}
	p.last = now
	p.tokens -= n
	if p.tokens >= 0 {
		return 0
	}
	return time.Duration(-p.tokens / p.rate * float64(time.Second))
}
