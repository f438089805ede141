package event

import (
	"sync"
	"time"
)

// needs passes on what the events of a stream need of the line, but not for longer than stuckAfter while no fragment of them gets
// through: whatever the goroutine does that sends them. Safe for concurrent use.
type needs struct {
	say func(Need) // called with mu held
	now func() time.Time

	mu    sync.Mutex
	want  Need
	waits bool      // some media was to be sent since a fragment got through
	since time.Time // since when others wait and nothing got through
	check *time.Timer
	ended bool
}

func newNeeds(say func(Need), now func() time.Time) *needs { return &needs{say: say, now: now} }

// set says what is needed from now on.
func (n *needs) set(want Need) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if want == Now && !n.waits || want == Soon && n.want == Nothing {
		n.begin()
	}
	n.want, n.waits = want, want != Nothing && (n.waits || want == Now)
	n.pass()
}

// got is called when a fragment got through.
func (n *needs) got() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.waits = false
	n.begin()
	n.pass()
}

// begin has the time begin that others wait at most. Called with mu held.
func (n *needs) begin() {
	n.since = n.now()
	if n.check != nil {
		n.check.Stop()
	}
	if !n.ended {
		n.check = time.AfterFunc(stuckAfter, n.overdue)
	}
}

// overdue is called when others have waited long enough.
func (n *needs) overdue() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pass()
}

// pass passes on what is needed. Called with mu held.
func (n *needs) pass() {
	switch {
	case n.ended:
	case n.now().Sub(n.since) >= stuckAfter:
		n.say(Nothing)
	default:
		n.say(n.want)
	}
}

// end takes everything back.
func (n *needs) end() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.check != nil {
		n.check.Stop()
	}
	n.ended = true
	n.say(Nothing)
}
