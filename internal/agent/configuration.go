package agent

import (
	"context"
	"crypto/tls"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/camerasecret"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/hub"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/secrets"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/iotconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/jobspec"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvsconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
	"github.com/kvs-edge/kvs-edge-agent/internal/supervise"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploadrequest"
)

// configuration is how the hub learns what it is to do, and how it answers.
type configuration struct {
	mqtt    *iotconfig.Client
	syncer  *kvsconfig.Syncer
	cameras *camerasecret.Cache
	uploads *uploadrequest.Requests

	health *health.Component
	log    *zap.Logger
}

// newConfiguration loads what the state directory has. device holds the device certificate; nil: there is none that can
// be used.
func (a *Agent) newConfiguration(device *tls.Config) (*configuration, error) {
	s := a.settings()
	dir, err := statefile.Open(s.StateDirectory, atomicfile.OS{})
	if err != nil {
		return nil, err
	}
	if err := dir.Sweep(); err != nil {
		a.log.Warn("cannot clean the state directory", zap.Error(err))
	}
	c := &configuration{health: a.health.Component("", health.JobConfig), log: a.log}
	changes, _ := a.health.Watch() // for the life of the agent
	c.mqtt, err = iotconfig.New(iotconfig.Options{
		ThingName: s.IoT.ThingName, ClientID: s.IoT.ClientID, DataEndpoint: s.IoT.DataEndpoint, Version: a.o.Version,
		TLS: device, NoTLS: s.IoT.NoCertificate, ListedWithin: kvsconfig.ListOnlyWithin,
		Connected: func() { c.syncer.RequestListing() }, Lost: func() { c.syncer.MessagesLost() },
		Jobs: jobStatuses{a.health, a.store, a.streams.names}.list, JobsChanged: changes, Log: c.log, Health: c.health,
	})
	if err != nil {
		return nil, err
	}
	c.syncer, err = kvsconfig.New(kvsconfig.Options{
		ThingName: s.IoT.ThingName, FindHubARN: hub.FindARN(s, a.aws), ListOnly: device == nil,
		KVS: hub.ControlPlane{Client: a.kvs}, Dir: dir, Check: jobspec.Validate, Applier: a.streams, Applied: a.retention.Applied,
		Inbox: c.mqtt.Configurations(), Publish: func(status kvsconfig.SyncStatus) { c.mqtt.PublishSync(iotconfig.SyncStatus(status)) },
		Secrets:   func(arns map[string]bool) { c.cameras.Want(arns) },
		Refreshed: func() { a.nudges.nudgeAll(nudgeChanged) },
		Log:       c.log, Health: c.health,
	})
	if err != nil {
		return nil, err
	}
	c.cameras = camerasecret.Open(camerasecret.Options{
		Secrets: secrets.New(a.aws), Dir: dir, Device: device, Now: time.Now, Log: c.log, Health: c.health,
	}, c.syncer.Secrets())
	c.uploads = uploadrequest.New(uploadrequest.Options{
		Inbox: c.mqtt.UploadRequests(), Upload: a.onDemand.uploadForCloud, Publish: c.mqtt.PublishUpload,
		Dir: dir, Now: time.Now, Log: c.log, Health: c.health,
	})
	return c, nil
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
