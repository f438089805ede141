package preflight

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/neterr"
)

// The most that the parts of a check may take. The questions in them have limits of their own, which are reached
// first; these hold for what no context can end, a network disk that does not answer for example.
const (
	filesLimit     = stepTimeout
	diskLimit      = 6 * stepTimeout // a large store on a slow card takes its time
	endpointsLimit = 8 * stepTimeout // up to five services, and twice the broker
	cloudLimit     = 5 * stepTimeout
	// streamLimit is for one stream: its secret, its camera over TCP and UDP, and four calls.
	streamLimit = 9 * stepTimeout
	// limitGrace is how long a part may take to end after its context has.
	limitGrace = 2 * time.Second
)

// waits are the questions that have no answer yet. Safe for concurrent use.
type waits struct {
	note func(what string) (done func()) // of Options, or nil

	mu   sync.Mutex
	list []string // guarded by mu: the oldest first
}

// begin notes that an answer is awaited, until done is called.
func (w *waits) begin(what string) (done func()) {
	noted := func() {}
	if w.note != nil {
		noted = w.note(what)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = append(w.list, what)
	return func() {
		noted()
		w.mu.Lock()
		defer w.mu.Unlock()
		if i := slices.Index(w.list, what); i >= 0 {
			w.list = slices.Delete(w.list, i, i+1)
		}
	}
}

// last is the question that was asked last and has no answer yet.
func (w *waits) last(otherwise string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.list) == 0 {
		return otherwise
	}
	return w.list[len(w.list)-1]
}

// within goes through one part of the check, for at most limit. What the part finds and learns counts when it ends in
// time, and that it did not is a finding otherwise. It reports whether the part ended.
func (c *checker) within(ctx context.Context, check, what string, limit time.Duration, part func(context.Context, *checker)) bool {
	if ctx.Err() != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	own := *c // an abandoned part changes this only
	var found []Finding
	own.o.Report = func(f Finding) { found = append(found, f) }
	own.waits = &waits{note: c.waits.note}
	ended := make(chan struct{})
	done := own.waits.begin(what)
	go func() {
		part(ctx, &own)
		close(ended)
	}()
	defer done()
	patience := time.NewTimer(limit + limitGrace)
	defer patience.Stop()
	select {
	case <-ended:
		report, waits := c.o.Report, c.waits
		*c = own
		c.o.Report, c.waits = report, waits
		for _, f := range found {
			report(f)
		}
		return true
	case <-patience.C:
		c.bad(check, fmt.Sprintf("This was given up after %s, while waiting for %s.", humanize.Span(limit), own.waits.last(what)))
		return false
	}
}

// answerFault words an error of a question to who: in place of an error of Go's, that there was no answer in the time waited.
func answerFault(err error, who string, waited time.Duration) string {
	if err = rootFault(err); neterr.IsTimeout(err) {
		return fmt.Sprintf("There was no answer from %s within %s: check the hub's internet connection and firewall.", who, humanize.Span(waited))
	}
	return sentence(err)
}
