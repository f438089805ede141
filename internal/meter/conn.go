package meter

import "net"

// Count returns the connection, whose bytes are counted from now on: those of a TCP connection are its payload, with TLS,
// HTTP and pings. A nil Meter counts nothing.
func (m *Meter) Count(conn net.Conn) net.Conn {
	if m == nil {
		return conn
	}
	return &counted{Conn: conn, meter: m}
}

// counted counts without a lock and without an allocation.
type counted struct {
	net.Conn
	meter *Meter
}

// Read implements net.Conn.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.meter.add(&c.meter.received, &c.meter.sent, n)
	return n, err
}

// Write implements net.Conn.
func (c *counted) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.meter.add(&c.meter.sent, &c.meter.received, n)
	return n, err
}
