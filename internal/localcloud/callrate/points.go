package callrate

import (
	"sync"
	"time"
)

// Points is a quota of points that each stream has of its own: N a second, and as many at once. A call is admitted while any point
// is left; what it takes beyond these is owed, and waited for by the next calls. Its methods may be called at any time from any
// goroutine.
type Points struct {
	N   int
	Now func() time.Time

	mu      sync.Mutex
	streams map[string]*purse
}

// purse is what a stream has left.
type purse struct {
	points float64
	at     time.Time
}

// Take takes points of a stream, and reports whether the call is admitted.
func (p *Points) Take(stream string, n int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.Now()
	have := p.streams[stream]
	if have == nil {
		if p.streams == nil {
			p.streams = map[string]*purse{}
		}
		have = &purse{points: float64(p.N), at: now}
		p.streams[stream] = have
	}
	if passed := now.Sub(have.at); passed > 0 {
		have.points = min(float64(p.N), have.points+passed.Seconds()*float64(p.N))
		have.at = now
	}
	if have.points <= 0 {
		return false
	}
	have.points -= float64(n)
	return true
}

// Forget returns all its points to a stream.
func (p *Points) Forget(stream string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.streams, stream)
}
