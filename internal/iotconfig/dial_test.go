package iotconfig

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/iotcreds/iottest"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

func noProxy(*http.Request) (*url.URL, error) { return nil, nil }

// greeter is a TLS server that notes what was said in the greeting and keeps connections open.
type greeter struct {
	net.Listener
	mu    sync.Mutex
	alpn  []string
	group sync.WaitGroup
}

func newGreeter(t *testing.T, ca *iottest.Authority) *greeter {
	t.Helper()
	config := ca.Server()
	config.NextProtos = []string{alpnMQTT}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &greeter{Listener: l}
	g.group.Go(func() {
		for {
			raw, err := l.Accept()
			if err != nil {
				return
			}
			g.group.Go(func() {
				conn := tls.Server(raw, config)
				defer func() { _ = conn.Close() }()
				if conn.HandshakeContext(t.Context()) == nil {
					g.mu.Lock()
					g.alpn = append(g.alpn, conn.ConnectionState().NegotiatedProtocol)
					g.mu.Unlock()
					_, _ = conn.Write([]byte("!"))
				}
				_, _ = io.Copy(io.Discard, conn)
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); g.group.Wait() })
	return g
}

// greeted waits for the server's word, so that the handshake is over on both sides.
func greeted(t *testing.T, conn net.Conn) {
	t.Helper()
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		t.Error(err)
	}
	_ = conn.Close()
}

// TestRows has what networks do wrong, by its name in the recorder's TestRows.
func TestRows(t *testing.T) {
	t.Parallel()
	t.Run("proxy", func(t *testing.T) {
		t.Parallel()
		t.Run("a tunnel to port 443", tunnelTo443)
		t.Run("port 443 when 8883 is blocked", port443WithALPN)
	})
}

func port443WithALPN(t *testing.T) {
	t.Parallel()
	ca := iottest.NewAuthority(t)
	g := newGreeter(t, ca)
	d, err := newDialer("localhost", ca.Device(testThing), noProxy, nil)
	if err != nil {
		t.Fatal(err)
	}
	var tried []string
	blocked := errors.New("connection refused")
	d.dialTCP = func(ctx context.Context, network, address string) (net.Conn, error) {
		tried = append(tried, address)
		if strings.HasSuffix(address, ":8883") {
			return nil, &net.OpError{Op: "dial", Err: blocked}
		}
		return new(net.Dialer).DialContext(ctx, network, g.Addr().String())
	}
	for range 2 {
		conn, err := d.dial(t.Context(), 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		greeted(t, conn)
	}
	if got := strings.Join(tried, " "); got != "localhost:8883 localhost:443 localhost:443" {
		t.Errorf("tried %s; want 8883 first, and the port that worked first the second time", got)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.alpn) != 2 || g.alpn[0] != alpnMQTT {
		t.Errorf("ALPN %q, want %s", g.alpn, alpnMQTT)
	}
}

func TestAnExplicitPortIsTheOnlyOne(t *testing.T) {
	t.Parallel()
	ca := iottest.NewAuthority(t)
	g := newGreeter(t, ca)
	d, err := newDialer(g.Addr().String(), ca.Device(testThing), noProxy, nil)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := d.dial(t.Context(), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	greeted(t, conn)
	if g.alpn[0] != "" {
		t.Errorf("ALPN %q off port 443", g.alpn[0])
	}
	for _, bad := range []string{"host:port", "host:0", "host:70000", "https://host", "a b"} {
		if _, err := newDialer(bad, ca.Device(testThing), noProxy, nil); err == nil {
			t.Errorf("the endpoint %q was accepted", bad)
		}
	}
}

func tunnelTo443(t *testing.T) {
	t.Parallel()
	ca := iottest.NewAuthority(t)
	g := newGreeter(t, ca)
	proxy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var asked, authorization string
	var group sync.WaitGroup
	group.Go(func() {
		conn, err := proxy.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		request, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			t.Error(err)
			return
		}
		asked, authorization = request.Method+" "+request.Host, request.Header.Get("Proxy-Authorization")
		onward, err := net.Dial("tcp", g.Addr().String())
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = onward.Close() }()
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
		testtools.Join(conn, onward)
	})
	d, err := newDialer("localhost", ca.Device(testThing), func(*http.Request) (*url.URL, error) {
		return &url.URL{Scheme: "http", Host: proxy.Addr().String(), User: url.UserPassword("u", "p")}, nil
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := d.dial(t.Context(), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	greeted(t, conn)
	_ = proxy.Close()
	group.Wait()
	if asked != "CONNECT localhost:443" || authorization != "Basic dTpw" {
		t.Errorf("asked the proxy %q with %q", asked, authorization)
	}
}

func TestEveryFailureToConnectHasItsOwnSentence(t *testing.T) {
	t.Parallel()
	ca := iottest.NewAuthority(t)
	g := newGreeter(t, ca)
	expired := ca.Server()
	expired.Certificates[0] = ca.Issue("server", time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour))
	old, err := tls.Listen("tcp", "127.0.0.1:0", expired)
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() {
		for {
			conn, err := old.Accept()
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, conn)
			_ = conn.Close()
		}
	})
	t.Cleanup(func() { _ = old.Close(); group.Wait() })
	other := iottest.NewAuthority(t)
	for name, row := range map[string]struct {
		endpoint string
		config   *tls.Config
		class    health.Class
		says     string
	}{
		"nobody there":  {testtools.HeldAddress(t, "127.0.0.1"), ca.Device("x"), health.SystemError, "cannot be reached on port"},
		"no such name":  {"hub.invalid:8883", ca.Device("x"), health.SystemError, "cannot be resolved"},
		"wrong CA":      {g.Addr().String(), other.Device("x"), health.UserError, "AWS_IOT_CA_CERT"},
		"expired there": {old.Addr().String(), ca.Device("x"), health.UserError, "set the clock"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := newDialer(row.endpoint, row.config, noProxy, nil)
			if err != nil {
				t.Fatal(err)
			}
			conn, err := d.dial(t.Context(), 5*time.Second)
			if err == nil {
				_ = conn.Close()
			}
			var fault *health.Fault
			if !errors.As(err, &fault) || fault.Class != row.class || !strings.Contains(fault.Text, row.says) {
				t.Errorf("got %v; want %s with %q", err, row.class, row.says)
			}
		})
	}
}
