package simulate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvsconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
)

const thing = "hub"

var thingARN = edgeconfig.HubARN("us-west-2", "123456789012", thing)

// control is the control plane and its messages. It implements kvsconfig.ControlPlane and kvsconfig.Inbox.
type control struct {
	reachable func() bool
	ready     signal.Signal

	mu      sync.Mutex
	version time.Time                          // of the newest configuration; guarded by mu, as all below
	configs map[string]edgeconfig.StreamConfig // by stream
	inbox   []message
}

// message is one that the broker has for the hub.
type message struct {
	config  edgeconfig.StreamConfig
	removes bool
}

func newControl(reachable func() bool) *control {
	return &control{reachable: reachable, ready: signal.New(), configs: make(map[string]edgeconfig.StreamConfig), version: time.Now()}
}

// configure sets what a stream is to do, or removes its configuration with its media.
func (c *control) configure(stream string, config *edgeconfig.EdgeConfig) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.version = latest(c.version.Add(10*time.Millisecond), time.Now()).Truncate(time.Millisecond)
	m := message{config: c.configs[stream], removes: config == nil}
	m.config.StreamName, m.config.LastUpdated = stream, c.version
	if config == nil {
		delete(c.configs, stream)
	} else {
		m.config.Config = *config
		c.configs[stream] = m.config
	}
	c.inbox = append(c.inbox, m)
	if c.reachable() {
		c.ready.Set()
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// wanted are the streams that are configured.
func (c *control) wanted() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.configs))
}

// EdgeConfigs implements kvsconfig.ControlPlane.
func (c *control) EdgeConfigs(context.Context, string) (list []kvsconfig.ListedConfig, err error) {
	if !c.reachable() {
		return nil, fmt.Errorf("list: %w", errUnreachable)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, stream := range slices.Sorted(maps.Keys(c.configs)) {
		list = append(list, kvsconfig.ListedConfig{StreamConfig: c.configs[stream], SyncStatus: "SYNCING"})
	}
	return list, nil
}

// Ready implements kvsconfig.Inbox.
func (c *control) Ready() <-chan struct{} { return c.ready.C() }

// deliver has the messages that waited arrive.
func (c *control) deliver() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.inbox) > 0 && c.reachable() {
		c.ready.Set()
	}
}

// Take implements kvsconfig.Inbox.
func (c *control) Take(update, remove func(edgeconfig.StreamConfig, error), _ func()) (acknowledge func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.reachable() {
		return func() {}
	}
	list := c.inbox
	for _, m := range list {
		if m.removes {
			remove(m.config, nil)
		} else {
			update(m.config, nil)
		}
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.inbox) >= len(list) {
			c.inbox = c.inbox[len(list):]
		}
	}
}

var errOff = errors.New("the hub is off")
