package iotconfig

import (
	"context"
	"crypto/tls"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/camerasecret"
	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/holdrequest"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvsconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/configtest"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploadrequest"
)

// Names of what a hub has in its state directory, and codes of the conditions of the rooms beside this one.
const (
	lastGoodFile = "config.json"
	camerasFile  = "cameras.json"
	uploadsFile  = "uploads.json"

	codeState       = "config-state"
	codeMessage     = "config-message"
	codeList        = "control-plane"
	codeHub         = "hub-arn"
	codeCameraStore = "camera-store"
)

func refusedCode(stream string) string { return "config-refused/" + stream }
func applyCode(stream string) string   { return "config-apply/" + stream }

const cameraURL = "rtsp://admin:hunter2@10.0.0.7/stream"

// fakeSecrets is a Secrets Manager that a test drives.
type fakeSecrets struct {
	mu    sync.Mutex
	err   error         // answers everything, when set
	block chan struct{} // holds every request until it is closed, when set
}

// MediaURI implements camerasecret.Secrets.
func (f *fakeSecrets) MediaURI(ctx context.Context, arn string) (secret.String, error) {
	f.mu.Lock()
	err, block := f.err, f.block
	f.mu.Unlock()
	if block != nil {
		select {
		case <-block:
		case <-ctx.Done():
			return secret.String{}, ctx.Err()
		}
	}
	switch {
	case err != nil:
		return secret.String{}, err
	case arn != testSecret:
		return secret.String{}, errors.New("there is no such secret")
	}
	return secret.New(cameraURL), nil
}

// hubOptions are those of the hub of a test.
type hubOptions struct {
	noTLS        string
	sealing      *tls.Config // whose key seals the cameras' URLs. Default: that of the connection
	hubARN       string
	findHubARN   func(context.Context) (string, error)
	controlPlane kvsconfig.ControlPlane
	secrets      camerasecret.Secrets
	upload       uploadrequest.Uploader
	holds        *heldHolds // default: one without holds
	log          *zap.Logger
	files        atomicfile.FileSystem
	timing       kvsconfig.Timing
}

// testHubSource is a hub with everything around its configuration faked but the network: the connection, with the
// packages that an agent has around it.
type testHubSource struct {
	*Client
	syncer   *kvsconfig.Syncer
	cameras  *camerasecret.Cache
	requests *uploadrequest.Requests
	holding  *holdrequest.Requests

	t       *testing.T
	applier *configtest.Applier
	kvs     *configtest.ControlPlane
	secrets *fakeSecrets
	health  *health.Registry
	part    *health.Component // of health
	changed signal.Signal

	jobsMu sync.Mutex
	jobs   []JobStatus

	cancel context.CancelFunc
	ended  sync.WaitGroup
}

func newTestHub(t *testing.T, endpoint, stateDir string, config *tls.Config, edit ...func(*hubOptions)) *testHubSource {
	t.Helper()
	h := &testHubSource{
		t: t, applier: configtest.NewApplier(), kvs: configtest.NewControlPlane(), secrets: new(fakeSecrets),
		health: health.NewRegistry(time.Now), changed: signal.New(),
	}
	h.part = h.health.Component("", health.JobConfig)
	o := hubOptions{hubARN: testHub, controlPlane: h.kvs, secrets: h.secrets, sealing: config, files: atomicfile.OS{}, timing: fastTiming(),
		holds: newHeldHolds(), log: zap.NewNop()}
	for _, e := range edit {
		e(&o)
	}
	dir, err := statefile.Open(stateDir, o.files)
	if err == nil {
		_ = dir.Sweep() // a disk that fails is what some tests are about
		err = h.build(endpoint, config, dir, o)
	}
	if err != nil {
		t.Fatal(err)
	}
	h.timing.jobsDebounce = 10 * time.Millisecond
	return h
}

func fastTiming() kvsconfig.Timing {
	timing := kvsconfig.DefaultTiming()
	timing.ListSpacing = time.Millisecond
	timing.ListRetry = backoff.Policy{Min: 10 * time.Millisecond, Max: 20 * time.Millisecond}
	timing.Confirm = 20 * time.Millisecond
	timing.AfterPush = time.Hour // most tests send what their control plane does not list
	timing.Retry = backoff.Policy{Min: 20 * time.Millisecond, Max: 50 * time.Millisecond}
	return timing
}

// build puts the hub together as the agent does.
func (h *testHubSource) build(endpoint string, config *tls.Config, dir statefile.Dir, o hubOptions) (err error) {
	h.Client, err = New(Options{
		ThingName: testThing, DataEndpoint: endpoint, Version: "1.2.3", TLS: config, NoTLS: o.noTLS, ListedWithin: kvsconfig.ListOnlyWithin,
		Connected: func() { h.syncer.RequestListing() }, Lost: func() { h.syncer.MessagesLost() },
		Jobs:        func() []JobStatus { h.jobsMu.Lock(); defer h.jobsMu.Unlock(); return slices.Clone(h.jobs) },
		JobsChanged: h.changed.C(),
		Reconnect:   backoff.Policy{Min: 20 * time.Millisecond, Max: 50 * time.Millisecond}, Proxy: noProxy, Health: h.part,
		Log: o.log,
	})
	if err != nil {
		return err
	}
	h.syncer, err = kvsconfig.New(kvsconfig.Options{
		ThingName: testThing, HubDeviceARN: o.hubARN, FindHubARN: o.findHubARN, ListOnly: config == nil,
		KVS: o.controlPlane, Dir: dir, Applier: wantingApplier{h.applier, h}, Timing: o.timing,
		Inbox: h.Configurations(), Publish: func(s kvsconfig.SyncStatus) { h.PublishSync(edgeconfig.SyncStatus(s)) },
		Health: h.part,
	})
	if err != nil {
		return err
	}
	h.cameras = camerasecret.Open(camerasecret.Options{
		Secrets: o.secrets, Dir: dir, Device: o.sealing, Now: time.Now, Log: zap.NewNop(), Health: h.part,
	}, h.syncer.Wanted().Secrets())
	h.requests = uploadrequest.New(uploadrequest.Options{
		Inbox: h.UploadRequests(), Upload: o.upload, Publish: h.PublishUpload, Dir: dir, Now: time.Now, Log: zap.NewNop(), Health: h.part,
	})
	h.holding = holdrequest.New(holdrequest.Options{
		Inbox: h.Holds(), Publish: h.PublishHold, By: "the cloud", Add: o.holds.add, Known: o.holds.known, Remove: o.holds.remove(h),
		Now: time.Now, Log: zap.NewNop(), Health: h.part,
	})
	return nil
}

func (h *testHubSource) run() {
	ctx, cancel := context.WithCancel(h.t.Context())
	h.cancel = cancel
	h.ended.Go(func() {
		h.syncer.ApplyLastGood(ctx)
		for _, run := range []func(context.Context){h.Run, h.syncer.List, h.syncer.Run, h.cameras.Run, h.requests.Run, h.holding.Run} {
			h.ended.Go(func() { run(ctx) })
		}
	})
	h.t.Cleanup(h.stop)
}

// stop ends the hub and checks that it ends in time.
func (h *testHubSource) stop() {
	if h.cancel == nil {
		return
	}
	h.cancel()
	h.cancel = nil
	watch, ended := testtools.Stopwatch(h.t), make(chan struct{})
	go func() {
		h.ended.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		if took := watch(); took > 5*time.Second {
			h.t.Errorf("it ends after %s", took)
		}
	case <-time.After(patience):
		h.t.Error("it does not end")
	}
}

func (h *testHubSource) setJobs(jobs ...JobStatus) {
	h.jobsMu.Lock()
	h.jobs = jobs
	h.jobsMu.Unlock()
	h.changed.Set()
}

// wantingApplier has the secrets of the desired set read, as the agent does.
type wantingApplier struct {
	*configtest.Applier
	hub *testHubSource
}

// Apply implements kvsconfig.Applier.
func (a wantingApplier) Apply(ctx context.Context, wanted desired.Set) []desired.Outcome {
	a.hub.cameras.Want(wanted.Secrets())
	return a.Applier.Apply(ctx, wanted)
}

// awaitApply waits for a call of Apply with just these streams.
func (h *testHubSource) awaitApply(streams ...string) desired.Set {
	h.t.Helper()
	return h.applier.Await(h.t, streams...)
}

// awaitListing waits until the control plane has been asked n more times.
func (h *testHubSource) awaitListing(n int) {
	h.t.Helper()
	h.kvs.Await(h.t, n)
}

// awaitCondition waits until a condition is raised (or not, when text is empty).
func (h *testHubSource) awaitCondition(code, text string) {
	h.t.Helper()
	configtest.AwaitCondition(h.t, h.health, h.part, code, text)
}
