package agent

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/camerasecret"
	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/iotconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvsconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/precedence"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
	"github.com/kvs-edge/kvs-edge-agent/internal/streamfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/supervise"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploadrequest"
)

// configuration is how the hub learns what it is to do, and how it answers. Without the cloud it has no mqtt, syncer and
// uploads, and without a directory of stream files no files.
type configuration struct {
	sources *precedence.Sources
	files   *streamfile.Files
	mqtt    *iotconfig.Client
	syncer  *kvsconfig.Syncer
	cameras *camerasecret.Cache
	uploads *uploadrequest.Requests

	health *health.Component
	log    *zap.Logger
}

// filesPatience is how long the streams of the cloud wait at the start for the directory of stream files, of which one
// that takes precedence may want the same.
const filesPatience = 5 * time.Second

// run applies the last good configurations at once, then follows the sources until ctx ends. It returns nil.
func (c *configuration) run(ctx context.Context) error {
	var group sync.WaitGroup
	defer group.Wait()
	keep := func(what string, run func(context.Context)) {
		group.Go(func() {
			_ = supervise.Keep(ctx, supervise.Options{What: what, Component: c.health, Log: c.log},
				func(ctx context.Context) error { run(ctx); return nil })
		})
	}
	keep("Reading the cameras' secrets", c.cameras.Run)
	if c.files != nil {
		keep("Reading the stream files", c.files.Run)
		patience := time.NewTimer(filesPatience)
		defer patience.Stop()
		select {
		case <-c.files.Loaded():
		case <-patience.C:
		case <-ctx.Done():
		}
	}
	if c.syncer == nil {
		return nil
	}
	c.syncer.ApplyLastGood(ctx)
	keep("Listing the hub's configurations", c.syncer.List)
	keep("Applying the hub's configurations", c.syncer.Run)
	keep("Following the cloud's upload requests", c.uploads.Run)
	keep("The connection to AWS IoT", c.mqtt.Run)
	return nil
}

// others reports whether the hub is configured by itself, so that it does without configurations of the cloud.
func (c *configuration) others() bool { return c.files != nil && c.files.Any() }

// retryRights tries at once what the hub was not allowed to do, as it may be now: to publish retained messages, and to
// list its configurations.
func (c *configuration) retryRights() {
	if c.syncer != nil {
		c.syncer.RequestListing()
		c.mqtt.RetryRetained()
	}
}

// syncOf says how the configuration of a stream that runs fares.
func (c *configuration) syncOf(stream desired.Stream) edgeconfig.SyncStatus {
	if stream.Origin == desired.File {
		return c.files.Sync(stream.Name)
	}
	return c.syncer.Sync(stream.Name)
}

// noSecrets is Secrets Manager without the cloud.
type noSecrets struct{}

// MediaURI implements camerasecret.Secrets.
func (noSecrets) MediaURI(context.Context, string) (secret.String, error) {
	return secret.String{}, health.UserFault("camera-secret", nil, "Secrets are not read, as AWS_KVS_EDGE_CLOUD is off: "+
		"put the camera's URL into the stream file.")
}
