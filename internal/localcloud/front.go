package localcloud

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

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/refusal"
)

// What clients may ask for by ALPN. Source: IoT Core developer guide, "Device communication protocols".
const (
	alpnMQTT      = "x-amzn-mqtt-ca" // MQTT with a certificate, on port 443
	alpnPlainMQTT = "mqtt"
	alpnHTTPCert  = "x-amzn-http-ca" // HTTPS with a certificate
	alpnHTTP      = "http/1.1"       // HTTPS, signed or with a certificate
)

const (
	handshakeTimeout = 10 * time.Second
	firstByteTimeout = 30 * time.Second // also for the whole CONNECT
	firstOfConnect   = 0x10             // the byte that CONNECT begins with
)

// front accepts the TLS connections of devices at one endpoint and hands them on by what they
// speak. The data endpoint has one port for all that AWS's has on 443, 8443 and 8883.
type front struct {
	cloud    *Cloud
	name     string // of the endpoint, for lines about refusals
	gate     *gate
	config   *tls.Config
	http     *handoff
	mqtt     *handoff // nil = there is no MQTT here
	handlers sync.WaitGroup
}

// errRevoked ends the handshake of a certificate that is not active.
type errRevoked struct{ thing string }

// Error says so.
func (e errRevoked) Error() string { return "the certificate is not active" }

func newDataFront(c *Cloud, g *gate) *front {
	f := &front{cloud: c, name: "the IoT data endpoint", gate: g, http: newHandoff(g), mqtt: newHandoff(g)}
	f.config = &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: f.configFor}
	return f
}

func newCredentialsFront(c *Cloud, g *gate) *front {
	return &front{cloud: c, name: "the IoT credentials endpoint", gate: g, http: newHandoff(g),
		config: c.pki.serverConfig(tls.RequireAndVerifyClientCert)}
}

// configFor asks for a certificate where AWS does: only signed HTTPS needs none.
func (f *front) configFor(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	asks := func(names ...string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return slices.Contains(hello.SupportedProtos, name) })
	}
	config := f.cloud.pki.serverConfig(tls.RequireAndVerifyClientCert)
	config.NextProtos = []string{alpnMQTT, alpnPlainMQTT, alpnHTTPCert}
	if !asks(config.NextProtos...) && asks(alpnHTTP) {
		config.ClientAuth, config.NextProtos = tls.VerifyClientCertIfGiven, []string{alpnHTTP}
	}
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if thing := peer(state); thing != "" && f.cloud.isRevoked(thing) {
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

// serve accepts until close.
func (f *front) serve() {
	for {
		conn, err := f.gate.Accept()
		if err != nil {
			break
		}
		f.handlers.Go(func() { f.handle(conn) })
	}
	f.handlers.Wait()
}

func (f *front) close() error {
	err := f.gate.Close()
	f.http.end()
	if f.mqtt != nil {
		f.mqtt.end()
	}
	return err
}

func (f *front) handle(raw net.Conn) {
	conn := tls.Server(raw, f.config)
	_ = conn.SetDeadline(time.Now().Add(handshakeTimeout)) // where it fails, the handshake fails too
	if err := conn.HandshakeContext(context.Background()); err != nil {
		f.refuse(conn, err)
		_ = conn.Close()
		return
	}
	state := conn.ConnectionState()
	_ = conn.SetDeadline(time.Now().Add(firstByteTimeout))
	device := &deviceConn{Conn: conn, head: bufio.NewReader(conn), thing: peer(state)}
	if f.mqtt == nil || state.NegotiatedProtocol == alpnHTTP || state.NegotiatedProtocol == alpnHTTPCert {
		_ = conn.SetDeadline(time.Time{})
		f.http.pass(device) // not as *tls.Conn: the HTTP server does not know AWS's protocol names
		return
	}
	first, err := device.head.Peek(1)
	switch {
	case err != nil:
		_ = conn.Close()
	case first[0] != firstOfConnect && state.NegotiatedProtocol == "":
		_ = conn.SetDeadline(time.Time{})
		f.http.pass(device)
	default:
		f.mqtt.pass(device)
	}
}

// refuse writes the line about a handshake that this side ended.
func (f *front) refuse(conn *tls.Conn, err error) {
	var network *net.OpError // also how an alert of the client is reported
	if errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, context.DeadlineExceeded) {
		return
	}
	r := refusal.Refusal{What: "TLS handshake", Of: f.name, By: peer(conn.ConnectionState()), Where: "the greeting", Why: err.Error()}
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
	f.cloud.refused.Add(r)
	f.cloud.calls.add(&call{began: time.Now(), service: "tls", operation: "handshake", resource: f.name, caller: r.By, outcome: "refused"})
}

func subject(certificate *x509.Certificate) string { return certificate.Subject.CommonName }

// deviceConn is the connection of a device, of which the first byte was looked at.
type deviceConn struct {
	*tls.Conn
	head  *bufio.Reader
	thing string // of its certificate
}

// Read implements net.Conn.
func (c *deviceConn) Read(p []byte) (int, error) { return c.head.Read(p) }

type thingKey struct{}

// withThing notes the thing of a connection for its requests.
func withThing(ctx context.Context, conn net.Conn) context.Context {
	if device, ok := conn.(*deviceConn); ok {
		return context.WithValue(ctx, thingKey{}, device.thing)
	}
	return ctx
}

// certificateThing is the thing whose certificate a request came with; "" = none.
func certificateThing(r *http.Request) string {
	thing, _ := r.Context().Value(thingKey{}).(string)
	return thing
}

// handoff is a net.Listener of connections that a front accepted.
type handoff struct {
	addr  net.Addr
	conns chan net.Conn
	ended chan struct{}
	once  sync.Once
}

func newHandoff(g *gate) *handoff {
	return &handoff{addr: g.Addr(), conns: make(chan net.Conn), ended: make(chan struct{})}
}

func (h *handoff) pass(conn net.Conn) {
	select {
	case h.conns <- conn:
	case <-h.ended:
		_ = conn.Close()
	}
}

func (h *handoff) end() { h.once.Do(func() { close(h.ended) }) }

// Accept implements net.Listener.
func (h *handoff) Accept() (net.Conn, error) {
	select {
	case conn := <-h.conns:
		return conn, nil
	case <-h.ended:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (h *handoff) Close() error { h.end(); return nil }

// Addr implements net.Listener.
func (h *handoff) Addr() net.Addr { return h.addr }
