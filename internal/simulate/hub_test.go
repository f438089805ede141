package simulate

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/auditjob"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awsclient"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/eventjob"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/holds"
	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
	"github.com/kvs-edge/kvs-edge-agent/internal/jobspec"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvsconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/ondemand"
	"github.com/kvs-edge/kvs-edge-agent/internal/precedence"
	"github.com/kvs-edge/kvs-edge-agent/internal/receipt"
	"github.com/kvs-edge/kvs-edge-agent/internal/retention"
	"github.com/kvs-edge/kvs-edge-agent/internal/scheduler"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
	"github.com/kvs-edge/kvs-edge-agent/internal/supervise"
	"github.com/kvs-edge/kvs-edge-agent/internal/tally"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/giveway"
)

// hub is one process of the agent: its parts, composed as package agent does it, without the sockets that a bubble cannot have.
type hub struct {
	w        *world
	view     *view
	settings settings.Settings
	registry *health.Registry
	store    *segment.Store
	clock    *hubclock.Clock
	windows  *scheduler.Clock

	retention *retention.Keeper
	events    *eventjob.Jobs
	holds     *holds.Holds
	audits    *auditjob.Jobs
	counted   *tally.Tally
	onDemand  ondemand.Uploads
	urgency   giveway.Line
	transport *http.Transport
	kvs       *kvs.Client
	streams   *streams
	sources   *precedence.Sources
	syncer    *kvsconfig.Syncer

	stopTasks context.CancelFunc
	tasks     sync.WaitGroup
}

// keeperDisk is the store with the simulated disk's size.
type keeperDisk struct {
	*segment.Store
	disk *disk
}

// DiskFree implements retention.Store.
func (k keeperDisk) DiskFree() (free, total uint64, err error) {
	free, total = k.disk.free()
	return free, total, nil
}

// Held implements retention.Store: no other process reads.
func (keeperDisk) Held(segment.Key) (held, known bool) { return false, true }

// Commit implements retention.Store: the file system frees at once.
func (keeperDisk) Commit() error { return nil }

// reserve is what stays free of the disk.
const reserve = 4 << 20

// holdMost is what all holds may have.
const holdMost = 64 << 20

// boot starts the agent.
func (w *world) boot() (_ *hub, err error) {
	h := &hub{w: w, view: w.disk.mount(), registry: health.NewRegistry(w.clock.now), settings: w.settings}
	state := filepath.Join(w.disk.root, "state")
	defer func() {
		if err != nil {
			w.disk.unplug()
			if h.store != nil {
				_ = h.store.Close()
			}
			if h.windows != nil {
				h.windows.Close()
			}
		}
	}()
	h.store, err = segment.Open(segment.Options{
		Dir: filepath.Join(w.disk.root, "recordings"), Health: h.registry.Component("", health.JobStore), FlushInterval: h.settings.FlushInterval,
		Now: w.clock.now, HoldMost: func(uint64) int64 { return holdMost }, Files: h.view,
	})
	if err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	dir, err := statefile.Open(state, h.view)
	if err != nil {
		return nil, fmt.Errorf("open the state: %w", err)
	}
	_ = dir.Sweep() // as the agent does
	h.clock = hubclock.New(hubclock.Options{Now: w.clock.now, Synchronised: w.synchronised})
	h.windows = scheduler.NewClock(scheduler.ClockOptions{Wall: w.clock.now, Zone: w.zone.Load})
	h.compose(state, dir)
	if err := h.configure(dir); err != nil {
		return nil, err
	}
	h.run()
	return h, nil
}

// compose builds the parts.
func (h *hub) compose(state string, dir statefile.Dir) {
	w := h.w
	h.retention = retention.New(retention.Options{
		Store: keeperDisk{h.store, w.disk}, Default: jobspec.Orphans(), Health: h.registry, MinFree: func(uint64) uint64 { return reserve },
		Losses: filepath.Join(state, "losses.json"), Policies: filepath.Join(state, "policies.json"), Files: h.view,
		AwaitConfiguration: true, Interval: 20 * time.Second, Synchronised: h.clock.Trusted, Now: w.clock.now,
		SinceBoot: w.sinceBoot,
	})
	h.holds = holds.New(holds.Options{
		Book: h.store.Holding(), Now: w.clock.now, Log: zap.NewNop(), Changed: h.retention.Wake,
		Streams: func() []string { return append(h.store.Streams(), h.streams.names()...) },
	})
	h.transport = &http.Transport{DialContext: w.line.dial, IdleConnTimeout: 90 * time.Second, ResponseHeaderTimeout: 15 * time.Second}
	h.kvs = kvs.New(kvs.Options{Now: w.clock.now, Config: awsclient.Of(aws.Config{
		Region: "us-west-2", BaseEndpoint: aws.String(cloudURL), HTTPClient: &http.Client{Transport: h.transport}, RetryMaxAttempts: 2,
		Credentials: credentials.NewStaticCredentialsProvider("id", "secret", "token"),
	})})
	h.streams = &streams{h: h, running: make(map[string]*running)}
	h.counted = tally.Open(tally.Options{Dir: dir, Now: w.clock.now, Log: zap.NewNop()})
	h.audits = auditjob.Open(auditjob.Options{
		Dir: filepath.Join(state, "receipts"), Store: h.store, Cloud: h.kvs, Log: zap.NewNop(), Policy: h.retention.PolicyOf, Now: w.clock.now,
		Trusted: h.clock.Trusted, On: h.onDemand.On, Configured: h.streams.names, Files: h.view,
		Storage: func(string) (string, *int) { return "", nil },
	})
	h.events = eventjob.Open(eventjob.Options{
		Dir: state, Files: h.view, Media: h.store, Line: &h.urgency, Log: zap.NewNop(), Health: h.registry, Now: w.clock.now,
		Relatives: func(string) []string { return nil }, Uploads: func(stream string) bool { return h.streams.get(stream) != nil },
		Receipts: func(stream string, from, to time.Time, each func(receipt.Receipt)) error {
			return h.audits.Receipts.Read(stream, from, to, each)
		},
		Holds: func() *holds.Holds { return h.holds }, Streams: h.streams.names, NoCloud: func() bool { return false },
		CloudBy: func() string { return "the cloud" },
	})
}

// configure builds how the hub learns what it is to do.
func (h *hub) configure(dir statefile.Dir) error {
	h.sources = precedence.New(precedence.Options{
		Streams: h.streams, Secrets: func(map[string]bool) {}, Health: h.registry,
		Known: func(k precedence.Known) {
			switch {
			case k.All:
				h.retention.Applied(k.Unclear...)
			case k.Started:
				h.retention.Begin()
			}
		},
	})
	return h.sources.Add(func(source *precedence.Source) (row precedence.Row, err error) {
		h.syncer, err = kvsconfig.New(kvsconfig.Options{
			ThingName: thing, HubDeviceARN: thingARN, KVS: h.w.control, Dir: dir, Applier: source, OutcomeChanged: source.Changed(),
			Applied: source.Applied, Inbox: h.w.control, Others: source.Others, Now: h.w.clock.now,
			Health: h.registry.Component("", health.JobConfig),
		})
		if err != nil {
			return row, fmt.Errorf("configure: %w", err)
		}
		return precedence.Row{
			Origins: []desired.Origin{desired.KVS, desired.MQTT}, Restored: h.syncer.Wanted(), Sync: h.syncer.Sync, Deletion: h.syncer.Deletion,
			Await: "wait", Refused: "correct it", Start: h.syncer.ApplyLastGood,
			Tasks: []precedence.Task{{What: "Listing", Run: h.syncer.List}, {What: "Applying", Run: h.syncer.Run}},
		}, nil
	})
}

// run starts the tasks.
func (h *hub) run() {
	ctx, cancel := context.WithCancel(context.Background())
	h.stopTasks = cancel
	keep := func(what, job string, run func(context.Context) error) {
		h.tasks.Go(func() {
			_ = supervise.Keep(ctx, supervise.Options{What: what, Component: h.registry.Component("", job), Log: zap.NewNop()}, run)
		})
	}
	keep("Syncing recordings", health.JobStore, h.store.Run)
	keep("Counting uploads", health.JobStore, h.counted.Run)
	keep("Keeping receipts", health.JobStore, h.audits.Receipts.Run)
	keep("Ending events", health.JobStore, h.events.Run)
	keep("Deleting old media", health.JobRetention, h.retention.Run)
	keep("Following the configuration", health.JobConfig, func(ctx context.Context) error {
		for _, row := range h.sources.Rows() {
			row.Start(ctx)
			for _, task := range row.Tasks {
				keep(task.What, health.JobConfig, func(ctx context.Context) error { task.Run(ctx); return nil })
			}
		}
		return nil
	})
}

// stop ends the process in order, and returns how long that took.
func (h *hub) stop() time.Duration {
	began := time.Now()
	h.streams.stopAll()
	h.stopTasks()
	h.tasks.Wait()
	h.windows.Close()
	h.w.stopped(h.store.Close())
	h.transport.CloseIdleConnections()
	return time.Since(began)
}

// kill ends the process at once: it changes nothing on the disk any more, and says nothing. Only then its goroutines end.
func (h *hub) kill(power bool) {
	if power {
		h.w.disk.cut(h.w.random.IntN(2) == 0)
	} else {
		h.w.disk.unplug()
	}
	h.w.line.cut()
	h.streams.stopAll()
	h.stopTasks()
	h.tasks.Wait()
	h.windows.Close()
	_ = h.store.Close()
	h.transport.CloseIdleConnections()
}

// upload sends a range, as somebody asks for it.
func (h *hub) upload(ctx context.Context, stream string, from, to time.Time) error {
	return h.onDemand.On(ctx, stream, func(ctx context.Context, u *uploader.Uploader) error {
		return u.Range(ctx, from, to, func(uploader.Progress) {})
	})
}
