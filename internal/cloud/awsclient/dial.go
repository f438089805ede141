package awsclient

import (
	"context"
	"net"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kvs-edge/kvs-edge-agent/internal/meter"
)

// mostUnsent is how many bytes of a connection may wait in the kernel that the line has not taken: a thin line would need many seconds for
// the megabytes that it queues otherwise, which nothing that is more urgent could overtake, and of which nobody knew.
const mostUnsent = 128 << 10

// keepUnsentSmall is a net.Dialer's Control.
func keepUnsentSmall(network, _ string, conn syscall.RawConn) error {
	if !strings.HasPrefix(network, "tcp") {
		return nil
	}
	return conn.Control(func(fd uintptr) {
		// A kernel without it works as well.
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, mostUnsent)
	})
}

// Dial returns what opens all connections to AWS, those of MQTT included, so that the meter counts their bytes; nil for no
// meter. timeout bounds each connection beside its context; 0 for none.
func Dial(m *meter.Meter, timeout time.Duration) func(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: timeout, KeepAlive: keepAlive, Control: keepUnsentSmall}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return m.Count(conn), nil
	}
}
