package iotconfig

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awsclient"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/connfault"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/meter"
	"github.com/kvs-edge/kvs-edge-agent/internal/neterr"
)

// The ports of the IoT data endpoint, and what TLS must say on the second.
// Source: AWS IoT Core Developer Guide, "Device communication protocols".
const (
	portMQTT  = "8883"
	portHTTPS = "443"
	alpnMQTT  = "x-amzn-mqtt-ca"
)

// writeTimeout bounds each write to the broker: a peer that stops reading must not hold us.
const writeTimeout = 10 * time.Second

// dialer opens connections to the broker. Used by one goroutine.
type dialer struct {
	host    string
	ports   []string // to be tried in this order; the one that worked last is first
	refused error    // why there must be no connection, or nil: a *health.Fault
	config  *tls.Config
	proxy   func(*http.Request) (*url.URL, error)
	dialTCP func(ctx context.Context, network, address string) (net.Conn, error)
}

func newDialer(endpoint string, config *tls.Config, proxy func(*http.Request) (*url.URL, error), m *meter.Meter) (*dialer, error) {
	d := &dialer{host: endpoint, ports: []string{portMQTT, portHTTPS}, config: config, proxy: proxy, dialTCP: awsclient.Dial(m, 0)}
	if host, port, err := net.SplitHostPort(endpoint); err == nil {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return nil, fmt.Errorf("the port of the IoT data endpoint %s is not a number from 1 to 65535", endpoint)
		}
		d.host, d.ports = host, []string{port}
	}
	if strings.ContainsAny(d.host, "/ ") {
		return nil, fmt.Errorf("the IoT data endpoint %q is not host or host:port", endpoint)
	}
	return d, nil
}

// dial opens a TLS connection to the first port that lets it; each gets the given time. The error
// is a *health.Fault, that of the first port.
func (d *dialer) dial(ctx context.Context, each time.Duration) (net.Conn, error) {
	if d.refused != nil {
		return nil, d.refused
	}
	proxy, err := d.proxy(&http.Request{URL: &url.URL{Scheme: "https", Host: net.JoinHostPort(d.host, portHTTPS)}})
	if err != nil {
		return nil, health.UserFault(CodeMQTT, err, "The proxy in HTTPS_PROXY is not a URL: correct it.")
	}
	ports := d.ports
	if proxy != nil && len(ports) > 1 {
		ports = []string{portHTTPS} // all that proxies usually let through
	}
	var first error
	for i, port := range ports {
		conn, err := d.dialPort(ctx, port, proxy, each)
		if err == nil {
			if proxy == nil && i > 0 {
				d.ports = []string{port, ports[0]}
			}
			return conn, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if first == nil {
			first = d.fault(err, port)
		}
	}
	return nil, first
}

func (d *dialer) dialPort(ctx context.Context, port string, proxy *url.URL, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	address := net.JoinHostPort(d.host, port)
	conn, err := d.dialThrough(ctx, address, proxy)
	if err != nil {
		return nil, err
	}
	config := d.config.Clone()
	if config.ServerName == "" {
		config.ServerName = d.host
	}
	if port == portHTTPS {
		config.NextProtos = []string{alpnMQTT}
	}
	secured := tls.Client(conn, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return boundedConn{secured}, nil
}

func (d *dialer) dialThrough(ctx context.Context, address string, proxy *url.URL) (net.Conn, error) {
	if proxy == nil {
		return d.dialTCP(ctx, "tcp", address)
	}
	via := proxy.Host
	if proxy.Port() == "" {
		via = net.JoinHostPort(proxy.Hostname(), "80")
		if proxy.Scheme == "https" {
			via = net.JoinHostPort(proxy.Hostname(), portHTTPS)
		}
	}
	conn, err := d.dialTCP(ctx, "tcp", via)
	if err != nil {
		return nil, fmt.Errorf("proxy %s: %w", via, err)
	}
	if proxy.Scheme == "https" {
		conn = tls.Client(conn, &tls.Config{ServerName: proxy.Hostname(), RootCAs: d.config.RootCAs})
	}
	if err := connectTunnel(ctx, conn, address, proxy.User); err != nil {
		return nil, errors.Join(fmt.Errorf("proxy %s: %w", via, err), conn.Close())
	}
	return conn, nil
}

// connectTunnel asks an HTTP proxy for a tunnel (RFC 9110, section 9.3.6).
func connectTunnel(ctx context.Context, conn net.Conn, address string, user *url.Userinfo) error {
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return err
		}
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	request := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: address}, Host: address, Header: make(http.Header)}
	if user != nil {
		password, _ := user.Password()
		request.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)))
	}
	if err := request.Write(conn); err != nil {
		return err
	}
	// The server sends nothing before our TLS ClientHello, so the buffer has none of its bytes.
	response, err := http.ReadResponse(bufio.NewReader(conn), request)
	if err != nil {
		return err
	}
	_ = response.Body.Close() // of a CONNECT: empty
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the tunnel to %s is refused: %s", address, response.Status)
	}
	if !stop() {
		return ctx.Err()
	}
	return conn.SetDeadline(time.Time{})
}

// fault turns a failure to connect into a sentence.
func (d *dialer) fault(err error, port string) *health.Fault {
	kind := neterr.Of(err)
	if kind == neterr.Timeout {
		kind = neterr.Unreachable
	}
	s := connfault.Server{
		Endpoint: "IoT", Host: d.host, Port: port, Setting: "AWS_IOT_CORE_DATA_ATS_ENDPOINT",
		DeviceCertificate: "active, attached to the thing, and not expired",
	}.Sentence(kind)
	return health.NewFault(s.Class, CodeMQTT, err, s.Format, s.Args...)
}

// boundedConn sets a deadline for each write.
type boundedConn struct{ net.Conn }

// Write implements net.Conn.
func (c boundedConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
