// Package backoff owns the one way to wait between attempts: exponential, capped, with full
// jitter, ended by the context. It must not know what is being attempted.
package backoff

import (
	"context"
	"math/rand/v2"
	"time"
)

// Policy bounds the waits of one kind of attempt.
type Policy struct {
	// Min is the upper bound of the first wait. Default 500 ms.
	Min time.Duration
	// Max is the upper bound of every wait. Default 30 s.
	Max time.Duration
	// Floor is the least wait, so that jitter never turns into hammering. Default Min/2.
	Floor time.Duration
	// Rand returns numbers in [0, 1). Default math/rand/v2.
	Rand func() float64
}

const (
	defaultMin = 500 * time.Millisecond
	defaultMax = 30 * time.Second
)

// Backoff counts the failed attempts of one thing. Not safe for concurrent use.
type Backoff struct {
	policy Policy
	bound  time.Duration
}

// New returns a Backoff whose first wait is bounded by p.Min.
func New(p Policy) *Backoff {
	if p.Min <= 0 {
		p.Min = defaultMin
	}
	if p.Max <= 0 {
		p.Max = defaultMax
	}
	p.Max = max(p.Max, p.Min)
	if p.Floor <= 0 {
		p.Floor = p.Min / 2
	}
	if p.Rand == nil {
		p.Rand = rand.Float64
	}
	return &Backoff{policy: p, bound: p.Min}
}

// Next returns the wait before the next attempt: uniform in [Floor, bound], where the bound
// doubles with every call up to Max.
func (b *Backoff) Next() time.Duration {
	span := max(b.bound-b.policy.Floor, 0)
	wait := b.policy.Floor + time.Duration(b.policy.Rand()*float64(span))
	if b.bound > b.policy.Max/2 {
		b.bound = b.policy.Max
	} else {
		b.bound *= 2
	}
	return wait
}

// Reset makes the next wait as short as the first. Call it after a success.
func (b *Backoff) Reset() { b.bound = b.policy.Min }

// Wait sleeps for Next, or until ctx ends; then it returns ctx's error.
func (b *Backoff) Wait(ctx context.Context) error { return Sleep(ctx, b.Next()) }

// Sleep waits for d, or until ctx ends; then it returns ctx's error.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// Jittered varies d by the given share of it, either way.
func Jittered(d time.Duration, share float64) time.Duration {
	return d + time.Duration((2*rand.Float64()-1)*share*float64(d))
}
