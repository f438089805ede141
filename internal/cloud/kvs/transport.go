package kvs

import (
	"context"
	"net"
	"net/http"
	"sync"
)

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

// watchedConn calls dead when a connection has ended. net/http knows too, but waits for the request's
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
