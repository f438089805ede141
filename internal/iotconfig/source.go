// Package iotconfig owns where the hub's configurations come from: MQTT messages, the KVS control
// plane and the last good set on disk. It merges them into one desired set, has it applied, and
// answers with statuses; and it keeps the cameras' URLs. It must not know what recording or
// uploading is, and nothing of it may ever hold up a recorder.
//
// The way of a configuration: session (MQTT) or lister (control plane) → reconciler (merges,
// keeps on disk, applies) → outbox → session.
package iotconfig

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
	"github.com/kvs-edge/kvs-edge-agent/internal/supervise"
)

// Options of a Source.
type Options struct {
	// ThingName of the hub in AWS IoT. Required.
	ThingName string
	// ClientID at the MQTT broker. Default ThingName.
	ClientID string
	// HubDeviceARN of this hub. When empty it is asked of FindHubARN, or taken from the first
	// configuration for a thing of ThingName.
	HubDeviceARN string
	// FindHubARN finds HubDeviceARN when that is empty. It may fail while there is no network and
	// is then asked again before the next listing. Default none.
	FindHubARN func(ctx context.Context) (string, error)
	// DataEndpoint is the IoT data endpoint, host[:port]. Without a port 8883 is tried, then 443
	// with ALPN. Required with TLS.
	DataEndpoint string
	// Version of the agent, for agent/status. Default "unknown".
	Version string
	// TLS holds the device certificate and the roots of DataEndpoint. Without it there is no MQTT,
	// configurations come by listing only, and NoTLS, why that is so, is required.
	TLS   *tls.Config
	NoTLS string
	// KVS lists the hub's configurations. Required.
	KVS ControlPlane
	// Secrets reads camera URLs. Required.
	Secrets Secrets
	// StateDir keeps the last good set; made with mode 0700. Required.
	StateDir string
	// Files is how StateDir is read and changed. Default the real file system; tests put disks that fail in its place.
	Files atomicfile.FileSystem
	// Applier makes configurations run. Required.
	Applier Applier
	// Applied is called when a configuration was applied that is the hub's: the last good one of the disk, a complete
	// listing of the cloud, or, where the hub may not list, a message. It must not wait. Default none.
	Applied func()
	// Upload uploads on demand of the cloud. Default: such demands are refused.
	Upload Uploader
	// Refreshed is called when the cloud asks for a listing: something was changed there. It must not
	// wait. Default none.
	Refreshed func()
	// Check refuses configurations that this agent cannot follow; the error's text goes into
	// FailedStatusDetails. Default: EdgeConfig.Validate.
	Check func(edgeconfig.EdgeConfig) error
	// Jobs gives the status of all streams' jobs for jobs/status. Default none.
	Jobs func() []JobStatus
	// JobsChanged receives when Jobs may give something new. Sends to it must not wait. Default none.
	JobsChanged <-chan struct{}
	// Reconnect paces the connections to the broker. Default: full jitter, 10 s doubling to 5 min.
	Reconnect backoff.Policy
	// Proxy gives the HTTP proxy for a request, which MQTT then goes through on port 443.
	// Default http.ProxyFromEnvironment.
	Proxy func(*http.Request) (*url.URL, error)
	// Log. Default none.
	Log *zap.Logger
	// Now is the wall clock. Default time.Now.
	Now func() time.Time
	// Health receives states and conditions. Default: one of its own.
	Health *health.Part
}

// Source is the hub's source of configurations.
type Source struct {
	o      Options
	topics topics
	timing timing

	dir     stateDir
	cameras *cameras
	inbox   *inbox
	outbox  *outbox
	uploads uploads
	dialer  *dialer // nil without MQTT

	retaining retaining     // of the connection's goroutine
	retainNow chan struct{} // receives to try retained messages again

	listNow  chan struct{} // asks the lister for a listing
	listings chan listing  // its results
	found    chan string   // the hub's ARN, when the lister found it

	// unlistable says that the control plane refused the last listing, until somebody changes that: then messages are
	// all that the cloud ever tells of.
	unlistable atomic.Bool

	hubMu sync.Mutex
	hub   string // HubDeviceArn, empty while unknown; guarded by hubMu

	// The reconciler's own, used by Run's first goroutine only.
	desired  *desired
	statuses map[string]syncStatus // the last status of each stream, to be said again
	refused  map[string]time.Time  // streams whose new configuration is refused, and since when
	failed   map[string]bool       // streams whose last Apply or Remove failed
	unsaved  bool                  // the disk lacks a change of desired
	known    bool                  // the disk had the last good set
	heard    bool                  // a message has configured a stream since the start
	kept     bool                  // the file of desired was read or written
}

// timing holds what tests shorten.
type timing struct {
	listEvery     time.Duration // ± 20 %
	listOnly      time.Duration // in place of listEvery without MQTT, ± 20 %
	listTimeout   time.Duration
	listSpacing   time.Duration // least time between listings, however often they are asked for
	listRetry     backoff.Policy
	confirm       time.Duration // until the second listing that confirms an absence
	afterPush     time.Duration // until the listing that confirms what came by a message
	removeTimeout time.Duration
	retry         backoff.Policy // of failed applications and removals
	jobsEvery     time.Duration
	jobsDebounce  time.Duration
	healthy       time.Duration // a session that lasted this long resets the backoff
	handshake     time.Duration // TCP, TLS and MQTT connect, each
	acknowledge   time.Duration // until the broker must have acknowledged a publication
	// retainRetry is when retained messages are tried again that the policy did not allow, for the
	// first time; it doubles up to retainRetryMost.
	retainRetry, retainRetryMost time.Duration
}

// listOnlyEvery is how soon a change arrives at the latest without MQTT: the service gives an
// update 15 min to be taken up.
// Source: KVS API, StartEdgeConfigurationUpdate.
const listOnlyEvery = 5 * time.Minute

// WithoutMQTT says what it means that there is no MQTT, and why there is none.
func WithoutMQTT(why string) string {
	return fmt.Sprintf("There is no MQTT connection to AWS IoT (%s): changes of configurations are found within %d min, and the cloud does not see the jobs' statuses.",
		why, int((listOnlyEvery + listOnlyEvery/5).Minutes()))
}

func defaultTiming() timing {
	return timing{
		listEvery:     15 * time.Minute,
		listOnly:      listOnlyEvery,
		listTimeout:   30 * time.Second,
		listSpacing:   time.Second,
		listRetry:     backoff.Policy{Min: 5 * time.Second, Max: 5 * time.Minute},
		confirm:       30 * time.Second,
		afterPush:     10 * time.Second,
		removeTimeout: time.Minute,
		retry:         backoff.Policy{Min: 10 * time.Second, Max: 10 * time.Minute},
		jobsEvery:     5 * time.Minute,
		jobsDebounce:  time.Second,
		healthy:       time.Minute,
		handshake:     10 * time.Second,
		acknowledge:   20 * time.Second,
		retainRetry:   time.Hour, retainRetryMost: 24 * time.Hour,
	}
}

// DefaultReconnect paces the connections to the broker: wide from the first wait on, since many
// hubs lose their connections together and recording does not wait for it.
var DefaultReconnect = backoff.Policy{Min: 10 * time.Second, Max: 5 * time.Minute, Floor: 250 * time.Millisecond}

// The codes of the conditions.
const (
	codeState   = "config-state"   // the last good set on disk
	codeRefused = "config-refused" // with the stream's name after a slash
	codeMessage = "config-message" // a message that cannot be followed
	codeApply   = "config-apply"   // with the stream's name after a slash
	codeList    = "control-plane"
	CodeMQTT    = "mqtt" // no connection to AWS IoT
	codeHub     = "hub-arn"
)

// The scopes.
const (
	scopeState   health.Scope = "state"   // the last good set on disk
	scopeMessage health.Scope = "message" // the last message or listing
	scopeHub     health.Scope = "hub"     // whose configurations those on disk are
	scopeMQTT    health.Scope = "mqtt"
	scopeRetain  health.Scope = "retain" // publishing retained messages
)

// eventShown is how long an event is shown that nothing ends.
const eventShown = 24 * time.Hour

// clientID is how the hub is called at the broker.
func (o Options) clientID() string {
	if o.ClientID != "" {
		return o.ClientID
	}
	return o.ThingName
}

// New opens the state directory, sets damaged files aside, and loads the last good set. It uses
// no network.
func New(o Options) (*Source, error) {
	switch {
	case o.ThingName == "":
		return nil, errors.New("the thing name is not set")
	case o.TLS == nil && o.NoTLS == "":
		return nil, errors.New("the device certificate is not set")
	case o.TLS != nil && o.DataEndpoint == "":
		return nil, errors.New("the IoT data endpoint is not set")
	case o.KVS == nil || o.Secrets == nil || o.Applier == nil:
		return nil, errors.New("the control plane, the secrets or the applier is not set")
	}
	o = o.withDefaults()
	dir, err := openStateDir(o.StateDir, o.Files)
	if err != nil {
		return nil, err
	}
	s := &Source{
		o: o, topics: topicsOf(o.ThingName), timing: defaultTiming(), dir: dir, hub: o.HubDeviceARN,
		inbox: newInbox(), outbox: newOutbox(), retainNow: make(chan struct{}, 1),
		listNow: make(chan struct{}, 1), listings: make(chan listing), found: make(chan string),
		desired: newDesired(), statuses: make(map[string]syncStatus), failed: make(map[string]bool), refused: make(map[string]time.Time),
	}
	if o.TLS != nil {
		if s.dialer, err = newDialer(o.DataEndpoint, o.TLS, o.Proxy); err != nil {
			return nil, err
		}
	}
	if err := dir.sweep(); err != nil {
		o.Log.Warn("cannot clean the state directory", zap.Error(err))
	}
	s.loadLastGood()
	s.cameras = openCameras(o, dir, s.desired.secrets())
	return s, nil
}

func (o Options) withDefaults() Options {
	if o.Version == "" {
		o.Version = "unknown"
	}
	if o.Check == nil {
		o.Check = func(c edgeconfig.EdgeConfig) error { return c.Validate() }
	}
	if o.Applied == nil {
		o.Applied = func() {}
	}
	if o.Refreshed == nil {
		o.Refreshed = func() {}
	}
	if o.Jobs == nil {
		o.Jobs = func() []JobStatus { return nil }
	}
	if o.Reconnect.Max == 0 && o.Reconnect.Min == 0 {
		o.Reconnect = DefaultReconnect
	}
	if o.Proxy == nil {
		o.Proxy = http.ProxyFromEnvironment
	}
	if o.Files == nil {
		o.Files = atomicfile.OS{}
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Health == nil {
		o.Health = health.NewRegistry(o.Now).Part("", health.JobConfig)
	}
	return o
}

// Run applies the last good set at once, then follows the cloud until ctx ends. It returns nil.
func (s *Source) Run(ctx context.Context) error {
	s.start(ctx)
	s.resumeUploads(ctx)
	var group sync.WaitGroup
	parts := map[string]func(context.Context){
		"Reading the cameras' secrets":      s.cameras.keep,
		"Listing the hub's configurations":  s.list,
		"Applying the hub's configurations": s.reconcile,
	}
	if s.dialer != nil {
		parts["The connection to AWS IoT"] = s.connect
	} else {
		s.timing.listEvery = s.timing.listOnly
		s.o.Health.SetState("listing only")
		s.o.Health.Report(scopeMQTT, health.Info, health.UserFault(CodeMQTT, nil, "%s", WithoutMQTT(s.o.NoTLS)))
		s.o.Log.Info("no MQTT", zap.String("why", s.o.NoTLS))
	}
	for what, run := range parts {
		o := supervise.Options{What: what, Part: s.o.Health, Log: s.o.Log}
		group.Go(func() {
			_ = supervise.Keep(ctx, o, func(ctx context.Context) error { run(ctx); return nil })
		})
	}
	group.Wait()
	s.uploads.group.Wait()
	return nil
}

// CameraURL returns the URL of the camera whose secret has this ARN. A URL that was ever learnt
// is returned at once; only the first one is waited for, 10 s at most. An error is a *health.Fault or ctx's.
func (s *Source) CameraURL(ctx context.Context, secretARN string) (secret.String, error) {
	return s.cameras.get(ctx, secretARN)
}

// CameraFailed reports that the URL in the secret with this ARN led to no video, for whatever cause: the secret
// is read again at once, and then with growing pauses while that goes on.
func (s *Source) CameraFailed(secretARN string, why *health.Fault) {
	s.cameras.failed(secretARN, why.Text)
}

// CameraServed reports that the URL in the secret with this ARN led to video.
func (s *Source) CameraServed(secretARN string) { s.cameras.served(secretARN) }

// CameraChanged returns a channel that is closed when the secret with this ARN has another URL than now.
func (s *Source) CameraChanged(secretARN string) <-chan struct{} { return s.cameras.changes(secretARN) }

// ReadCameras reads the secrets with these ARNs again at once; without one, all.
func (s *Source) ReadCameras(secretARNs ...string) { s.cameras.readNow(secretARNs) }

// CameraRead is when the secret with this ARN was last read with success; zero for never.
func (s *Source) CameraRead(secretARN string) time.Time { return s.cameras.readAt(secretARN) }

// hubARN is this hub's ARN, empty while it is not known.
func (s *Source) hubARN() string {
	s.hubMu.Lock()
	defer s.hubMu.Unlock()
	return s.hub
}

func (s *Source) setHubARN(arn string) {
	s.hubMu.Lock()
	defer s.hubMu.Unlock()
	s.hub = arn
}

// requestListing asks the lister; requests in quick succession are one.
func (s *Source) requestListing() {
	select {
	case s.listNow <- struct{}{}:
	default:
	}
}
