package kvs

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

const (
	// connectTimeout bounds a TCP connection.
	connectTimeout = 5 * time.Second // as AWS's C producer
	// keepAlive is the interval of TCP's probes, for sessions that wait for media.
	keepAlive = 15 * time.Second
	// writeBuffer is what net/http gathers before it writes to the connection: a request's head.
	// Pieces of media go past it, as each further copy costs more than the system calls it saves.
	writeBuffer = 4 << 10
)

// dataTransport makes the transport for PutMedia from the SDK's HTTP client: same roots, same
// proxy, but HTTP/1.1 only.
func dataTransport(client aws.HTTPClient) *http.Transport {
	var base *http.Transport
	switch c := client.(type) {
	case interface{ GetTransport() *http.Transport }: // the SDK's BuildableClient
		base = c.GetTransport()
	case *http.Client:
		if t, ok := c.Transport.(*http.Transport); ok {
			base = t.Clone()
		}
	}
	if base == nil {
		base = &http.Transport{Proxy: http.ProxyFromEnvironment}
	}
	base.ForceAttemptHTTP2 = false
	base.Protocols = nil
	base.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	if base.TLSClientConfig == nil {
		base.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	base.TLSClientConfig.NextProtos = []string{"http/1.1"}
	// Small records let a reader show the begin of a page sooner; media has no such reader.
	base.TLSClientConfig.DynamicRecordSizingDisabled = true
	if base.TLSClientConfig.ClientSessionCache == nil {
		base.TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	}
	if base.DialContext == nil {
		base.DialContext = (&net.Dialer{Timeout: connectTimeout, KeepAlive: keepAlive}).DialContext
	}
	base.WriteBufferSize = writeBuffer
	base.DisableKeepAlives = false // it would send Connection: close
	base.MaxConnsPerHost = 0
	base.ResponseHeaderTimeout = 0 // PutMedia has its own
	return base
}

// sessionTransport is a clone for one session, which calls dead when its connection has ended.
func sessionTransport(base *http.Transport, dead func()) *http.Transport {
	t := base.Clone()
	dial := t.DialContext
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &watchedConn{Conn: conn, dead: sync.OnceFunc(dead)}, nil
	}
	return t
}

// watchedConn tells when a connection has ended. net/http knows too, but waits for the request's
// body before it says so, and the body waits for the next fragment.
type watchedConn struct {
	net.Conn
	dead func()
}

func (c *watchedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		c.dead()
	}
	return n, err
}

func (c *watchedConn) Close() error {
	c.dead()
	return c.Conn.Close()
}
