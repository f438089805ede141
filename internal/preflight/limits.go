package preflight

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
)

// stepTimeout bounds each question to the cloud.
const stepTimeout = 20 * time.Second

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
	own.questions = &questions{note: c.questions.note}
	ended := make(chan struct{})
	defer own.questions.begin(what)()
	count := counter(c.o.Parts)
	count(1)
	go func() {
		defer count(-1) // perhaps after c has taken over what was found
		defer close(ended)
		guarded(func() { part(ctx, &own) }, func(text string) { own.bad(check, text) })
	}()
	if !endsWith(ctx, ended) {
		c.bad(check, fmt.Sprintf("This was given up after %s, while waiting for %s.", humanize.Span(limit), own.questions.last(what)))
		return false
	}
	report, all := c.o.Report, c.questions
	*c = own
	c.o.Report, c.questions = report, all
	for _, f := range found {
		report(f)
	}
	return true
}

// counter counts the parts that run, for who asks for that.
func counter(parts *atomic.Int32) func(n int32) {
	return func(n int32) {
		if parts != nil {
			parts.Add(n)
		}
	}
}

// endsWith waits for the end of something that ends when its context does, and reports whether that came.
func endsWith(ctx context.Context, ended <-chan struct{}) bool {
	select {
	case <-ended:
		return true
	case <-ctx.Done():
	}
	grace := time.NewTimer(limitGrace)
	defer grace.Stop()
	select {
	case <-ended:
		return true
	case <-grace.C:
		return false
	}
}

// guarded does something, and passes on that it panicked: where the running agent checks, it has to continue.
func guarded(act func(), broken func(text string)) {
	defer func() {
		if p := recover(); p != nil {
			broken(fmt.Sprintf("This could not be checked, because of an internal error (%v): please report it.", p))
		}
	}()
	act()
}
