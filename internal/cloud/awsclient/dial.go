package awsclient

import (
	"context"
	"net"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/meter"
)

// Dial returns what opens all connections to AWS, those of MQTT included, so that the meter counts their bytes; nil for no
// meter. timeout bounds each connection beside its context; 0 for none.
func Dial(m *meter.Meter, timeout time.Duration) func(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: timeout, KeepAlive: keepAlive}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return m.Count(conn), nil
	}
}
