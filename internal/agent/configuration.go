package agent

import (
	"context"
	"crypto/tls"
	"path/filepath"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/auditjob"
	"github.com/kvs-edge/kvs-edge-agent/internal/camerasecret"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/endpoint"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/hub"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/secrets"
	"github.com/kvs-edge/kvs-edge-agent/internal/deleteafter"
	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/eventrequest"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/holdrequest"
	"github.com/kvs-edge/kvs-edge-agent/internal/iotconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvsconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/precedence"
	"github.com/kvs-edge/kvs-edge-agent/internal/receipt"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
	"github.com/kvs-edge/kvs-edge-agent/internal/sitewise/writeback"
	"github.com/kvs-edge/kvs-edge-agent/internal/sitewisehub"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
	"github.com/kvs-edge/kvs-edge-agent/internal/streamfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/supervise"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploadrequest"
)

// configuration is how the hub learns what it is to do, and how it answers.
type configuration struct {
	sources *precedence.Sources
	cameras *camerasecret.Cache

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
		logevent.StateNotCleaned.Log(a.log, zap.Error(err))
	}
	a.countUploads(dir)
	a.audits = auditjob.Open(auditjob.Options{
		Dir: filepath.Join(dir.Path(), "receipts"), Store: a.store, Cloud: a.kvs, Log: a.log, Policy: a.retention.PolicyOf,
		Now: a.o.AuditNow, Trusted: a.hubClock.Trusted, On: a.onDemand.On, Configured: a.streams.names, Storage: a.storage,
	})
	a.deletes = deleteafter.New(deleteafter.Options{
		Store: a.store, Policy: a.retention.PolicyOf, Audit: a.audits.Segments, Resend: a.audits.Resend, Confirmed: a.retention.Wake,
		On: func() bool { return a.settings().DeletesAudited() }, Health: a.health, Log: a.log, Now: a.o.AuditNow,
	})
	c := &configuration{health: a.health.Component("", health.JobConfig), log: a.log}
	c.sources = precedence.New(precedence.Options{
		Streams: a.streams, Secrets: func(arns map[string]bool) { c.cameras.Want(arns) }, Known: a.known, Health: a.health, Log: a.log,
	})
	// The sources, those that take precedence first.
	for _, source := range []struct {
		off   bool
		build func(*precedence.Source) (precedence.Row, error)
	}{
		{s.StreamsDirectory == "", func(source *precedence.Source) (precedence.Row, error) { return a.streamFiles(c, source, dir), nil }},
		{s.NoCloud || s.SiteWise.HubAsset == "", func(source *precedence.Source) (precedence.Row, error) { return a.siteWise(source, dir), nil }},
		{s.NoCloud || s.IoT.NoThing != "", func(source *precedence.Source) (precedence.Row, error) {
			return a.cloudSource(c, source, dir, device)
		}},
	} {
		if source.off {
			continue
		}
		if err := c.sources.Add(source.build); err != nil {
			return nil, err
		}
	}
	if s.IoT.NoThing != "" {
		iotconfig.ReportNoThing(c.health, c.log, s.IoT.NoThing)
	}
	if s.NoCloud {
		// No stream refers to a secret, so whether one could be kept does not matter.
		unseen := health.NewRegistry(time.Now).Component("", health.JobConfig)
		c.cameras = camerasecret.Open(camerasecret.Options{
			Secrets: noSecrets{}, Dir: dir, Now: time.Now, Log: zap.NewNop(), Health: unseen,
		}, nil)
		return c, nil
	}
	c.cameras = camerasecret.Open(camerasecret.Options{
		Secrets: secrets.New(a.aws), Dir: dir, Device: device, Now: time.Now, Log: c.log, Health: c.health,
	}, c.sources.Secrets())
	return c, nil
}

// siteWise is the source of the hub's assets in AWS IoT SiteWise.
func (a *Agent) siteWise(source *precedence.Source, dir statefile.Dir) precedence.Row {
	a.siteWiseHub = sitewisehub.New(sitewisehub.Options{
		Settings: a.settings(), AWS: a.aws, KVS: a.kvs, Applier: source, Clock: a.clock, State: dir, Health: a.health, Log: a.log,
		Upload: a.onDemand.ForCloud, On: a.onDemand.On, Store: a.store,
		WriteBack: writeback.Options{
			Store: a.store, Receipts: a.audits.Receipts, Trusted: a.hubClock.Trusted, Kept: a.keptInCloud,
			Fragment: func(stream string) time.Duration { return a.counted.Stream(stream).Recent() },
		},
	})
	a.onDemand.Asked = a.siteWiseHub.Asked
	return a.siteWiseHub.Row()
}

// keptInCloud is how long Kinesis Video Streams keeps a stream.
func (a *Agent) keptInCloud(stream string) (d time.Duration, known bool) {
	_, hours := a.storage(stream)
	if hours == nil {
		return 0, false
	}
	return time.Duration(*hours) * time.Hour, true
}

// keepReceipts returns where the receipts of a stream go.
func (a *Agent) keepReceipts(stream string) func(receipt.Receipt) {
	keep := a.audits.Keep(stream)
	if a.siteWiseHub == nil {
		return keep
	}
	return func(r receipt.Receipt) {
		keep(r)
		a.siteWiseHub.Persisted(stream, r)
	}
}

// cloudSource is what follows the configurations of the cloud.
func (a *Agent) cloudSource(c *configuration, source *precedence.Source, dir statefile.Dir, device *tls.Config) (
	row precedence.Row, err error) {
	s := a.settings()
	changes, _ := a.health.Watch() // for the life of the agent
	_, refused := a.aws.Endpoints().Given(endpoint.IoTData, s.IoT.DataEndpoint)
	var syncer *kvsconfig.Syncer
	mqtt, err := iotconfig.New(iotconfig.Options{
		ThingName: s.IoT.ThingName, ClientID: s.IoT.ClientID, DataEndpoint: s.IoT.DataEndpoint, Refused: refused, Version: a.o.Version,
		TLS: device, NoTLS: s.IoT.NoCertificate, ListedWithin: kvsconfig.ListOnlyWithin,
		Needless:  func() bool { return source.Others() && !syncer.Any() },
		Connected: func() { syncer.RequestListing() }, Lost: func() { syncer.MessagesLost() },
		Notifications: a.siteWiseHub.Notifications(), Meter: a.meter, Jobs: a.jobStatuses, JobsChanged: changes, Log: c.log, Health: c.health,
	})
	if err != nil {
		return row, err
	}
	syncer, err = kvsconfig.New(kvsconfig.Options{
		ThingName: s.IoT.ThingName, FindHubARN: hub.FindARN(s, a.aws), ListOnly: device == nil,
		KVS: hub.ControlPlane{Client: a.kvs, Config: a.aws}, Dir: dir, Applier: source, OutcomeChanged: source.Changed(), Applied: source.Applied,
		Inbox: mqtt.Configurations(), Others: source.Others,
		Publish:   mqtt.PublishSync,
		Refreshed: func() { a.nudges.nudgeAll(nudgeChanged) },
		Log:       c.log, Health: c.health,
	})
	if err != nil {
		return row, err
	}
	uploads := uploadrequest.New(uploadrequest.Options{
		Inbox: mqtt.UploadRequests(), Publish: mqtt.PublishUpload,
		Upload: func(ctx context.Context, stream string, from, to time.Time, each func(done, total int)) error {
			syncer.Settle(ctx) // what was said before the request counts for it
			return a.onDemand.ForCloud(ctx, stream, from, to, each)
		},
		Dir: dir, Now: time.Now, Log: c.log, Health: c.health,
	})
	return precedence.Row{
		Origins: []desired.Origin{desired.KVS, desired.MQTT}, Restored: syncer.Wanted(), Sync: syncer.Sync, Deletion: syncer.Deletion,
		Await: "wait until the cloud has answered", Start: syncer.ApplyLastGood,
		Refused: "correct or delete its edge configuration if that is refused, or else wait until the cloud has answered",
		Tasks: []precedence.Task{
			{What: "Listing the hub's configurations", Run: syncer.List},
			{What: "Applying the hub's configurations", Run: syncer.Run},
			{What: "Following the cloud's upload requests", Run: uploads.Run},
			{What: "Following the cloud's events", Run: a.eventRequests(c, mqtt, syncer, dir).Run},
			{What: "Following the cloud's requests about holds", Run: a.holdRequests(c, mqtt, syncer).Run},
			{What: "The connection to AWS IoT", Run: mqtt.Run},
		},
		Retry: func() {
			syncer.RequestListing()
			mqtt.RetryRetained()
		},
	}, nil
}

// eventRequests are the events that the cloud triggers.
func (a *Agent) eventRequests(c *configuration, mqtt *iotconfig.Client, syncer *kvsconfig.Syncer, d statefile.Dir) *eventrequest.Requests {
	return eventrequest.New(eventrequest.Options{
		Inbox: mqtt.Events(), Publish: mqtt.PublishEvent, Progress: a.events.Progress,
		Trigger: func(ctx context.Context, r eventrequest.Request) error {
			syncer.Settle(ctx) // as with uploads
			return a.events.ForCloud(ctx, r)
		},
		Dir: d, Now: time.Now, Log: c.log, Health: c.health,
	})
}

// cloudBy is who asks with a message of that topic, for people.
func (a *Agent) cloudBy(topic string) string {
	return "the cloud, by kvs-edge/" + a.settings().IoT.ThingName + "/" + topic
}

// holdRequests are what the cloud asks for about holds.
func (a *Agent) holdRequests(c *configuration, mqtt *iotconfig.Client, syncer *kvsconfig.Syncer) *holdrequest.Requests {
	return holdrequest.New(holdrequest.Options{
		Inbox: mqtt.Holds(), Publish: mqtt.PublishHold, By: a.cloudBy("hold"), Add: a.holds.ForCloud(syncer.Settle), Remove: a.holds.Remove,
		Known: a.holds.Known, Now: time.Now, Log: c.log, Health: c.health,
	})
}

// loadPatience is how long sources wait at the start for one that takes precedence over them, and may want the same streams.
const loadPatience = 5 * time.Second

// run applies the last good configurations at once, then follows the sources until ctx ends. It returns nil.
func (c *configuration) run(ctx context.Context) error {
	var group sync.WaitGroup
	defer group.Wait()
	keep := func(task precedence.Task) {
		group.Go(func() {
			_ = supervise.Keep(ctx, supervise.Options{What: task.What, Component: c.health, Log: c.log},
				func(ctx context.Context) error { task.Run(ctx); return nil })
		})
	}
	keep(precedence.Task{What: "Reading the cameras' secrets", Run: c.cameras.Run})
	for _, source := range c.sources.Rows() {
		if source.Start != nil {
			source.Start(ctx)
		}
		for _, task := range source.Tasks {
			keep(task)
		}
		if source.Loaded == nil {
			continue
		}
		patience := time.NewTimer(loadPatience)
		select {
		case <-source.Loaded:
		case <-patience.C:
		case <-ctx.Done():
		}
		patience.Stop()
	}
	return nil
}

// known has retention go as far as it is known what the sources want.
func (a *Agent) known(k precedence.Known) {
	switch {
	case k.All:
		a.retention.Applied(k.Unclear...)
		a.relateAll()
	case k.Started:
		a.retention.Begin()
	}
}

// streamFiles is the source of the hub's own files.
func (a *Agent) streamFiles(c *configuration, source *precedence.Source, dir statefile.Dir) precedence.Row {
	s := a.settings()
	files := streamfile.New(streamfile.Options{
		Dir: s.StreamsDirectory, ThingName: s.IoT.ThingName, NoCloud: s.NoCloud, State: dir, Applier: source,
		OutcomeChanged: source.Changed(), Applied: source.Applied, Now: time.Now, Log: c.log, Health: c.health,
	})
	return precedence.Row{
		Origins: []desired.Origin{desired.File}, Restored: files.Restored(), Sync: files.Sync, Deletion: files.Deletion,
		Place: files.Place,
		Await: "make the stream files in " + s.StreamsDirectory + " readable and right, each of them; if it is empty on purpose, put a file " +
			"such as README there",
		Refused: "correct or remove its stream file in " + s.StreamsDirectory + ", which cannot be followed; if the directory is empty on " +
			"purpose, put a file such as README there",
		Tasks:  []precedence.Task{{What: "Reading the stream files", Run: files.Run}},
		Loaded: files.Loaded(),
	}
}

// retryRights tries at once what the hub was not allowed to do, as it may be now.
func (c *configuration) retryRights() {
	for _, source := range c.sources.Rows() {
		if source.Retry != nil {
			source.Retry()
		}
	}
}

// noSecrets is Secrets Manager without the cloud.
type noSecrets struct{}

// MediaURI implements camerasecret.Secrets.
func (noSecrets) MediaURI(context.Context, string) (secret.String, error) {
	return secret.String{}, health.UserFault("camera-secret", nil, "Secrets are not read, as AWS_KVS_EDGE_CLOUD is off: "+
		"put the camera's URL into the stream file.")
}
