package kvsconfig_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvsconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/configtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// push is a message.
type push struct {
	config  edgeconfig.StreamConfig
	err     error
	removes bool
}

// inbox has the messages that a test sends.
type inbox struct {
	ready signal.Signal

	mu     sync.Mutex
	pushes []push
}

func newInbox() *inbox { return &inbox{ready: signal.New()} }

func (b *inbox) put(p push) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pushes = append(b.pushes, p)
	b.ready.Set()
}

// Ready implements kvsconfig.Inbox.
func (b *inbox) Ready() <-chan struct{} { return b.ready.C() }

// Take implements kvsconfig.Inbox.
func (b *inbox) Take(update, remove func(edgeconfig.StreamConfig, error), _ func()) (acknowledge func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.pushes {
		if p.removes {
			remove(p.config, p.err)
		} else {
			update(p.config, p.err)
		}
	}
	b.pushes = nil
	return func() {}
}

// fastTiming is that of most tests.
func fastTiming() kvsconfig.Timing {
	timing := kvsconfig.DefaultTiming()
	timing.ListSpacing = time.Millisecond
	timing.ListRetry = backoff.Policy{Min: 10 * time.Millisecond, Max: 20 * time.Millisecond}
	timing.Confirm = 20 * time.Millisecond
	timing.AfterPush = time.Hour // most tests send what their control plane does not list
	timing.Retry = backoff.Policy{Min: 20 * time.Millisecond, Max: 50 * time.Millisecond}
	return timing
}

// testHub is a hub with all but its Syncer faked.
type testHub struct {
	*kvsconfig.Syncer
	t       *testing.T
	dir     string
	inbox   *inbox
	applier *configtest.Applier
	kvs     *configtest.ControlPlane
	health  *health.Registry
	part    *health.Component // of health

	cancel context.CancelFunc
	ended  sync.WaitGroup
}

// newTestHub is one without messages, for a state directory.
func newTestHub(t *testing.T, path string, edit ...func(*kvsconfig.Options)) *testHub {
	t.Helper()
	dir, err := statefile.Open(path, atomicfile.OS{})
	if err != nil {
		t.Fatal(err)
	}
	h := &testHub{
		t: t, dir: path, inbox: newInbox(), applier: configtest.NewApplier(), kvs: configtest.NewControlPlane(),
		health: health.NewRegistry(time.Now),
	}
	h.part = h.health.Component("", health.JobConfig)
	o := kvsconfig.Options{
		ThingName: configtest.Thing, HubDeviceARN: configtest.Hub, ListOnly: true, KVS: h.kvs, Dir: dir, Applier: h.applier,
		Inbox: h.inbox, Timing: fastTiming(), Health: h.part,
	}
	for _, e := range edit {
		e(&o)
	}
	if h.Syncer, err = kvsconfig.New(o); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *testHub) run() {
	ctx, cancel := context.WithCancel(h.t.Context())
	h.cancel = cancel
	h.ended.Go(func() {
		h.ApplyLastGood(ctx)
		h.ended.Go(func() { h.List(ctx) })
		h.Run(ctx)
	})
	h.t.Cleanup(h.stop)
}

func (h *testHub) stop() {
	if h.cancel != nil {
		h.cancel()
		h.ended.Wait()
	}
}

func (h *testHub) awaitCondition(code, text string) {
	h.t.Helper()
	configtest.AwaitCondition(h.t, h.health, h.part, code, text)
}

// listed is a stream of the hub as the control plane lists it.
func listed(t *testing.T, stream string, updated float64) kvsconfig.ListedConfig {
	t.Helper()
	return configtest.Listed(t, stream, updated, configtest.Syncing)
}

// pushed is a message with a configuration.
func pushed(t *testing.T, stream string, updated float64) push {
	t.Helper()
	return push{config: listed(t, stream, updated).StreamConfig}
}

// elsewhere is the stream when it is configured for another hub.
func elsewhere(c kvsconfig.ListedConfig) kvsconfig.ListedConfig {
	c.Config.HubDeviceArn = strings.Replace(configtest.Hub, "hub-1", "hub-2", 1)
	return c
}
