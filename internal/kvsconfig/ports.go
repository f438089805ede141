package kvsconfig

import (
	"context"

	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
)

// Applier makes the desired configurations run. Its methods are called from one goroutine.
type Applier interface {
	// Apply is given the whole desired set and does what is missing. What is not in the set stops;
	// its media stays. It returns an outcome for each member, by name.
	Apply(ctx context.Context, wanted desired.Set) []desired.Outcome
	// Remove stops a stream's jobs and deletes its media. It may be called again for the same stream.
	Remove(ctx context.Context, stream string) error
}

// ControlPlane lists what the cloud wants of a hub.
type ControlPlane interface {
	// EdgeConfigs returns all configurations of the hub, or an error: never a part of them.
	EdgeConfigs(ctx context.Context, hubDeviceARN string) ([]ListedConfig, error)
}

// ListedConfig is one record of the control plane.
// Source: KVS API, ListEdgeAgentConfigurationsEdgeConfig.
type ListedConfig struct {
	edgeconfig.StreamConfig
	SyncStatus string
}

// Inbox has the messages in which the cloud says what it wants.
type Inbox interface {
	// Ready receives when there may be messages.
	Ready() <-chan struct{}
	// Take passes on the queued messages: a new configuration of a stream to update, the deletion of one to remove,
	// either with an *edgeconfig.Refusal instead when it is wrong; refresh asks for a listing. acknowledge notifies the
	// broker that it need not send them again, and never blocks.
	Take(update, remove func(edgeconfig.StreamConfig, error), refresh func()) (acknowledge func())
}

// noInbox never has messages.
type noInbox struct{}

// Ready implements Inbox.
func (noInbox) Ready() <-chan struct{} { return nil }

// Take implements Inbox.
func (noInbox) Take(_, _ func(edgeconfig.StreamConfig, error), _ func()) (acknowledge func()) {
	return func() {}
}
