package iotconfig

import (
	"context"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
)

// StreamConfig is the desired configuration of one stream.
type StreamConfig struct {
	StreamName, StreamARN string
	Config                edgeconfig.EdgeConfig
	// LastUpdated tells versions apart. A newer one with equal content asks to restart failed jobs.
	LastUpdated time.Time
}

// Applier makes the desired configurations run. Its methods are called from one goroutine.
type Applier interface {
	// Apply is given the whole desired set and does what is missing. What is not in the set stops;
	// its media stays. It returns an Outcome for each member.
	Apply(ctx context.Context, desired []StreamConfig) []Outcome
	// Remove stops a stream's jobs and deletes its media. It may be called again for the same stream.
	Remove(ctx context.Context, stream string) error
}

// Outcome of applying one stream's configuration.
type Outcome struct {
	StreamName string
	Err        error // nil: its jobs run as configured
}

// ControlPlane lists what the cloud wants of a hub.
type ControlPlane interface {
	// EdgeConfigs returns all configurations of the hub, or an error: never a part of them.
	EdgeConfigs(ctx context.Context, hubDeviceARN string) ([]ListedConfig, error)
}

// ListedConfig is one record of the control plane.
// Source: KVS API, ListEdgeAgentConfigurationsEdgeConfig.
type ListedConfig struct {
	StreamConfig
	SyncStatus string
}

// Secrets reads camera URLs.
type Secrets interface {
	MediaURI(ctx context.Context, secretARN string) (secret.String, error)
}

// JobStatus is how the jobs of one stream fare. A nil job does not exist.
type JobStatus struct {
	StreamName string
	Recorder   *JobState
	Uploader   *JobState
}

// JobState is how one job fares.
type JobState struct {
	Status  health.Class
	Details string    // a sentence for people; empty when there is nothing to say
	Updated time.Time // when the status last changed
	// Collected is the end of the newest media that was stored on the disk (recorder) or in the cloud
	// (uploader); zero for never.
	Collected time.Time
}
