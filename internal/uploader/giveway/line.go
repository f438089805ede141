// Package giveway owns that what can wait makes way on the hub's line to the media of events, of whatever streams. It must not know
// what is sent.
package giveway

import (
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
)

// AtMost is how long a fragment may take that is sent in spite of an event.
const AtMost = 2 * time.Second

// Need is what the events of a stream need of the line.
type Need uint8

// The needs.
const (
	Nothing Need = iota
	Soon         // their next fragment comes soon: only what takes less than AtMost begins
	Now          // some of their media is to be sent: nothing else begins, and what takes longer than AtMost is broken off
)

// Line is the hub's line to the cloud. Safe for concurrent use. The zero value, and nil, have no events.
type Line struct {
	watchers signal.Watchers

	mu    sync.Mutex
	needs map[string]Need // by stream, those that are not Nothing; guarded by mu
}

// Set says what the events of a stream need.
func (l *Line) Set(stream string, n Need) {
	l.mu.Lock()
	before := l.needs[stream]
	switch {
	case n == Nothing:
		delete(l.needs, stream)
	case l.needs == nil:
		l.needs = map[string]Need{stream: n}
	default:
		l.needs[stream] = n
	}
	l.mu.Unlock()
	if n != before {
		l.watchers.Notify()
	}
}

// Need returns what is needed most.
func (l *Line) Need() (most Need) {
	if l == nil {
		return Nothing
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range l.needs {
		most = max(most, n)
	}
	return most
}

// May reports whether something may begin that can wait and takes so long; 0: nobody knows how long.
func (l *Line) May(takes time.Duration) bool {
	switch l.Need() {
	case Now:
		return false
	case Soon:
		return takes < AtMost
	default:
		return true
	}
}

// Watch returns a channel that receives when an answer may be another one, and a function that ends the watch.
func (l *Line) Watch() (changes <-chan struct{}, stop func()) {
	if l == nil {
		return nil, func() {}
	}
	return l.watchers.Watch()
}
