// Package configtest has what surrounds the packages that make up the configuration of a hub in tests: who applies it, and
// the control plane.
package configtest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvsconfig"
)

// The hub of the tests, and the secret of its camera.
const (
	Thing  = "hub-1"
	Hub    = "arn:aws:iot:us-west-2:123456789012:thing/hub-1"
	Secret = "arn:aws:secretsmanager:us-west-2:123456789012:secret:camera-1-a1B2c3"
)

// Syncing and Deleting are the statuses that only the control plane sets.
const (
	Syncing  = "SYNCING"
	Deleting = "DELETING"
)

// Patience is how long a test waits for an event that must come.
const Patience = time.Minute

// EdgeConfig is a document of the hub's.
const EdgeConfig = `{"HubDeviceArn":"` + Hub + `","RecorderConfig":{"MediaSourceConfig":{"MediaUriSecretArn":"` + Secret +
	`","MediaUriType":"RTSP_URI"}}}`

// StreamARN is that of a stream of this name.
func StreamARN(stream string) string {
	return "arn:aws:kinesisvideo:us-west-2:123456789012:stream/" + stream + "/1600000000000"
}

// Listed is a stream as the control plane lists it, last updated at that time in seconds since 1970.
func Listed(t *testing.T, stream string, updated float64, status string) kvsconfig.ListedConfig {
	t.Helper()
	config, err := edgeconfig.Parse([]byte(EdgeConfig))
	if err != nil {
		t.Fatal(err)
	}
	var at edgeconfig.Epoch
	if err := at.UnmarshalJSON(fmt.Appendf(nil, "%.3f", updated)); err != nil {
		t.Fatal(err)
	}
	return kvsconfig.ListedConfig{
		StreamConfig: edgeconfig.StreamConfig{StreamName: stream, StreamARN: StreamARN(stream), Config: config, LastUpdated: at.Time},
		SyncStatus:   status,
	}
}

// Applier records its calls.
type Applier struct {
	Applied chan desired.Set // each call of Apply
	Removed chan string      // each call of Remove

	mu         sync.Mutex
	fail       map[string]error // answers of Apply by stream
	failRemove error
}

// NewApplier returns one that does all that it is asked.
func NewApplier() *Applier {
	return &Applier{Applied: make(chan desired.Set, 100), Removed: make(chan string, 100), fail: make(map[string]error)}
}

// Apply implements kvsconfig.Applier.
func (a *Applier) Apply(_ context.Context, wanted desired.Set) []desired.Outcome {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []desired.Outcome
	for _, name := range wanted.Names() {
		out = append(out, desired.Outcome{Stream: name, Err: a.fail[name]})
	}
	a.Applied <- wanted
	return out
}

// Remove implements kvsconfig.Applier.
func (a *Applier) Remove(_ context.Context, stream string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.Removed <- stream
	return a.failRemove
}

// Answer sets what Apply answers for a stream.
func (a *Applier) Answer(stream string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fail[stream] = err
}

// AnswerRemove sets what Remove answers.
func (a *Applier) AnswerRemove(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failRemove = err
}

// Await waits for a call of Apply with just these streams.
func (a *Applier) Await(t *testing.T, streams ...string) desired.Set {
	t.Helper()
	timer := time.NewTimer(Patience)
	defer timer.Stop()
	var seen [][]string
	for {
		select {
		case wanted := <-a.Applied:
			if slices.Equal(wanted.Names(), streams) {
				return wanted
			}
			seen = append(seen, wanted.Names())
		case <-timer.C:
			t.Fatalf("Apply was not called with %v; calls: %v", streams, seen)
		}
	}
}

// AwaitRemove waits for a call of Remove with this stream.
func (a *Applier) AwaitRemove(t *testing.T, stream string) {
	t.Helper()
	select {
	case got := <-a.Removed:
		if got != stream {
			t.Fatalf("%s was removed, want %s", got, stream)
		}
	case <-time.After(Patience):
		t.Fatalf("%s was not removed", stream)
	}
}

// None checks that Apply has not been called since. Call it after an event that would have
// come later.
func (a *Applier) None(t *testing.T) {
	t.Helper()
	select {
	case wanted := <-a.Applied:
		t.Errorf("Apply was called with %v", wanted.Names())
	default:
	}
}

// ControlPlane answers with a set that a test changes.
type ControlPlane struct {
	Listed chan struct{} // each complete answer

	mu      sync.Mutex
	configs []kvsconfig.ListedConfig
	err     error
	silent  bool
	hub     string // asked for last
}

// NewControlPlane returns one that lists nothing.
func NewControlPlane() *ControlPlane { return &ControlPlane{Listed: make(chan struct{}, 1000)} }

// EdgeConfigs implements kvsconfig.ControlPlane.
func (p *ControlPlane) EdgeConfigs(ctx context.Context, hub string) ([]kvsconfig.ListedConfig, error) {
	p.mu.Lock()
	configs, err, silent := slices.Clone(p.configs), p.err, p.silent
	p.hub = hub
	p.mu.Unlock()
	if silent {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	p.Listed <- struct{}{}
	return configs, err
}

// AskedFor is the hub whose configurations were asked for last.
func (p *ControlPlane) AskedFor() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hub
}

// Set has it list these.
func (p *ControlPlane) Set(configs ...kvsconfig.ListedConfig) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.configs, p.err = configs, nil
}

// FailWith has it answer with an error.
func (p *ControlPlane) FailWith(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}

// Silence has it never answer.
func (p *ControlPlane) Silence() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = true
}

// Await waits until the control plane has been asked n more times.
func (p *ControlPlane) Await(t *testing.T, n int) {
	t.Helper()
	for range n {
		select {
		case <-p.Listed:
		case <-time.After(Patience):
			t.Fatal("the control plane is not asked")
		}
	}
}

// AwaitCondition waits until a condition of a part is raised, with that text in it; or until it is not, when text is empty.
func AwaitCondition(t *testing.T, registry *health.Registry, part *health.Component, code, text string) {
	t.Helper()
	changes, stop := registry.Watch()
	defer stop()
	timeout := time.After(Patience)
	for {
		found := ""
		for _, c := range part.Snapshot().Conditions {
			if c.Code == code {
				found = c.Text
			}
		}
		if text == "" && found == "" || text != "" && strings.Contains(found, text) {
			return
		}
		select {
		case <-changes:
		case <-timeout:
			t.Fatalf("condition %s is %q, want %q", code, found, text)
		}
	}
}
