package kvsconfig_test

import (
	"context"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvsconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/configtest"
)

// slowApplier takes its time, as one that starts many jobs does.
type slowApplier struct {
	*configtest.Applier
	proceed chan struct{} // once for each call with a stream
	applied chan int      // how many streams it has applied
}

func (a slowApplier) Apply(ctx context.Context, wanted desired.Set) []desired.Outcome {
	if len(wanted) > 0 {
		select {
		case <-a.proceed:
		case <-ctx.Done():
		}
	}
	outcomes := a.Applier.Apply(ctx, wanted)
	a.applied <- len(wanted)
	return outcomes
}

// TestSettleWaitsForWhatWasSaidBefore asks after a configuration that is still being applied, and one that waits behind it.
func TestSettleWaitsForWhatWasSaidBefore(t *testing.T) {
	t.Parallel()
	slow := slowApplier{configtest.NewApplier(), make(chan struct{}), make(chan int, 10)}
	h := newTestHub(t, t.TempDir(), func(o *kvsconfig.Options) { o.Applier = slow })
	h.run()
	said := func(stream string) {
		h.inbox.put(push{config: configtest.Listed(t, stream, 1_700_000_000, "IN_SYNC").StreamConfig})
	}
	said("yard")
	slow.proceed <- struct{}{}
	said("zoo")
	settled := make(chan struct{})
	go func() {
		defer close(settled)
		h.Settle(t.Context())
	}()
	// A listing has both applied once more, sooner or later.
	for waiting := true; waiting; {
		select {
		case slow.proceed <- struct{}{}:
		case <-settled:
			waiting = false
		case <-time.After(time.Minute):
			t.Fatal("it waits for ever")
		}
	}
	most := 0
	for len(slow.applied) > 0 {
		most = max(most, <-slow.applied)
	}
	if most != 2 {
		t.Errorf("%d streams were applied, want 2", most)
	}
}

func TestSettleEndsWithItsContext(t *testing.T) {
	t.Parallel()
	h := newTestHub(t, t.TempDir()) // it does not run
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h.Settle(ctx)
}
