package iotconfig

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/iotcreds/iottest"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for an event that must come.
const patience = 10 * time.Second

// testBroker is an MQTT broker over TLS that asks for client certificates.
type testBroker interface {
	address() string
}

// allowAll lets in whoever has a certificate.
type allowAll struct{ mochi.HookBase }

func (allowAll) Provides(b byte) bool {
	return b == mochi.OnConnectAuthenticate || b == mochi.OnACLCheck
}
func (allowAll) OnConnectAuthenticate(*mochi.Client, packets.Packet) bool { return true }
func (allowAll) OnACLCheck(*mochi.Client, string, bool) bool              { return true }

// embedded is a broker in this process.
type embedded struct {
	t      *testing.T
	ca     *iottest.Authority
	addr   string
	server *mochi.Server
	hooks  []mochi.Hook
}

func newEmbedded(t *testing.T, ca *iottest.Authority, hooks ...mochi.Hook) *embedded {
	t.Helper()
	b := &embedded{t: t, ca: ca, addr: "127.0.0.1:0", hooks: hooks}
	b.start()
	t.Cleanup(b.stop)
	return b
}

func (b *embedded) address() string { return b.addr }

func (b *embedded) start() {
	b.t.Helper()
	b.server = mochi.New(&mochi.Options{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	for _, hook := range append([]mochi.Hook{new(allowAll)}, b.hooks...) {
		if err := b.server.AddHook(hook, nil); err != nil {
			b.t.Fatal(err)
		}
	}
	l := listeners.NewTCP(listeners.Config{ID: "tls", Address: b.addr, TLSConfig: b.ca.Server()})
	if err := b.server.AddListener(l); err != nil {
		b.t.Fatal(err)
	}
	if err := b.server.Serve(); err != nil {
		b.t.Fatal(err)
	}
	b.addr = l.Address()
}

func (b *embedded) stop() {
	if b.server != nil {
		_ = b.server.Close()
		b.server = nil
	}
}

// kick ends the connection of one client.
func (b *embedded) kick(client string) {
	b.t.Helper()
	cl, ok := b.server.Clients.Get(client)
	if !ok {
		b.t.Fatalf("client %s is not connected", client)
	}
	cl.Stop(io.EOF)
}

// mosquitto is a broker that nobody here wrote, by its address.
type mosquitto string

func newMosquitto(t *testing.T, ca *iottest.Authority, lines ...string) mosquitto {
	t.Helper()
	files := ca.WriteFiles(ca.Server().Certificates[0])
	return mosquitto(testtools.Mosquitto(t,
		filepath.Join(files, "ca.pem"), filepath.Join(files, "cert.pem"), filepath.Join(files, "key.pem"), lines...))
}

func (m mosquitto) address() string { return string(m) }

// cloudSide is the other end of the conversation: it publishes configurations and hears what the
// agent says.
type cloudSide struct {
	t      *testing.T
	client mqtt.Client
	heard  chan mqtt.Message
}

func newCloudSide(t *testing.T, b testBroker, ca *iottest.Authority) *cloudSide {
	t.Helper()
	c := &cloudSide{t: t, heard: make(chan mqtt.Message, 1000)}
	c.client = mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tls://" + b.address()).SetClientID("cloud").
		SetTLSConfig(ca.Device("cloud")).SetCleanSession(true).SetAutoReconnect(true).
		SetOnConnectHandler(func(client mqtt.Client) {
			client.Subscribe("kvs-edge/"+testThing+"/+/status", 1, func(_ mqtt.Client, m mqtt.Message) { c.heard <- m })
		}))
	c.must(c.client.Connect())
	t.Cleanup(func() { c.client.Disconnect(100) })
	return c
}

func (c *cloudSide) must(token mqtt.Token) {
	c.t.Helper()
	if !token.WaitTimeout(patience) || token.Error() != nil {
		c.t.Fatalf("the cloud's side: %v", token.Error())
	}
}

func (c *cloudSide) send(leaf string, payload []byte) {
	c.t.Helper()
	c.must(c.client.Publish("kvs-edge/"+testThing+"/config/"+leaf, 1, false, payload))
}

// await waits for the next message of a topic that fits.
func (c *cloudSide) await(what, leaf string, fits func(payload []byte) bool) []byte {
	c.t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	var heard []string
	for {
		select {
		case m := <-c.heard:
			heard = append(heard, m.Topic()+" "+string(m.Payload()))
			if strings.HasSuffix(m.Topic(), leaf) && fits(m.Payload()) {
				return m.Payload()
			}
		case <-timer.C:
			c.t.Fatalf("%s did not come; heard:\n%s", what, strings.Join(heard, "\n"))
		}
	}
}

// awaitSync waits for a sync status of a stream.
func (c *cloudSide) awaitSync(stream, status string) syncStatus {
	c.t.Helper()
	var got syncStatus
	c.await(stream+" "+status, "config/status", func(payload []byte) bool {
		got = syncStatus{}
		return json.Unmarshal(payload, &got) == nil && got.StreamName == stream && got.SyncStatus == status
	})
	return got
}

func (c *cloudSide) awaitAgent(status string) {
	c.t.Helper()
	c.await("agent "+status, "agent/status", func(payload []byte) bool {
		var got agentStatus
		return json.Unmarshal(payload, &got) == nil && got.Status == status
	})
}

// fakeApplier notes what is asked of it.
type fakeApplier struct {
	applied chan []StreamConfig // each call of Apply
	removed chan string         // each call of Remove

	mu         sync.Mutex
	fail       map[string]error // answers of Apply by stream
	failRemove error
}

func newFakeApplier() *fakeApplier {
	return &fakeApplier{applied: make(chan []StreamConfig, 100), removed: make(chan string, 100), fail: make(map[string]error)}
}

// Apply implements Applier.
func (a *fakeApplier) Apply(_ context.Context, desired []StreamConfig) []Outcome {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []Outcome
	for _, c := range desired {
		out = append(out, Outcome{StreamName: c.StreamName, Err: a.fail[c.StreamName]})
	}
	a.applied <- slices.Clone(desired)
	return out
}

// Remove implements Applier.
func (a *fakeApplier) Remove(_ context.Context, stream string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.removed <- stream
	return a.failRemove
}

func (a *fakeApplier) answer(stream string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fail[stream] = err
}

func (a *fakeApplier) answerRemove(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failRemove = err
}

// fakeControlPlane answers with a set that a test changes.
type fakeControlPlane struct {
	listed chan struct{} // each complete answer

	mu      sync.Mutex
	configs []ListedConfig
	err     error
	block   bool // never answers
}

func newFakeControlPlane() *fakeControlPlane {
	return &fakeControlPlane{listed: make(chan struct{}, 1000)}
}

// EdgeConfigs implements ControlPlane.
func (p *fakeControlPlane) EdgeConfigs(ctx context.Context, _ string) ([]ListedConfig, error) {
	p.mu.Lock()
	configs, err, block := slices.Clone(p.configs), p.err, p.block
	p.mu.Unlock()
	if block {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	p.listed <- struct{}{}
	return configs, err
}

func (p *fakeControlPlane) set(configs ...ListedConfig) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.configs, p.err = configs, nil
}

func (p *fakeControlPlane) failWith(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}

func listedAs(t *testing.T, stream string, updated float64, status string) ListedConfig {
	t.Helper()
	c, err := parseUpdate(updateOf(stream, updated))
	if err != nil {
		t.Fatal(err)
	}
	return ListedConfig{StreamConfig: c, SyncStatus: status}
}

// testHubSource is an agent's Source with everything around it faked but the network.
type testHubSource struct {
	*Source
	t       *testing.T
	applier *fakeApplier
	kvs     *fakeControlPlane
	secrets *fakeSecrets
	health  *health.Registry
	part    *health.Part // of health
	changed chan struct{}

	jobsMu sync.Mutex
	jobs   []JobStatus

	cancel context.CancelFunc
	done   chan error
}

func newTestHub(t *testing.T, endpoint, stateDir string, config *tls.Config, edit ...func(*Options)) *testHubSource {
	t.Helper()
	h := &testHubSource{
		t: t, applier: newFakeApplier(), kvs: newFakeControlPlane(), secrets: newFakeSecrets(),
		health: health.NewRegistry(time.Now), changed: make(chan struct{}, 1),
	}
	h.part = h.health.Part("", health.JobConfig)
	h.secrets.set(testSecret, cameraURL)
	o := Options{
		ThingName: testThing, HubDeviceARN: testHub, DataEndpoint: endpoint, Version: "1.2.3", TLS: config,
		KVS: h.kvs, Secrets: h.secrets, StateDir: stateDir, Applier: h.applier, JobsChanged: h.changed,
		Jobs:      func() []JobStatus { h.jobsMu.Lock(); defer h.jobsMu.Unlock(); return slices.Clone(h.jobs) },
		Reconnect: backoff.Policy{Min: 20 * time.Millisecond, Max: 50 * time.Millisecond}, Proxy: noProxy,
		Log: zap.NewNop(), Health: h.part,
	}
	for _, e := range edit {
		e(&o)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	s.timing.listSpacing = time.Millisecond
	s.timing.listRetry = backoff.Policy{Min: 10 * time.Millisecond, Max: 20 * time.Millisecond}
	s.timing.confirm = 20 * time.Millisecond
	s.timing.afterPush = time.Hour // most tests send what their control plane does not list
	s.timing.retry = backoff.Policy{Min: 20 * time.Millisecond, Max: 50 * time.Millisecond}
	s.timing.jobsDebounce = 10 * time.Millisecond
	h.Source = s
	return h
}

func (h *testHubSource) run() {
	ctx, cancel := context.WithCancel(h.t.Context())
	h.cancel, h.done = cancel, make(chan error, 1)
	go func() { h.done <- h.Run(ctx) }()
	h.t.Cleanup(h.stop)
}

// stop ends Run and checks that it ends in time.
func (h *testHubSource) stop() {
	if h.cancel == nil {
		return
	}
	h.cancel()
	h.cancel = nil
	select {
	case err := <-h.done:
		if err != nil {
			h.t.Errorf("Run returned %v", err)
		}
	case <-time.After(5 * time.Second):
		h.t.Error("Run does not end within 5 s")
	}
}

func (h *testHubSource) setJobs(jobs ...JobStatus) {
	h.jobsMu.Lock()
	h.jobs = jobs
	h.jobsMu.Unlock()
	select {
	case h.changed <- struct{}{}:
	default:
	}
}

// awaitApply waits for a call of Apply with just these streams.
func (h *testHubSource) awaitApply(streams ...string) []StreamConfig {
	h.t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	var seen [][]string
	for {
		select {
		case desired := <-h.applier.applied:
			if slices.Equal(names(desired), streams) {
				return desired
			}
			seen = append(seen, names(desired))
		case <-timer.C:
			h.t.Fatalf("Apply was not called with %v; calls: %v", streams, seen)
		}
	}
}

func (h *testHubSource) awaitRemove(stream string) {
	h.t.Helper()
	select {
	case got := <-h.applier.removed:
		if got != stream {
			h.t.Fatalf("%s was removed, want %s", got, stream)
		}
	case <-time.After(patience):
		h.t.Fatalf("%s was not removed", stream)
	}
}

// awaitListing waits until the control plane has been asked n more times.
func (h *testHubSource) awaitListing(n int) {
	h.t.Helper()
	for range n {
		select {
		case <-h.kvs.listed:
		case <-time.After(patience):
			h.t.Fatal("the control plane is not asked")
		}
	}
}

// awaitCondition waits until a condition is raised (or not, when text is empty).
func (h *testHubSource) awaitCondition(code, text string) {
	h.t.Helper()
	changes, stop := h.health.Watch()
	defer stop()
	timeout := time.After(patience)
	for {
		found := ""
		for _, c := range h.part.Snapshot().Conditions {
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
			h.t.Fatalf("condition %s is %q, want %q", code, found, text)
		}
	}
}

// noApply checks that Apply has not been called since. Call it after an event that would have
// come later.
func (h *testHubSource) noApply() {
	h.t.Helper()
	select {
	case desired := <-h.applier.applied:
		h.t.Errorf("Apply was called with %v", names(desired))
	default:
	}
}
