// Package agent is the composition root: it builds all parts as the settings say, starts and stops them in
// order, and turns configurations into jobs. It must not do any of the work itself. The whole composition is in
// agent.go (New, connect, serve and Run) and configuration.go (newConfiguration).
package agent

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/kvs-edge/kvs-edge-agent/internal/changes"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/cloudwatch"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/hub"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/iotcreds"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/eventjob"
	"github.com/kvs-edge/kvs-edge-agent/internal/evidence/collect"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/history"
	"github.com/kvs-edge/kvs-edge-agent/internal/holds"
	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
	"github.com/kvs-edge/kvs-edge-agent/internal/jobspec"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/metrics"
	"github.com/kvs-edge/kvs-edge-agent/internal/receipt"
	"github.com/kvs-edge/kvs-edge-agent/internal/retention"
	"github.com/kvs-edge/kvs-edge-agent/internal/scheduler"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
	"github.com/kvs-edge/kvs-edge-agent/internal/supervise"
	"github.com/kvs-edge/kvs-edge-agent/internal/trimrss"
)

// New builds an agent: it takes the recording directory, recovers it and opens the local API. It
// speaks to no network yet. An error names the setting to correct, when that is the cause.
func New(s settings.Settings, o Options) (_ *Agent, err error) {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	a := &Agent{o: o, log: o.Log, health: health.NewRegistry(time.Now), uploadMode: newHubMode(s.UploadMode)}
	a.current.Store(&s)
	a.freezes = newFreezes(a.health.Component("", health.JobAPI), a.log, nil)
	a.uploadCap.Follow(s.UploadCap)
	defer func() {
		if err != nil {
			a.release()
		}
	}()
	if err := statefile.Check(s.StateDirectory); err != nil {
		return nil, fmt.Errorf("cannot open the state directory (%s): %w", settings.EnvStateDirectory, err)
	}
	a.store, err = segment.Open(segment.Options{
		Dir: s.RecordingDirectory, Log: a.log, Health: a.health.Component("", health.JobStore),
		FlushInterval: s.FlushInterval, VolumeMemory: s.VolumeMemoryFile(),
		Version: o.Version, Reserved: s.OwnPlaces(), HoldMost: func(total uint64) int64 { return a.settings().HoldMax.Of(total) },
	})
	switch {
	case errors.Is(err, segment.ErrVolumeMemory):
		return nil, fmt.Errorf("cannot write to the state directory (%s): %w", settings.EnvStateDirectory, err)
	case err != nil:
		return nil, fmt.Errorf("cannot open the recording directory (%s): %w", settings.EnvRecordingDirectory, err)
	}
	a.pressure, a.events = a.newPressure(), a.newEvents(s.StateDirectory)
	a.hubClock = hubclock.New(hubclock.Options{})
	a.clock = scheduler.NewClock(scheduler.ClockOptions{Log: a.log})
	a.retention = retention.New(retention.Options{
		Store: a.store, Default: jobspec.Orphans(), Health: a.health, Log: a.log,
		MinFree: func(total uint64) uint64 { return settings.FittedReserve(a.settings().MinFreeDisk, total) },
		Losses:  s.LossesFile(), Policies: s.PoliciesFile(),
		AwaitConfiguration: true, Synchronised: a.hubClock.Trusted, Confirmed: func(k segment.Key) bool { return a.deletes.May(k) },
		Unfit: func(total uint64) *health.Fault {
			return settings.UnfitReserve(a.settings().MinFreeDisk, s.RecordingDirectory, total)
		},
	})
	if err := a.connect(); err != nil {
		return nil, err
	}
	a.collector = &status.Collector{
		Version: o.Version, Thing: s.IoT.ThingName, Dir: s.RecordingDirectory, Started: time.Now(), Now: time.Now,
		Health: a.health, Store: a.store, Streams: a.streams.infos, Jobs: streamJobs(a.streams.workers.jobs), Events: a.events.Count,
		Forecast: func(stream string) status.Forecast {
			if stream == "" {
				return status.Forecast(a.retention.DiskForecast())
			}
			return status.Forecast(a.retention.Forecast(stream))
		},
		LineCap: a.lineCap, Pressure: a.pressure.Now, SiteWise: a.siteWiseHub.Status, Recorded: a.store.Streams, Policy: a.policyText,
	}
	a.systemd = systemd{log: a.log, try: func() { _ = a.collector.Snapshot() }}
	if err := a.serve(); err != nil {
		return nil, err
	}
	noteMisspelt(a.health.Component("", health.JobSettings), a.log, o.Initial)
	return a, nil
}

// newHolds builds what is asked for holds.
func (a *Agent) newHolds() {
	a.holds = holds.New(holds.Options{
		Book: a.store.Holding(), Now: time.Now, Log: a.log, Changed: a.retention.Wake,
		Streams: func() []string { return append(a.store.Streams(), a.streams.names()...) },
	})
}

// newEvents builds what is done about events.
func (a *Agent) newEvents(dir string) *eventjob.Jobs {
	return eventjob.Open(eventjob.Options{
		Dir: dir, Media: a.store, Line: &a.line, Log: a.log, Health: a.health, Relatives: a.relatives, Uploads: a.isUploaded,
		Receipts: func(stream string, from, to time.Time, each func(receipt.Receipt)) error {
			return a.audits.Receipts.Read(stream, from, to, each)
		},
		Holds:   func() *holds.Holds { return a.holds },
		Streams: func() []string { return a.streams.names() },
		NoCloud: func() bool { return a.settings().NoCloud },
		Asked:   func(stream string, from, to time.Time) { a.siteWiseHub.Asked(stream, from, to) },
		CloudBy: func() string { return a.cloudBy("event") },
	})
}

// serve opens the local API.
func (a *Agent) serve() (err error) {
	a.export.handler = metrics.NewHandler(metrics.PrometheusOptions{
		Version: a.o.Version, Health: a.health, Store: a.store, Streams: a.metricStreams, Pressure: a.pressure.Now,
		Jobs: a.collector.Jobs, Line: a.lineUse, SiteWise: a.siteWiseUse,
	})
	a.export.newReporter = func() *metrics.Reporter {
		return metrics.New(metrics.Options{
			Thing: a.settings().IoT.ThingName, Sender: cloudwatch.New(a.aws), Health: a.health, Store: a.store,
			Streams: a.metricStreams, Jobs: a.collector.Jobs, Log: a.log, Interval: a.o.MetricsInterval,
			Optional: a.settings().MetricsOptional(),
		})
	}
	a.export.ended = func() { a.health.Component("", health.JobMetrics).End() }
	if err := a.export.serve(a.settings().MetricsAddress); err != nil {
		return err
	}
	brief := *a.collector
	brief.Forecast, brief.Policy = nil, nil // they walk the store
	a.changes = changes.New(changes.Options{Snapshot: brief.Snapshot, Watch: a.health.Watch, Now: time.Now})
	a.history = history.New(history.Options{Sample: func() history.Sample { return a.sample(brief.Snapshot) }})
	if err := a.newWeb(); err != nil {
		return err
	}
	a.api, err = localapi.NewServer(localapi.Options{
		Socket: a.settings().Socket, Component: a.health.Component("", health.JobAPI), Log: a.log,
		Agent: a.served(), Store: a.store, Uploads: a.uploads(),
	})
	return err
}

// served is what the agent answers and does over the local API.
func (a *Agent) served() localapi.Agent {
	served := localapi.Agent{
		Snapshot: a.collector.Snapshot, Changes: a.changes, Configured: a.streams.names, Metrics: a.export.handler,
		Settings: a.settingsTable, History: a.history.Since,
		ReadSecrets:  func() { a.config.cameras.ReadNow() },
		Reload:       a.Reload,
		DeleteStream: orphans{a.streams, a.config.sources}.delete,
		Upload:       a.onDemand.ForPeer,
		Audit:        a.audits.ForPeer,
		Check:        a.o.Check,
		AddHold:      a.holds.AddForPeer, RemoveHold: a.holds.RemoveForPeer,
		Evidence:      a.evidence,
		EvidenceReady: func(stream string) error { return a.signing().Ready(stream) },
		TriggerEvent:  a.events.ForPeer, Events: a.events.List,
		Lost: a.retention.Lost,
	}
	if a.o.LogLevel != nil {
		served.LogLevel = a.o.LogLevel
	}
	if a.web != nil {
		served.WebLink, served.SetWebPassword = a.web.Link, a.web.SetPassword
	}
	return served
}

// signing is who makes evidence: with the key whose files the settings name now, so that rotation needs no restart.
func (a *Agent) signing() collect.Hub {
	s := a.settings()
	h := collect.Hub{Thing: s.IoT.ThingName, Version: a.o.Version, Clock: a.hubClock, Certificate: s.IoT.Signing,
		Number: a.audits.Numbers()}
	if s.AccountID != "" {
		h.ARN = edgeconfig.HubARN(s.Region, s.AccountID, s.IoT.ThingName)
	}
	return h
}

// evidence makes evidence for a peer.
func (a *Agent) evidence(ctx context.Context, span localapi.Span) (localapi.Evidence, error) {
	made, err := collect.Make(ctx, a.store, a.signing(), span.Stream, span.From, span.To)
	return localapi.Evidence{From: made.From, To: made.To, Manifest: made.Manifest, Signature: made.Signature,
		Certificate: made.Certificate, Sums: made.Sums}, err
}

// connect builds everything that will speak to the cloud.
func (a *Agent) connect() error {
	s := a.settings()
	device, err := s.IoT.TLS()
	if err != nil {
		return &settings.Error{Faults: []string{err.Error()}}
	}
	if device != nil {
		hub.WatchCertificate(device, s.IoT, a.health.Component("", health.JobCloud), a.log)
	}
	if a.onDemand.NoCloud = s.NoCloud; s.NoCloud {
		return a.newStreamsAndConfiguration(nil)
	}
	if s, err = hub.WithEndpoints(s); err != nil {
		return err
	}
	if err := a.openMeter(); err != nil {
		return err
	}
	credentials, err := hub.Credentials(s, device, iotcreds.Options{
		Health: a.health.Component("", health.JobCloud), Log: a.log, Now: time.Now, Version: a.o.Version, Clock: a.hubClock, Meter: a.meter,
	})
	if err != nil {
		return fmt.Errorf("cannot use the hub's identity: %w", err)
	}
	a.aws, err = hub.Load(s, credentials, hub.Options{Version: a.o.Version, Clock: a.hubClock, Meter: a.meter})
	if err != nil {
		return err
	}
	a.kvs = kvs.New(kvs.Options{Config: a.aws, Log: a.log})
	return a.newStreamsAndConfiguration(device)
}

// newStreamsAndConfiguration builds what runs streams, and what says which. device is what connect has.
func (a *Agent) newStreamsAndConfiguration(device *tls.Config) (err error) {
	a.newHolds()
	a.streams = newStreams(workers{
		log: a.log, health: a.health, retention: a.retention, media: a.store, settings: a.settings,
		jobs: a.jobKinds(), describe: a.describe, completed: a.export.jobCompleted,
		readSecret: func(secretARN string) { a.config.cameras.ReadNow(secretARN) },
		secretRead: func(secretARN string) time.Time { return a.config.cameras.LastRead(secretARN) },
		changed:    func(stream string) { a.nudges.nudge(stream, nudgeChanged) },
		storage:    a.storage, keep: a.keepOf, requests: a.onDemand.Of,
		related: a.relate, forgotten: func(stream string) { a.tags.Forget(stream) },
		deleted: func(stream string) { a.audits.Forget(stream) },
	})
	a.config, err = a.newConfiguration(device)
	if err != nil {
		return fmt.Errorf("cannot open the state directory (%s): %w", settings.EnvStateDirectory, err)
	}
	return nil
}

// Run records and uploads until ctx ends, then stops the tasks in order: recorders, uploaders,
// network, store. No recording is lost by it.
func (a *Agent) Run(ctx context.Context) error {
	s := a.settings()
	logevent.AgentStarted.Log(a.log, zap.String("version", a.o.Version), zap.String("thing", s.IoT.ThingName),
		zap.String("recordings", s.RecordingDirectory), zap.Strings("streams", a.store.Streams()))
	// The tasks outlive ctx until their turn to stop has come.
	tasks, stopTasks := context.WithCancel(context.WithoutCancel(ctx))
	defer stopTasks()
	group, tasks := errgroup.WithContext(tasks)
	a.reloading.Lock()
	a.running = true
	a.export.start(a.launcher(tasks, group), s.CloudWatch)
	a.reloading.Unlock()
	for _, task := range a.tasks() {
		group.Go(func() error { return task(tasks) })
	}
	var stopped error
	select {
	case <-ctx.Done():
	case <-tasks.Done(): // a task that must not end has ended
		stopped = errors.New("a part of the agent ended by itself")
	}
	a.streams.deletion.stop() // a reload may wait for it
	a.reloading.Lock()        // a reload that is under way ends first
	a.running, a.export.launch = false, nil
	a.reloading.Unlock()
	logevent.AgentStopping.Log(a.log)
	a.systemd.stopping()
	a.streams.stopAll()
	stopTasks()
	if err := group.Wait(); err != nil {
		stopped = err
	}
	a.release()
	logevent.AgentStopped.Log(a.log)
	return stopped
}

// tasks lists what all streams share of a running agent, beside the export of metrics.
func (a *Agent) tasks() []func(context.Context) error {
	list := []func(context.Context) error{
		a.supervised("Watching whether the hub runs", health.JobAPI, a.freezes.Run),
		a.supervised("Watching whether the hub keeps up", health.JobAPI, a.pressure.Run),
		a.supervised("Comparing the hub's clock", health.JobCloud, watchClock(a.health.Component("", health.JobCloud), a.log, a.hubClock.Ahead)),
		a.supervised("Syncing recordings to the disk", health.JobStore, a.store.Run),
		a.supervised("Counting uploads", health.JobStore, a.counted.Run),
		a.supervised("Keeping the receipts of uploads", health.JobStore, a.audits.Receipts.Run),
		a.supervised("Ending events without an upload", health.JobStore, a.events.Run),
		a.supervised("Deleting old media", health.JobRetention, a.retention.Run),
		a.supervised("Auditing what is to be deleted", health.JobRetention, a.deletes.Run),
		a.supervised("Following what changes", health.JobAPI, a.changes.Run),
		a.supervised("Remembering how the hub was", health.JobAPI, a.history.Run),
		a.supervised("The local API", health.JobAPI, a.api.Run),
		a.supervised("Following the hub's configuration", health.JobConfig, a.config.run),
		a.supervised("The systemd watchdog notification", health.JobAPI, a.systemd.run),
		a.supervised("Giving back memory", health.JobAPI, trimrss.Task(a.log)),
	}
	if a.tiers != nil {
		list = append(list, a.supervised("Reading the storage tiers", health.JobCloud, a.tiers.Run),
			a.supervised("Counting what the line is used for", health.JobCloud, a.meter.Run))
	}
	if a.web != nil {
		list = append(list, a.supervised("The web pages", health.JobAPI, a.web.Run))
	}
	if a.o.ReloadRequests != nil {
		list = append(list, a.supervised("Reloading the settings", health.JobSettings, a.reloadOnRequest))
	}
	return list
}

// supervised is a task that is restarted when it panics: no camera misses a frame for it.
func (a *Agent) supervised(what, job string, run func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		return supervise.Keep(ctx, supervise.Options{What: what, Component: a.health.Component("", job), Log: a.log}, run)
	}
}

// release releases what New took.
func (a *Agent) release() {
	a.export.close()
	a.meter.Close()
	if a.clock != nil {
		a.clock.Close()
	}
	if a.store != nil {
		if err := a.store.Close(); err != nil {
			logevent.StoreNotClosed.Log(a.log, zap.Error(err))
		}
	}
}

// launcher returns a function that runs a task as one of the group's until its stop is called. A task
// that fails ends the group.
func (a *Agent) launcher(ctx context.Context, group *errgroup.Group) launch {
	return func(what string, run func(context.Context) error) func() {
		ctx, cancel := context.WithCancel(ctx)
		done := make(chan struct{})
		run = a.supervised(what, health.JobMetrics, run)
		group.Go(func() error {
			defer close(done)
			return run(ctx)
		})
		return func() {
			cancel()
			<-done
		}
	}
}
