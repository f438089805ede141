package metrics

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/cloudwatch"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// Options are what a Reporter needs.
type Options struct {
	Thing   string
	Sender  Sender
	Health  *health.Registry
	Store   Store
	Streams func() []Stream
	Jobs    []health.StreamJob // of each stream
	Log     *zap.Logger
	// Optional says that nobody has to act when the hub may not send them.
	Optional bool
	// Interval is how often the continuous metrics are sent. Default one minute.
	Interval time.Duration
}

// Sender sends points. Its errors are *health.Fault.
type Sender interface {
	Put(ctx context.Context, namespace string, points []cloudwatch.Point) error
}
