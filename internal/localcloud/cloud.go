package localcloud

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/account"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/archivedmedia"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/calls"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/cloudwatch"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/devicetls"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/iam"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/iot"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/iotcreds"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/pki"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/refusal"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/secretsmanager"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/sigv4"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/sitewise"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/state"
)

// Where everything is.
const (
	Region  = account.Region
	Account = account.ID
)

// RoleAlias is the one that devices get their credentials with.
const RoleAlias = account.RoleAlias

// Options of a Cloud.
type Options struct {
	Dir string // where everything is kept; created if missing; required
	// Address is what everything listens on, an address of this machine alone; the zero value = 127.0.0.1.
	Address netip.Addr
	// Region that the cloud is; the zero value = us-west-2. The partition of all ARNs follows from it.
	Region string
	Log    *zap.Logger // nil = none
	Seed   *Seed       // what is to exist from the start; nil = nothing
	// MediaEndpoint is the URL that GetDataEndpoint answers with, for a proxy in front of the data plane; empty = Endpoint.
	MediaEndpoint string
	// Now is the clock of written records and of the timeouts of configurations; nil =
	// time.Now. Signatures and credentials use the wall clock, as clients do.
	Now                func() time.Time
	CredentialLifetime time.Duration // of the devices' credentials; 0 = 1 h
	// StreamDelay is how long streams and the models and assets of SiteWise are CREATING, UPDATING and DELETING; 0 = 300 ms, negative = not
	// at all. It uses Now.
	StreamDelay time.Duration

	// AsAWS answers nothing that AWS would not answer: no message of docs/mqtt.md changes a sync
	// status, and devices have the rights of AWS's guide only. It implies media.AsStored.
	AsAWS bool
	// Allow are rights of the devices beside those that they have, as IAM names actions
	// (kinesisvideo:ListEdgeAgentConfigurations, iot:RetainPublish): of their role and of the policy
	// of their certificates, on everything.
	Allow []string
	// Deny are rights that devices do not have even if others allow them, named as in Allow.
	Deny       []string
	Strictness media.Strictness // of the data plane
	Refusals   io.Writer        // gets a line for each refusal; nil = none
	Calls      io.Writer        // gets a line for each request; nil = none
}

// Cloud is a running stand-in for AWS.
type Cloud struct {
	o        Options
	log      *zap.Logger
	store    *state.Store
	doc      document // in store
	calls    *calls.Log
	pki      *pki.Authority
	keys     sigv4.Keyring
	policies *iam.Policies
	faults   *Faults

	kvs         *kvs.ControlPlane
	media       *media.Service
	secrets     *secretsmanager.Manager
	metrics     *cloudwatch.Service
	archived    *archivedmedia.Service
	sitewise    *sitewise.Service
	broker      *iot.Broker
	credentials *iotcreds.Endpoint

	ports   ports
	servers []*http.Server
	devices []*devicetls.Endpoint
	serving bool // the broker was started
	stop    context.CancelFunc
	group   sync.WaitGroup
}

// Start opens the directory, continues where an earlier Cloud stopped, and serves.
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
func open(o Options) (*Cloud, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.AsAWS {
		o.Strictness = media.AsStored
	}
	if !o.Address.IsValid() {
		o.Address = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	if !o.Address.IsLoopback() {
		return nil, fmt.Errorf("the local cloud listens on addresses of this machine only, and %s is not one", o.Address)
	}
	if o.CredentialLifetime == 0 {
		o.CredentialLifetime = time.Hour
	}
	c := &Cloud{o: o, log: o.Log, stop: func() {}}
	var err error
	c.policies, err = iam.New(iam.Options{Home: account.Home(o.Region), AsAWS: o.AsAWS, Allow: o.Allow, Deny: o.Deny, StreamARN: c.streamARN})
	if err != nil {
		return nil, err
	}
	if c.o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return nil, fmt.Errorf("cannot find the directory of the local cloud: %w", err)
	}
	if c.store, err = c.doc.open(filepath.Join(c.o.Dir, "state"), account.Home(o.Region)); err != nil {
		return nil, err
	}
	if err := c.openServices(); err != nil {
		return nil, errors.Join(err, c.store.Close())
	}
	return c, nil
}

func (c *Cloud) openServices() (err error) {
	o := c.o
	if c.pki, err = pki.Open(filepath.Join(o.Dir, "pki"), o.Address); err != nil {
		return err
	}
	refusals := refusal.NewLog(o.Refusals)
	c.calls = calls.NewLog(calls.Options{Lines: o.Calls, Refusals: refusals, Failures: o.Log})
	c.keys = sigv4.NewKeyring(c.doc.Key, o.CredentialLifetime, account.Home(o.Region))
	c.faults = newFaults(c)
	c.credentials = iotcreds.New(iotcreds.Options{Keys: c.keys, Policies: c.policies, Revoked: c.isRevoked, Log: c.calls})
	c.broker = iot.NewBroker(iot.Options{
		Policies: c.policies, Retained: c.store.Path("retained.json"), Log: c.calls, Failures: o.Log,
		Hear:       map[string]func(string, []byte){kvs.TopicStatus: c.hearStatus, kvs.TopicJobs: c.hearJobs},
		Subscribed: func(thing string) { c.kvs.Resend(thing) },
	})
	c.kvs = kvs.New(kvs.Options{
		Home: account.Home(o.Region), State: state.PartOf(c.store, &c.doc.Streams), Now: o.Now, Log: o.Log, Hubs: c.broker,
		Endpoint:    c.mediaEndpoint,
		StreamDelay: o.StreamDelay, AsAWS: o.AsAWS,
	})
	c.secrets = secretsmanager.New(secretsmanager.Options{
		Home: account.Home(o.Region), State: state.PartOf(c.store, &c.doc.Secrets), Now: o.Now,
		Fault: func(arn string) error { return c.faults.strike("secret " + arn) },
	})
	c.media, err = media.New(media.Options{
		Dir: o.Dir, Streams: c.kvs, Now: o.Now, Log: o.Log, Verify: c.verifyMedia, Strictness: o.Strictness, Refusals: refusals,
		Caller: func(r *http.Request) string { return calls.Of(r.Context()).Caller },
	})
	if err != nil {
		return err
	}
	if c.archived, err = c.newArchivedMedia(); err != nil {
		return errors.Join(err, c.media.Close())
	}
	if c.metrics, err = cloudwatch.Open(c.store.Path("metrics.jsonl"), o.Now); err != nil {
		return errors.Join(err, c.media.Close())
	}
	if c.sitewise, err = c.openSiteWise(); err != nil {
		return errors.Join(err, c.media.Close(), c.metrics.Close())
	}
	return nil
}

// serve opens the three listeners and notes their ports.
func (c *Cloud) serve() error {
	var listeners [3]*gate
	for i, port := range []int{c.doc.Ports.API, c.doc.Ports.Credentials, c.doc.Ports.MQTT} {
		listener, err := c.listen(port)
		if err != nil {
			for _, opened := range listeners[:i] {
				_ = opened.Close()
			}
			return err
		}
		listeners[i] = c.faults.gate(listener)
	}
	api, credentials, data := listeners[0], c.credentialsEndpoint(listeners[1]), c.dataEndpoint(listeners[2])
	c.ports = ports{API: portOf(listeners[0]), Credentials: portOf(listeners[1]), MQTT: portOf(listeners[2])}
	c.devices = []*devicetls.Endpoint{credentials, data}
	for _, e := range c.devices {
		c.group.Go(e.Serve)
	}

	ctx, stop := context.WithCancel(context.Background())
	c.stop = stop
	if err := c.broker.Start(data.MQTT()); err != nil {
		return errors.Join(err, api.Close())
	}
	c.serving = true
	config := c.pki.ServerConfig(tls.NoClientCert)
	config.NextProtos = []string{devicetls.ALPNHTTP} // what the data plane is served over
	c.serveHTTP(tls.NewListener(api, config), c.handleAPI)
	c.serveHTTP(credentials.HTTP(), c.credentials.ServeHTTP)
	c.serveHTTP(data.HTTP(), func(w http.ResponseWriter, r *http.Request) { c.broker.HandleData(w, r, c.serveAPI) })
	c.group.Go(func() { c.kvs.Run(ctx) })
	return c.store.Update(func() error {
		c.doc.Ports = c.ports
		return nil
	})
}

func (c *Cloud) credentialsEndpoint(l net.Listener) *devicetls.Endpoint {
	return devicetls.NewCredentials(l, devicetls.Options{
		Name: "the IoT credentials endpoint", Config: c.pki.ServerConfig, Revoked: c.isRevoked, Log: c.calls,
	})
}

func (c *Cloud) dataEndpoint(l net.Listener) *devicetls.Endpoint {
	return devicetls.NewData(l, devicetls.Options{
		Name: "the IoT data endpoint", Config: c.pki.ServerConfig, Revoked: c.isRevoked, Log: c.calls,
	})
}

// listen takes the port that was used before, so that settings stay right, or else any.
func (c *Cloud) listen(port int) (*net.TCPListener, error) {
	ip := net.IP(c.o.Address.AsSlice())
	if port != 0 {
		if l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: ip, Port: port}); err == nil {
			return l, nil
		}
	}
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: ip})
	if err != nil {
		return nil, fmt.Errorf("the local cloud cannot listen on %s: %w", c.o.Address, err)
	}
	return l, nil
}

func portOf(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

func (c *Cloud) serveHTTP(l net.Listener, handler http.HandlerFunc) {
	server := &http.Server{Handler: c.calls.Observe(handler), ReadHeaderTimeout: 30 * time.Second,
		ErrorLog: log.New(serverLog{c.log}, "", 0), ConnContext: devicetls.WithThing}
	c.servers = append(c.servers, server)
	c.group.Go(func() { _ = server.Serve(l) })
}

// serverLog has in the log what net/http says of connections.
type serverLog struct{ log *zap.Logger }

func (l serverLog) Write(line []byte) (int, error) {
	logevent.ConnectionFailed.Log(l.log, zap.String("error", strings.TrimSpace(string(line))))
	return len(line), nil
}

// Close ends all connections and everything that runs. What was written stays in Dir.
func (c *Cloud) Close() error {
	if c.store.Seal() {
		return nil
	}
	c.stop()
	errs := []error{c.media.Close()}
	for _, server := range c.servers {
		errs = append(errs, server.Close())
	}
	for _, e := range c.devices {
		errs = append(errs, e.Close())
	}
	c.faults.CutOff() // the broker waits for connections, even for those that never say a word
	if c.serving {
		errs = append(errs, c.broker.Close())
	}
	c.group.Wait()
	return errors.Join(append(errs, c.metrics.Close(), c.sitewise.Close(), c.store.Close())...)
}

func (c *Cloud) local(port int) string {
	return net.JoinHostPort(c.o.Address.String(), strconv.Itoa(port))
}

// Endpoint is the URL of everything that AWS serves over HTTPS.
func (c *Cloud) Endpoint() string { return "https://" + c.local(c.ports.API) }

// mediaEndpoint is the URL of the data plane.
func (c *Cloud) mediaEndpoint() string { return cmp.Or(c.o.MediaEndpoint, c.Endpoint()) }

// MQTTEndpoint is host:port of the message broker.
func (c *Cloud) MQTTEndpoint() string { return c.local(c.ports.MQTT) }

// CredentialEndpoint is host:port of the credentials endpoint.
func (c *Cloud) CredentialEndpoint() string { return c.local(c.ports.Credentials) }

// HubARN is the HubDeviceArn of a thing.
func (c *Cloud) HubARN(thing string) string {
	return account.Home(c.o.Region).ARN("iot", "thing/"+thing)
}

// Dir is where everything is kept.
func (c *Cloud) Dir() string { return c.o.Dir }

// Media is the data plane: what was uploaded, and its faults.
func (c *Cloud) Media() *media.Service { return c.media }

// Faults is where failures are ordered.
func (c *Cloud) Faults() *Faults { return c.faults }
