package kvs

import (
	"context"
	"fmt"
)

// AwaitSyncStatus waits until the edge configuration of a stream has a sync status; DELETED waits
// until there is none. The error says how it stands.
func (c *ControlPlane) AwaitSyncStatus(ctx context.Context, stream, status string) error {
	for {
		changed, now := c.o.State.Changed(), c.syncStatus(stream)
		if now == status || now == noConfiguration && status == Deleted {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s of stream %s: it is %s: %w", status, stream, c.DescribeSync(stream), ctx.Err())
		}
	}
}

const noConfiguration = "without an edge configuration"

func (c *ControlPlane) syncStatus(stream string) (status string) {
	_ = c.view(func(d Streams) error {
		status = d.syncStatus(stream)
		return nil
	})
	return status
}

func (d Streams) syncStatus(stream string) string {
	if s := d[stream]; s != nil && s.Edge != nil {
		return s.Edge.Status
	}
	return noConfiguration
}

// DescribeSync is the sync status of a stream's configuration, with the details of a failure.
func (c *ControlPlane) DescribeSync(stream string) (status string) {
	_ = c.view(func(d Streams) error {
		status = d.syncStatus(stream)
		if s := d[stream]; s != nil && s.Edge != nil && s.Edge.Details != "" {
			status += " (" + s.Edge.Details + ")"
		}
		return nil
	})
	return status
}
