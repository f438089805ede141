package localcloud

import (
	"context"
	"fmt"
)

// AwaitSyncStatus waits until the edge configuration of a stream has a sync status; DELETED waits
// until there is none. The error says how it stands.
func (c *Cloud) AwaitSyncStatus(ctx context.Context, stream, status string) error {
	for {
		c.mu.Lock()
		changed, now := c.changed, c.doc.syncStatus(stream)
		c.mu.Unlock()
		if now == status || now == noConfiguration && status == deleted {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s of stream %s: it is %s: %w", status, stream, c.describeSync(stream), ctx.Err())
		}
	}
}

const noConfiguration = "without an edge configuration"

func (d *document) syncStatus(stream string) string {
	if s := d.Streams[stream]; s != nil && s.Edge != nil {
		return s.Edge.Status
	}
	return noConfiguration
}

func (c *Cloud) describeSync(stream string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	status := c.doc.syncStatus(stream)
	if s := c.doc.Streams[stream]; s != nil && s.Edge != nil && s.Edge.Details != "" {
		status += " (" + s.Edge.Details + ")"
	}
	return status
}
