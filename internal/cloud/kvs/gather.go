package kvs

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
)

// crypto/tls hands every record of 16 kB to the kernel by itself. gatheredTLS hands over all records
// of a write at once: an upload is many such writes, and the calls are half of what they cost.
type gatheredTLS struct {
	*tls.Conn
	below *gatheredConn
}

// dialGathered connects and shakes hands.
func dialGathered(ctx context.Context, dial func(context.Context, string, string) (net.Conn, error), config *tls.Config, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	conn, err := dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	config = config.Clone()
	if config.ServerName == "" {
		if config.ServerName, _, err = net.SplitHostPort(address); err != nil {
			_ = conn.Close()
			return nil, err
		}
	}
	below := &gatheredConn{Conn: conn}
	secure := tls.Client(below, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return &gatheredTLS{Conn: secure, below: below}, nil
}

// Write implements net.Conn.
func (c *gatheredTLS) Write(p []byte) (int, error) {
	c.below.gather()
	n, err := c.Conn.Write(p)
	if flushErr := c.below.flush(); err == nil && flushErr != nil {
		return 0, flushErr
	}
	return n, err
}

// gatheredConn keeps what is written between gather and flush.
type gatheredConn struct {
	net.Conn
	mu        sync.Mutex // reading may write too: answers of TLS itself
	gathering bool
	buffer    []byte
}

func (c *gatheredConn) gather() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gathering = true
}

// Write implements net.Conn.
func (c *gatheredConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.gathering {
		return c.Conn.Write(p)
	}
	c.buffer = append(c.buffer, p...)
	return len(p), nil
}

func (c *gatheredConn) flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gathering = false
	if len(c.buffer) == 0 {
		return nil
	}
	_, err := c.Conn.Write(c.buffer)
	c.buffer = c.buffer[:0]
	return err
}
