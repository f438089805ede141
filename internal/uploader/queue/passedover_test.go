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
		p.add(k, context.DeadlineExceeded)
		p.remove(segment.Key{})
		p.add(k, noDescriptor)
		if got := p.until[k].Sub(now); got != want*time.Second {
			t.Errorf("the pause is %v, want %v s", got, int(want))
		}
		now = now.Add(want * time.Second)
		if p.has(k) {
			t.Errorf("after %v s it is not tried again", int(want))
		}
	}
}
