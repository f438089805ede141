// Package iotconfig owns the hub's MQTT connection to AWS IoT: it queues the messages in which the cloud says what
// it wants, and sends the statuses with which the hub answers. It must not know what a configuration makes the hub do,
// and must never block a recorder.
//
// A message passes: connection → inbox → kvsconfig or uploadrequest. A status passes: outbox → connection.
package iotconfig

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/meter"
	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
)

// Options of a Client.
type Options struct {
	// ThingName of the hub in AWS IoT. Required.
	ThingName string
	// ClientID at the MQTT broker. Default ThingName.
	ClientID string
	// DataEndpoint is the IoT data endpoint, host[:port]. Without a port 8883 is tried, then 443
	// with ALPN. Required with TLS.
	DataEndpoint string
	// Refused says why DataEndpoint must not be used: a *health.Fault. Default: it may be.
	Refused error
	// Version of the agent, for agent/status. Default "unknown".
	Version string
	// TLS holds the device certificate and the roots of DataEndpoint. Without it there is no connection,
	// and NoTLS, why that is so, is required.
	TLS   *tls.Config
	NoTLS string
	// ListedWithin is when a change of a configuration has arrived at the latest without a connection.
	ListedWithin time.Duration
	// Needless reports whether the hub does without the messages, as other sources configure it: then that there is no
	// connection is information only. Default: never.
	Needless func() bool
	// Connected is called when there is a connection, and messages may have been missed before. It must not wait.
	// Default none.
	Connected func()
	// Lost is called when a message is dropped, as too many wait already. It must not wait.
	// Default none.
	Lost func()
	// Jobs returns the status of all streams' jobs for jobs/status. Default none.
	Jobs func() []JobStatus
	// JobsChanged receives when Jobs may give something new. Sends to it must not wait. Default none.
	JobsChanged <-chan struct{}
	// Notifications are those of AWS IoT SiteWise. Default none.
	Notifications Notifications
	// Reconnect paces the connections to the broker. Default: full jitter, 10 s doubling to 5 min.
	Reconnect backoff.Policy
	// Proxy returns the HTTP proxy for a request, which MQTT then goes through on port 443.
	// Default http.ProxyFromEnvironment.
	Proxy func(*http.Request) (*url.URL, error)
	// Meter counts the bytes of the connections. Default: none does.
	Meter *meter.Meter
	// Log. Default none.
	Log *zap.Logger
	// Now is the wall clock. Default time.Now.
	Now func() time.Time
	// Health receives states and conditions. Default: one of its own.
	Health *health.Component
}

// Client keeps the hub's connection.
type Client struct {
	o       Options
	topics  topics
	timing  timing
	configs *inbox // about configurations
	uploads *inbox // about uploads
	events  *inbox // about events
	holds   *inbox // about holds
	outbox  *outbox
	dialer  *dialer // nil without TLS

	notifyAfter time.Time // when notifications are subscribed to again, of the connection's goroutine

	retaining retaining     // of the connection's goroutine
	retainNow signal.Signal // to try retained messages again
}

// clientID is how the hub is called at the broker.
func (o Options) clientID() string {
	if o.ClientID != "" {
		return o.ClientID
	}
	return o.ThingName
}

// New returns a Client that is not connected.
func New(o Options) (*Client, error) {
	switch {
	case o.ThingName == "":
		return nil, errors.New("the thing name is not set")
	case o.TLS == nil && o.NoTLS == "":
		return nil, errors.New("the device certificate is not set")
	case o.TLS != nil && o.DataEndpoint == "":
		return nil, errors.New("the IoT data endpoint is not set")
	}
	c := newClient(o.withDefaults())
	c.o.Health.SetState("offline")
	if o.TLS != nil {
		var err error
		if c.dialer, err = newDialer(o.DataEndpoint, o.TLS, c.o.Proxy, o.Meter); err != nil {
			return nil, err
		}
		c.dialer.refused = o.Refused
	}
	return c, nil
}

func newClient(o Options) *Client {
	return &Client{
		o: o, topics: topicsOf(o.ThingName), timing: defaultTiming(),
		configs: newInbox(configBounds), uploads: newInbox(uploadBounds), events: newInbox(uploadBounds),
		holds:  newInbox(uploadBounds),
		outbox: newOutbox(), retainNow: signal.New(),
	}
}

func (o Options) withDefaults() Options {
	if o.Version == "" {
		o.Version = "unknown"
	}
	if o.Needless == nil {
		o.Needless = func() bool { return false }
	}
	if o.Connected == nil {
		o.Connected = func() {}
	}
	if o.Lost == nil {
		o.Lost = func() {}
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
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Health == nil {
		o.Health = health.NewRegistry(o.Now).Component("", health.JobConfig)
	}
	return o
}

// Run keeps a connection to the broker, until ctx ends. Without TLS it says so, and only waits.
func (c *Client) Run(ctx context.Context) {
	if c.dialer == nil {
		c.o.Health.SetState("listing only")
		fault := health.UserFault(CodeMQTT, nil, "%s", WithoutMQTT(c.o.NoTLS, c.o.ListedWithin))
		c.o.Health.Report(scopeMQTT, health.Info, fault)
		logevent.MQTTNotUsed.Log(c.o.Log, zap.Error(fault)) // no warning, as it may be intended
		<-ctx.Done()
		return
	}
	c.keepConnected(ctx)
}

// Configurations are the messages about configurations.
func (c *Client) Configurations() Configurations {
	return Configurations{inbox: c.configs, topics: c.topics}
}

// UploadRequests are the messages that ask for uploads.
func (c *Client) UploadRequests() UploadRequests { return UploadRequests{inbox: c.uploads} }

// Events are the messages that trigger events.
func (c *Client) Events() Events { return Events{inbox: c.events} }

// Holds are the messages that ask for holds, and for their end.
func (c *Client) Holds() Events { return Events{inbox: c.holds} }

// PublishHold sends an answer to the request about a hold with that id, as PublishUpload does.
func (c *Client) PublishHold(payload []byte, id string, sent func()) {
	c.outbox.put(publication{topic: c.topics.holdStatus, payload: payload, about: "hold/" + id, sent: sent})
}

// PublishEvent sends an answer about the event with that id, as PublishUpload does.
func (c *Client) PublishEvent(payload []byte, id string, sent func()) {
	c.outbox.put(publication{topic: c.topics.eventStatus, payload: payload, about: "event/" + id, sent: sent})
}

// PublishSync sends a status of a configuration, as soon as there is a connection.
func (c *Client) PublishSync(s edgeconfig.SyncStatus) {
	payload, err := json.Marshal(syncDocument(s, c.o.Now()))
	if err != nil {
		logevent.StatusNotEncoded.Log(c.o.Log, zap.String("stream", s.StreamName), zap.Error(err))
		return
	}
	c.outbox.put(publication{topic: c.topics.configStatus, payload: payload, about: s.StreamName})
}

// PublishUpload sends an answer to the upload request with that id, as soon as there is a connection; while there is none
// the last one is kept. sent is called when the broker has it, and must not wait; nil: nobody wants to know.
func (c *Client) PublishUpload(payload []byte, id string, sent func()) {
	c.outbox.put(publication{topic: c.topics.uploadStatus, payload: payload, about: "upload/" + id, sent: sent})
}
