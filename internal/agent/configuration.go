package agent

import (
	"context"
	"sync"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/camerasecret"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/iotconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvsconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/precedence"
	"github.com/kvs-edge/kvs-edge-agent/internal/supervise"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploadrequest"
)

// configuration is how the hub learns what it is to do, and how it answers.
type configuration struct {
	sources *precedence.Sources
	mqtt    *iotconfig.Client
	syncer  *kvsconfig.Syncer
	cameras *camerasecret.Cache
	uploads *uploadrequest.Requests

	health *health.Component
	log    *zap.Logger
}

// run applies the last good configurations at once, then follows the cloud until ctx ends. It returns nil.
func (c *configuration) run(ctx context.Context) error {
	c.syncer.ApplyLastGood(ctx)
	var group sync.WaitGroup
	for what, run := range map[string]func(context.Context){
		"Reading the cameras' secrets":          c.cameras.Run,
		"Listing the hub's configurations":      c.syncer.List,
		"Applying the hub's configurations":     c.syncer.Run,
		"Following the cloud's upload requests": c.uploads.Run,
		"The connection to AWS IoT":             c.mqtt.Run,
	} {
		group.Go(func() {
			_ = supervise.Keep(ctx, supervise.Options{What: what, Component: c.health, Log: c.log},
				func(ctx context.Context) error { run(ctx); return nil })
		})
	}
	group.Wait()
	return nil
}

// retryRights tries at once what the hub was not allowed to do, as it may be now: to publish retained messages, and to
// list its configurations.
func (c *configuration) retryRights() {
	c.syncer.RequestListing()
	c.mqtt.RetryRetained()
}
