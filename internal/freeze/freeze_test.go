package freeze

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// hub is a hub whose process can be frozen: its clock advances while the process does not run.
type hub struct {
	mu      sync.Mutex
	began   time.Time
	asleep  time.Duration
	noticed []time.Duration
}

func (h *hub) now() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Since(h.began) + h.asleep
}

func (h *hub) sleep(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asleep += d
}

func (h *hub) notice(f Freeze) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.noticed = append(h.noticed, f.Length)
}

func (h *hub) all() []time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.noticed)
}

func watched(t *testing.T, test func(h *hub, w *Watch)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &hub{began: time.Now()}
		w := New(h.notice, h.now)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = w.Run(ctx) })
		synctest.Wait()
		test(h, w)
		cancel()
		running.Wait()
	})
}

func TestAFreezeIsNoticedOnceByWhoeverLooksFirst(t *testing.T) {
	watched(t, func(h *hub, w *Watch) {
		time.Sleep(10*time.Second + 100*time.Millisecond)
		if _, frozen := w.Within(time.Hour); frozen || len(h.all()) > 0 {
			t.Errorf("a process that runs is frozen: %v", h.all())
		}
		h.sleep(20 * time.Second)
		if length, frozen := w.Within(time.Second); !frozen || length.Round(time.Second) != 20*time.Second {
			t.Errorf("%s %v", length, frozen)
		}
		time.Sleep(5 * time.Second)
		if _, frozen := w.Within(time.Second); frozen {
			t.Error("it has ended long ago")
		}
		if _, frozen := w.Within(10 * time.Second); !frozen {
			t.Error("it is forgotten")
		}
		h.sleep(150 * time.Second)
		time.Sleep(time.Second)
		if all := h.all(); len(all) != 2 || all[1].Round(2*tick) < 150*time.Second || all[1] > 152*time.Second {
			t.Errorf("noticed: %v", h.all())
		}
	})
}

func TestShortPausesAreNoFreeze(t *testing.T) {
	watched(t, func(h *hub, w *Watch) {
		for range 100 {
			h.sleep(Limit - time.Millisecond)
			time.Sleep(2 * tick)
		}
		if len(h.all()) > 0 {
			t.Errorf("noticed: %v", h.all())
		}
	})
}

func TestNothingIsFrozenWhileNobodyWatches(t *testing.T) {
	t.Parallel()
	h := &hub{began: time.Now(), asleep: time.Hour}
	w := New(h.notice, h.now)
	if _, frozen := w.Within(time.Hour); frozen || len(h.all()) > 0 {
		t.Errorf("noticed: %v", h.all())
	}
	if _, frozen := (*Watch)(nil).Within(time.Hour); frozen {
		t.Error("nobody watches")
	}
}
