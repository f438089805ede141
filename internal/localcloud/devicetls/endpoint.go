// Package devicetls accepts the TLS connections of devices, as AWS IoT does: it asks for certificates, refuses those that
// are revoked, and hands connections on by what they speak. It must not know what is said on them.
package devicetls

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/calls"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/refusal"
)

// What clients may ask for by ALPN. Source: IoT Core developer guide, "Device communication protocols".
const (
	alpnMQTT      = "x-amzn-mqtt-ca" // MQTT with a certificate, on port 443
	alpnPlainMQTT = "mqtt"
	alpnHTTPCert  = "x-amzn-http-ca" // HTTPS with a certificate
	ALPNHTTP      = "http/1.1"       // HTTPS, signed or with a certificate
)

const (
	handshakeTimeout = 10 * time.Second
	firstByteTimeout = 30 * time.Second // also for the whole CONNECT
	firstOfConnect   = 0x10             // the byte that CONNECT begins with
)

// Options of an Endpoint.
type Options struct {
	Name    string // for lines about refusals
	Config  func(tls.ClientAuthType) *tls.Config
	Revoked func(thing string) bool // whether the certificate of a thing is not active
	Log     *calls.Log
}

// Endpoint accepts the TLS connections of devices and passes them on by their
// protocol. The data endpoint has one port for all that AWS's has on 443, 8443 and 8883.
type Endpoint struct {
	o        Options
	accepts  net.Listener
	config   *tls.Config
	http     *handoff
	mqtt     *handoff // nil = there is no MQTT here
	handlers sync.WaitGroup
}

// errRevoked ends the handshake of a certificate that is not active.
type errRevoked struct{ thing string }

// Error says so.
func (e errRevoked) Error() string { return "the certificate is not active" }

// NewData returns the data endpoint: MQTT and HTTPS.
func NewData(l net.Listener, o Options) *Endpoint {
	e := &Endpoint{o: o, accepts: l, http: newHandoff(l), mqtt: newHandoff(l)}
	e.config = &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: e.configFor}
	return e
}

// NewCredentials returns the credentials endpoint: HTTPS of clients with a certificate.
func NewCredentials(l net.Listener, o Options) *Endpoint {
	return &Endpoint{o: o, accepts: l, http: newHandoff(l), config: o.Config(tls.RequireAndVerifyClientCert)}
}

// HTTP is where the connections arrive that speak HTTP.
func (e *Endpoint) HTTP() net.Listener { return e.http }

// MQTT is where the connections arrive that speak MQTT, each a *Conn.
func (e *Endpoint) MQTT() net.Listener { return e.mqtt }

// configFor asks for a certificate where AWS does: only signed HTTPS needs none.
func (e *Endpoint) configFor(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	asks := func(names ...string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return slices.Contains(hello.SupportedProtos, name) })
	}
	config := e.o.Config(tls.RequireAndVerifyClientCert)
	config.NextProtos = []string{alpnMQTT, alpnPlainMQTT, alpnHTTPCert}
	if !asks(config.NextProtos...) && asks(ALPNHTTP) {
		config.ClientAuth, config.NextProtos = tls.VerifyClientCertIfGiven, []string{ALPNHTTP}
	}
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if thing := peer(state); thing != "" && e.o.Revoked(thing) {
			return errRevoked{thing}
		}
		return nil
	}
	return config, nil
}

// peer is the thing of a connection's certificate; "" = it has none.
func peer(state tls.ConnectionState) string {
	if len(state.PeerCertificates) == 0 {
		return ""
	}
	return state.PeerCertificates[0].Subject.CommonName
}

// Serve accepts until Close.
func (e *Endpoint) Serve() {
	for {
		conn, err := e.accepts.Accept()
		if err != nil {
			break
		}
		e.handlers.Go(func() { e.handle(conn) })
	}
	e.handlers.Wait()
}

// Close ends the listeners of all connections, which stay open.
func (e *Endpoint) Close() error {
	err := e.accepts.Close()
	e.http.end()
	if e.mqtt != nil {
		e.mqtt.end()
	}
	return err
}

func (e *Endpoint) handle(raw net.Conn) {
	conn := tls.Server(raw, e.config)
	_ = conn.SetDeadline(time.Now().Add(handshakeTimeout)) // where it fails, the handshake fails too
	if err := conn.HandshakeContext(context.Background()); err != nil {
		e.refuse(conn, err)
		_ = conn.Close()
		return
	}
	state := conn.ConnectionState()
	_ = conn.SetDeadline(time.Now().Add(firstByteTimeout))
	device := &Conn{Conn: conn, head: bufio.NewReader(conn), thing: peer(state)}
	if e.mqtt == nil || state.NegotiatedProtocol == ALPNHTTP || state.NegotiatedProtocol == alpnHTTPCert {
		_ = conn.SetDeadline(time.Time{})
		e.http.pass(device) // not as *tls.Conn: the HTTP server does not know AWS's protocol names
		return
	}
	first, err := device.head.Peek(1)
	switch {
	case err != nil:
		_ = conn.Close()
	case first[0] != firstOfConnect && state.NegotiatedProtocol == "":
		_ = conn.SetDeadline(time.Time{})
		e.http.pass(device)
	default:
		e.mqtt.pass(device)
	}
}

// refuse writes the line about a handshake that this side ended.
func (e *Endpoint) refuse(conn *tls.Conn, err error) {
	var network *net.OpError // also how an alert of the client is reported
	if errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, context.DeadlineExceeded) {
		return
	}
	r := refusal.Refusal{What: "TLS handshake", Of: e.o.Name, By: peer(conn.ConnectionState()), Where: "the greeting", Why: err.Error()}
	var untrusted *tls.CertificateVerificationError
	var revoked errRevoked
	switch {
	case errors.As(err, &revoked):
		r.By, r.Where = revoked.thing, "the certificate"
	case errors.As(err, &untrusted):
		r.Where = "the certificate"
		if len(untrusted.UnverifiedCertificates) > 0 {
			r.Why = fmt.Sprintf("%v; it names itself %s", untrusted.Err, subject(untrusted.UnverifiedCertificates[0]))
		}
	}
	e.o.Log.AddRefusal(r)
	e.o.Log.Add(&calls.Call{Began: time.Now(), Service: "tls", Operation: "handshake", Resource: e.o.Name, Caller: r.By, Outcome: "refused"})
}

func subject(certificate *x509.Certificate) string { return certificate.Subject.CommonName }

// Conn is the connection of a device, whose first byte was read.
type Conn struct {
	*tls.Conn
	head  *bufio.Reader
	thing string // of its certificate
}

// Thing is the thing of the connection's certificate; "" = it has none.
func (c *Conn) Thing() string { return c.thing }

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) { return c.head.Read(p) }

type thingKey struct{}

// WithThing notes the thing of a connection for its requests.
func WithThing(ctx context.Context, conn net.Conn) context.Context {
	if device, ok := conn.(*Conn); ok {
		return context.WithValue(ctx, thingKey{}, device.thing)
	}
	return ctx
}

// ThingOf is the thing whose certificate a request came with; "" = none.
func ThingOf(r *http.Request) string {
	thing, _ := r.Context().Value(thingKey{}).(string)
	return thing
}
