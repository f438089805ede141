// Package running checks on request of a peer of the running agent, as that agent's user: one check at a time, for as long as the peer
// listens. It must not know what is checked.
package running

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/preflight"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// maxTime bounds a check. Its parts have limits of their own, which add up to more only with very many streams that do not answer.
const maxTime = 30 * time.Minute

// ErrBusy means that a check is running, or that one was given up and waits for something that does not end.
var ErrBusy = errors.New("a check is running already, or the last one still waits for a file that does not answer: try again later")

// Options are what Checks check.
type Options struct {
	// Source is where the settings come from, and Initial what was read there at the start, which counts where there is no file.
	Source  settings.EnvSource
	Initial settings.Reading
	Version string
}

// Checks checks for peers. Safe for concurrent use.
type Checks struct {
	o     Options
	check func(context.Context, preflight.Options) bool // preflight.Check, but for tests
	busy  atomic.Bool
	parts atomic.Int32 // of checks, that run
}

// New returns Checks that have checked nothing yet.
func New(o Options) *Checks { return &Checks{o: o, check: preflight.Check} }

// ForPeer checks, and passes on each result and what is awaited meanwhile, until all is checked or ctx ends. each is not called after
// that.
func (c *Checks) ForPeer(ctx context.Context, each func(localapi.CheckProgress)) error {
	if !c.busy.CompareAndSwap(false, true) {
		return ErrBusy
	}
	defer c.busy.Store(false)
	if c.parts.Load() > 0 {
		return ErrBusy
	}
	limited, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	p := &progress{each: each}
	defer p.end()
	ok := c.run(limited, p)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case limited.Err() != nil:
		return fmt.Errorf("the check was ended after %s, and what follows was not checked: run `kvs-edge-agent check` on the hub",
			humanize.Span(maxTime))
	}
	p.send(localapi.CheckProgress{OK: ok, Finished: true})
	return nil
}

// run checks what a start of the agent would find now.
func (c *Checks) run(ctx context.Context, p *progress) (ok bool) {
	reading := c.o.Initial
	if c.o.Source.HasFile() {
		var err error
		if reading, err = c.o.Source.Read(); err != nil {
			faults := []string{err.Error()}
			if wrong := new(settings.Error); errors.As(err, &wrong) {
				faults = wrong.Faults
			}
			for _, text := range faults {
				p.result(preflight.Finding{Check: "settings", Text: text + "."})
			}
			return false
		}
	}
	return c.check(ctx, preflight.Options{Getenv: reading.Lookup, Names: reading.Names(), Version: c.o.Version, Report: p.result,
		Waiting: p.begin, Parts: &c.parts})
}

// progress is what a peer is sent of a check. Safe for concurrent use.
type progress struct {
	mu      sync.Mutex
	each    func(localapi.CheckProgress) // nil after the end; guarded by mu
	awaited []string                     // the oldest first; guarded by mu
}

func (p *progress) send(line localapi.CheckProgress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sendLocked(line)
}

func (p *progress) sendLocked(line localapi.CheckProgress) {
	if p.each != nil {
		p.each(line)
	}
}

func (p *progress) result(f preflight.Finding) {
	p.send(localapi.CheckProgress{Check: f.Check, Stream: f.Stream, OK: f.OK, Text: f.Text})
}

// begin notes that something is awaited.
func (p *progress) begin(what string) (done func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.awaited = append(p.awaited, what)
	p.sendLocked(localapi.CheckProgress{Waiting: what})
	return func() { p.came(what) }
}

// came notes that something is awaited no longer, and says what still is.
func (p *progress) came(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.awaited, what)
	if i < 0 {
		return
	}
	newest := i == len(p.awaited)-1
	if p.awaited = slices.Delete(p.awaited, i, i+1); newest && i > 0 {
		p.sendLocked(localapi.CheckProgress{Waiting: p.awaited[i-1]})
	}
}

func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.each = nil
}
