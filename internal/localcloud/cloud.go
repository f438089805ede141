package localcloud

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/refusal"
)

// Where everything is.
const (
	Region  = "us-west-2"
	Account = "123456789012"
)

// RoleAlias is the one that devices get their credentials with.
const RoleAlias = "kvs-edge-local"

// Options of a Cloud.
type Options struct {
	Dir  string      // where everything is kept; created if missing; required
	Log  *zap.Logger // nil = none
	Seed *Seed       // what is to exist from the start; nil = nothing
	// Now is the clock of what is written down and of the timeouts of configurations; nil =
	// time.Now. Signatures and credentials go by the wall clock, as those who use them do.
	Now                func() time.Time
	CredentialLifetime time.Duration // of the devices' credentials; 0 = 1 h
	// StreamDelay is how long streams are CREATING, UPDATING and DELETING; 0 = 300 ms, negative = not
	// at all. It goes by Now.
	StreamDelay time.Duration

	// AsAWS answers nothing that AWS would not answer: no message of docs/mqtt.md changes a sync
	// status, and devices have the rights of AWS's guide only. It implies media.AsStored.
	AsAWS bool
	// Allow are rights of the devices beside those that they have, as IAM names actions
	// (kinesisvideo:ListEdgeAgentConfigurations, iot:RetainPublish): of their role and of the policy
	// of their certificates, on everything.
	Allow []string
	// Deny are rights that devices do not have whatever else allows them, named as in Allow.
	Deny       []string
	Strictness media.Strictness // of the data plane
	Refusals   io.Writer        // gets a line for each refusal; nil = none
	Calls      io.Writer        // gets a line for each request; nil = none
}

// Cloud is a running stand-in for AWS.
type Cloud struct {
	o       Options
	log     *zap.Logger
	refused *refusal.Log
	pki     *pki
	media   *media.Service
	faults  *Faults
	broker  *broker
	calls   *callLog
	metrics *metrics
	issued  issued
	keys    keyring
	kick    chan struct{} // see wake
	lock    *os.File

	api, credentials net.Addr
	servers          []*http.Server
	fronts           []*front
	stop             context.CancelFunc
	group            sync.WaitGroup

	mu      sync.Mutex
	doc     document      // guarded by mu
	changed chan struct{} // closed and replaced with every change of doc; guarded by mu
	closed  bool          // guarded by mu
}

// Start opens the directory, goes on where an earlier Cloud stopped, and serves.
func Start(o Options) (*Cloud, error) {
	c, err := open(o)
	if err != nil {
		return nil, err
	}
	if err := c.serve(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	if o.Seed != nil {
		if err := c.plant(o.Seed); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return c, nil
}

// open reads what the directory holds.
func open(o Options) (c *Cloud, err error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.AsAWS {
		o.Strictness = media.AsStored
	}
	if err := CheckAllow(slices.Concat(o.Allow, o.Deny)); err != nil {
		return nil, err
	}
	if o.CredentialLifetime == 0 {
		o.CredentialLifetime = time.Hour
	}
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return nil, fmt.Errorf("cannot find the directory of the local cloud: %w", err)
	}
	c = &Cloud{o: o, log: o.Log, kick: make(chan struct{}, 1), changed: make(chan struct{}), stop: func() {}}
	c.refused, c.calls = refusal.NewLog(o.Refusals), newCallLog(o.Calls)
	c.faults = newFaults(c)
	if err := c.load(); err != nil {
		return nil, err
	}
	if c.pki, err = openPKI(filepath.Join(o.Dir, "pki")); err != nil {
		return nil, errors.Join(err, c.unlock())
	}
	c.keys = newKeyring(c.doc.Key, o.CredentialLifetime)
	c.media, err = media.New(media.Options{
		Dir: o.Dir, Streams: lookup{c}, Now: o.Now, Log: o.Log, Verify: c.verifyMedia, Strictness: o.Strictness, Refusals: c.refused,
		Caller: func(r *http.Request) string { return callOf(r.Context()).caller },
	})
	if err != nil {
		return nil, errors.Join(err, c.unlock())
	}
	if c.metrics, err = openMetrics(filepath.Join(o.Dir, "state", "metrics.jsonl"), o.Now()); err != nil {
		return nil, errors.Join(err, c.media.Close(), c.unlock())
	}
	return c, nil
}

// serve opens the three listeners and notes their ports.
func (c *Cloud) serve() error {
	var listeners [3]*gate
	for i, port := range []int{c.doc.Ports.API, c.doc.Ports.Credentials, c.doc.Ports.MQTT} {
		listener, err := listen(port)
		if err != nil {
			for _, opened := range listeners[:i] {
				_ = opened.Close()
			}
			return err
		}
		listeners[i] = c.faults.gate(listener)
	}
	api := listeners[0]
	credentials, data := newCredentialsFront(c, listeners[1]), newDataFront(c, listeners[2])
	c.api, c.credentials = api.Addr(), credentials.gate.Addr()
	c.fronts = []*front{credentials, data}
	for _, f := range c.fronts {
		c.group.Go(f.serve)
	}

	ctx, stop := context.WithCancel(context.Background())
	c.stop = stop
	var err error
	if c.broker, err = startBroker(c, portOf(data.gate), data.mqtt); err != nil {
		return errors.Join(err, api.Close())
	}
	config := c.pki.serverConfig(tls.NoClientCert)
	config.NextProtos = []string{alpnHTTP} // what the data plane is served over
	c.serveHTTP(tls.NewListener(api, config), c.handleAPI)
	c.serveHTTP(credentials.http, c.handleCredentials)
	c.serveHTTP(data.http, c.handleData)
	c.group.Go(func() { c.synchronise(ctx) })
	return c.update(func(d *document) error {
		d.Ports = ports{API: portOf(api), Credentials: portOf(credentials.gate), MQTT: portOf(data.gate)}
		return nil
	})
}

// listen takes the port that was used before, so that settings stay right, or else any.
func listen(port int) (*net.TCPListener, error) {
	if port != 0 {
		if l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}); err == nil {
			return l, nil
		}
	}
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, fmt.Errorf("the local cloud cannot listen on 127.0.0.1: %w", err)
	}
	return l, nil
}

func portOf(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

func (c *Cloud) serveHTTP(l net.Listener, handler http.HandlerFunc) {
	server := &http.Server{Handler: c.observed(handler), ReadHeaderTimeout: 30 * time.Second, ErrorLog: zap.NewStdLog(c.log),
		ConnContext: withThing}
	c.servers = append(c.servers, server)
	c.group.Go(func() { _ = server.Serve(l) })
}

// Close ends all connections and everything that runs. What was written stays in Dir.
func (c *Cloud) Close() error {
	c.mu.Lock()
	already := c.closed
	c.closed = true
	c.mu.Unlock()
	if already {
		return nil
	}
	c.stop()
	errs := []error{c.media.Close()}
	for _, server := range c.servers {
		errs = append(errs, server.Close())
	}
	for _, f := range c.fronts {
		errs = append(errs, f.close())
	}
	c.faults.CutOff() // the broker waits for connections, even for those that never say a word
	if c.broker != nil {
		errs = append(errs, c.broker.close())
	}
	c.group.Wait()
	return errors.Join(append(errs, c.metrics.close(), c.unlock())...)
}

// Endpoint is the URL of everything that AWS serves over HTTPS.
func (c *Cloud) Endpoint() string { return "https://" + c.api.String() }

// MQTTEndpoint is host:port of the message broker.
func (c *Cloud) MQTTEndpoint() string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(c.broker.port))
}

// CredentialEndpoint is host:port of the credentials endpoint.
func (c *Cloud) CredentialEndpoint() string { return c.credentials.String() }

// Dir is where everything is kept.
func (c *Cloud) Dir() string { return c.o.Dir }

// Media is the data plane: what was uploaded, and its faults.
func (c *Cloud) Media() *media.Service { return c.media }

// Faults is where failures are ordered.
func (c *Cloud) Faults() *Faults { return c.faults }
