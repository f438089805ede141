package queue

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

func TestPausesOfADiskThatFailsGrow(t *testing.T) {
	t.Parallel()
	noDescriptor := fmt.Errorf("cannot open: %w", syscall.EMFILE)
	k := segment.Key{Stream: "door", Start: 1}
	now := time.Unix(1_795_000_000, 0)
	p := newPassedOver(func() time.Time { return now })
	for _, want := range []time.Duration{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600} {
		p.unreadable(k, context.DeadlineExceeded)
		p.remove(segment.Key{})
		p.unreadable(k, noDescriptor)
		if got := p.until[k].Sub(now); got != want*time.Second {
			t.Errorf("the pause is %v, want %v s", got, int(want))
		}
		now = now.Add(want * time.Second)
		if p.has(k) {
			t.Errorf("after %v s it is not tried again", int(want))
		}
	}
}

// TestPausesBeginAgainOnceItCouldBeRead, also where the segment is not moved yet: only those between its moves continue to grow.
func TestPausesBeginAgainOnceItCouldBeRead(t *testing.T) {
	t.Parallel()
	k := segment.Key{Stream: "door", Start: 1}
	now := time.Unix(1_795_000_000, 0)
	p := newPassedOver(func() time.Time { return now })
	for n, step := range []struct {
		fails func(segment.Key, error)
		want  time.Duration
	}{
		{p.unreadable, 1}, {p.unreadable, 2}, {p.unreadable, 4}, {nil, 0}, {p.unreadable, 1}, {nil, 0}, {p.immovable, 1}, {nil, 0},
		{p.immovable, 2}, {nil, 0}, {p.unreadable, 1}, {p.unreadable, 2}, {nil, 0}, {p.immovable, 4},
	} {
		if step.fails == nil {
			p.read(k)
		} else {
			step.fails(k, syscall.EMFILE)
		}
		at, ok := p.next(UnreadableFor, func(segment.Key) bool { return true })
		if ok != (step.fails != nil) || ok && at.Sub(now) != step.want*time.Second {
			t.Errorf("step %d: the pause is %v, want %d s", n, at.Sub(now), int(step.want))
		}
		now = now.Add(step.want * time.Second)
	}
	p.prune(func(segment.Key) bool { return false })
	if len(p.until)+len(p.pause)+len(p.reading)+len(p.moving)+len(p.notNoted) > 0 {
		t.Errorf("of a segment that is gone %+v is left", p)
	}
}
