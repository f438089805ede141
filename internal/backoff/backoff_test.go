package backoff_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
)

func TestWaitsGrowToTheCapAndStartAnewAfterReset(t *testing.T) {
	t.Parallel()
	b := backoff.New(backoff.Policy{Min: time.Second, Max: 5 * time.Second, Rand: func() float64 { return 1 }})
	for i, want := range []time.Duration{1, 2, 4, 5, 5} {
		if got := b.Next(); got != want*time.Second {
			t.Errorf("wait %d: got %v, want %v s", i, got, want)
		}
	}
	b.Reset()
	if got := b.Next(); got != time.Second {
		t.Errorf("after Reset: got %v, want 1s", got)
	}
}

func TestJitterNeverFallsBelowTheFloor(t *testing.T) {
	t.Parallel()
	b := backoff.New(backoff.Policy{Min: time.Second, Max: time.Minute, Rand: func() float64 { return 0 }})
	for range 10 {
		if got := b.Next(); got != 500*time.Millisecond {
			t.Fatalf("got %v, want the floor of 500ms", got)
		}
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		err := backoff.New(backoff.Policy{Min: time.Hour, Max: time.Hour}).Wait(ctx)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the context's error", err)
		}
		if waited := time.Since(start); waited != time.Second {
			t.Errorf("waited %v, want 1s", waited)
		}
	})
}
