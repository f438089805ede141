package agent

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awserr"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/cloudwatch"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/metrics"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/supervise"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/conditiontest"
)

// conditionRows are the conditions of jobs, guarded parts, store and metrics, in synctest's time.
var conditionRows = []conditiontest.Row{
	{Code: "job-ended", Job: health.JobRecorder, Start: jobThat(health.JobRecorder, func() error { return nil })},
	{Code: "job-ended", Job: health.JobUploader, Start: jobThat(health.JobUploader, func() error { return errors.New("no luck") })},
	{Code: "internal-error", Job: health.JobUploader, Start: jobThat(health.JobUploader, func() error { panic("a test") })},
	{Code: "internal-error", Job: health.JobRetention, Start: guarded(health.JobRetention)},
	{Code: "internal-error", Job: health.JobConfig, Start: guarded(health.JobConfig)},
	{Code: "internal-error", Job: health.JobCloud, Start: guarded(health.JobCloud)},
	{Code: "internal-error", Job: health.JobStore, Start: guarded(health.JobStore)},
	{Code: "clock-off", Job: health.JobCloud, Start: clockOff},
	{Code: "internal-error", Job: health.JobMetrics, Start: guarded(health.JobMetrics)},
	{Code: "internal-error", Job: health.JobSettings, Start: guarded(health.JobSettings)},
	{Code: "internal-error", Job: health.JobAPI, Start: guarded(health.JobAPI)},
	{Code: "internal-error", Job: health.JobSiteWise, Start: guarded(health.JobSiteWise)},
	{Code: "disk", Job: health.JobStore, Start: storeOn(func(d *oddDisk, dir string) (raise, undo func()) {
		return func() { d.unsynced.Store(true) }, func() { d.unsynced.Store(false) }
	})},
	{Code: "recordings-unreadable", Job: health.JobStore, Limit: 2 * time.Minute,
		Reason: "a directory is read again with pauses of up to a minute",
		Start: storeOn(func(d *oddDisk, dir string) (raise, undo func()) {
			d.unlisted.Store(true)
			return func() {}, func() { d.unlisted.Store(false) }
		})},
	{Code: "quarantine", Job: health.JobStore, Start: storeOn(func(d *oddDisk, dir string) (raise, undo func()) {
		garbled := strings.Repeat("this is not a Matroska file ", 4000)
		mustWrite(filepath.Join(dir, conditiontest.Stream, "20261127T080000.000Z.writing.mkv"), garbled)
		return func() {}, func() { _ = os.RemoveAll(filepath.Join(dir, conditiontest.Stream, "quarantine")) }
	})},
	{Code: "holds-unreadable", Job: health.JobStore, Start: storeOn(func(d *oddDisk, dir string) (raise, undo func()) {
		path := filepath.Join(dir, conditiontest.Stream, ".holds")
		mustWrite(path, "this is not a file of holds\n")
		return func() {}, func() { _ = os.Remove(path) }
	})},
	{Code: "holds-over-limit", Job: health.JobStore, Start: holdsOverLimit},
	{Code: "hub-frozen", Job: health.JobAPI, Limit: frozenShown + time.Minute, Reason: "a freeze is an event; it is shown for an hour",
		Start: frozen},
	{Code: "stream-tags", Job: health.JobUploader, Limit: tagEvery * 3 / 2,
		Reason: "all hubs of an account share 50 calls/s; a reload asks at once", Start: tagsDenied},
	{Code: "fragment-tag", Job: health.JobUploader, Limit: tagEvery * 3 / 2,
		Reason: "all hubs of an account share 50 calls/s; a reload asks at once", Start: wrongFragmentTag},
	{Code: "upload-tag", Job: health.JobUploader, Limit: tagEvery * 3 / 2,
		Reason: "all hubs of an account share 50 calls/s; a reload asks at once", Start: wrongUploadTag},
	{Code: "main-of", Job: health.JobConfig, Start: unrelated},
	{Code: "endpoint", Job: health.JobMetrics, Start: reporting(health.UserFault("endpoint", nil, "It has no FIPS endpoint."))},
	{Code: "metrics-denied", Job: health.JobMetrics, Start: reporting(health.UserFault(cloudwatch.CodeDenied, nil, "They may not be sent."))},
	{Code: "metrics-unreachable", Job: health.JobMetrics, Limit: 2 * time.Minute,
		Reason: "points are sent again with pauses of up to a minute",
		Start:  reporting(health.SystemFault(cloudwatch.CodeUnreachable, nil, "No network."))},
	{Code: "metrics-refused", Job: health.JobMetrics, Limit: 61 * time.Minute, Reason: "dropped points are an event; it is shown for an hour",
		Start: reporting(health.SystemFault(cloudwatch.CodeRefused, nil, "They are too old."))},
}

func TestConditionsEnd(t *testing.T) {
	t.Parallel()
	for _, row := range conditionRows {
		for _, way := range conditiontest.Ways {
			t.Run(row.Job+"/"+row.Code+"/"+string(way), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { conditiontest.Check(t, row, way) })
			})
		}
	}
	row := conditiontest.Row{Code: "local-api", Job: health.JobAPI, Start: blockedSocket}
	t.Run(row.Code, func(t *testing.T) {
		t.Parallel()
		conditiontest.Check(t, row, conditiontest.Success)
	})
}

// blockedSocket has something else in the place of the local API's socket.
func blockedSocket(t *testing.T) conditiontest.Case {
	registry := health.NewRegistry(time.Now)
	dir, err := os.MkdirTemp("", "api") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "agent.sock")
	server, err := localapi.NewServer(localapi.Options{Socket: path, Component: registry.Component("", health.JobAPI), Log: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = server.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait(); _ = os.RemoveAll(dir) })
	return conditiontest.Case{
		Health: registry, Now: time.Now, Step: 100 * time.Millisecond,
		Raise:  func() { _ = os.Remove(path); _ = os.MkdirAll(filepath.Join(path, "x"), 0o700) },
		Repair: func() { _ = os.RemoveAll(path) },
	}
}

// TestConditionsOfTheSettingsEnd is not parallel: the SDK reads its endpoints from the process's environment.
func TestConditionsOfTheSettingsEnd(t *testing.T) {
	for _, row := range []conditiontest.Row{
		{Code: "settings-refused", Job: health.JobSettings, Start: reloaded(settings.EnvUploadMode, "sideways")},
		{Code: "settings-misspelt", Job: health.JobSettings, Start: reloaded("AWS_KVS_EDGE_UPLAOD_MODE", "live")},
		{Code: "settings-restart", Job: health.JobSettings, Start: reloaded("TZ", "Europe/Berlin")},
	} {
		conditiontest.Check(t, row, conditiontest.Reload)
	}
}

// clockOff has a hub whose clock is off until somebody sets it.
func clockOff(t *testing.T) conditiontest.Case {
	registry := health.NewRegistry(time.Now)
	var step atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(step.Load())) }
	clock := hubclock.New(hubclock.Options{Now: now, Synchronised: func() bool { return false }})
	answered := func() { clock.Heard(time.Now().Round(0).Truncate(time.Second), now(), now()) }
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = watchClock(registry.Component("", health.JobCloud), zap.NewNop(), clock.Ahead)(ctx)
	}()
	t.Cleanup(func() { cancel(); <-done })
	return conditiontest.Case{
		Health: registry, Now: time.Now, Step: time.Second,
		Raise:  func() { step.Store(int64(-10 * time.Minute)); answered() },
		Repair: func() { step.Store(0); answered() },
	}
}

// frozen has a hub that was suspended.
func frozen(t *testing.T) conditiontest.Case {
	registry, began := health.NewRegistry(time.Now), time.Now()
	var asleep atomic.Int64
	now := func() time.Duration { return time.Since(began) + time.Duration(asleep.Load()) }
	w := newFreezes(registry.Component("", health.JobAPI), zap.NewNop(), now)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = w.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return conditiontest.Case{
		Health: registry, Now: time.Now, Step: time.Second, Raise: func() { asleep.Add(int64(20 * time.Second)) }, Repair: func() {},
	}
}

// tagsDenied has a stream whose tags the hub may not read.
func tagsDenied(t *testing.T) conditiontest.Case {
	denied := &kvs.RequestError{Meaning: awserr.Classify(403, "AccessDeniedException", "")}
	return readingTags(t, func(board *countedTags) { board.fail(denied) }, func(board *countedTags) { board.fail(nil) })
}

// wrongFragmentTag has a stream with a tag that is not a length of fragments.
func wrongFragmentTag(t *testing.T) conditiontest.Case {
	return readingTags(t, func(board *countedTags) { board.set(map[string]string{desired.TagFragment: "long"}) },
		func(board *countedTags) { board.set(map[string]string{desired.TagFragment: "5s"}) })
}

// wrongUploadTag has a stream with a tag that is not an upload mode.
func wrongUploadTag(t *testing.T) conditiontest.Case {
	return readingTags(t, func(board *countedTags) { board.set(map[string]string{desired.TagUpload: "on demand"}) },
		func(board *countedTags) { board.set(map[string]string{desired.TagUpload: "on-request"}) })
}

// unrelated has a main stream that names a sub stream which does not exist.
func unrelated(t *testing.T) conditiontest.Case {
	a := &Agent{health: health.NewRegistry(time.Now), uploadMode: newHubMode(settings.UploadScheduled), log: zap.NewNop()}
	a.current.Store(&settings.Settings{})
	a.streams = &streams{running: make(map[string]*stream)}
	configure := func(streams ...desired.Stream) {
		a.streams.mu.Lock()
		for _, s := range streams {
			a.streams.running[s.Name] = &stream{wanted: s}
		}
		a.streams.mu.Unlock()
		a.relateAll()
	}
	return conditiontest.Case{
		Health: a.health, Now: time.Now, Step: time.Second,
		Raise: func() {
			configure(desired.Stream{Name: conditiontest.Stream, Upload: desired.Upload{Tags: desired.Tags{MainOf: "sub"}}})
		},
		Repair: func() { configure(desired.Stream{Name: "sub"}) },
	}
}

// readingTags has an upload that follows the tags of its stream, with which something is wrong at first.
func readingTags(t *testing.T, raise, repair func(*countedTags)) conditiontest.Case {
	registry, board, nudged := health.NewRegistry(time.Now), &countedTags{}, make(chan nudge, 1)
	component := registry.Component(conditiontest.Stream, health.JobUploader)
	m := &uploadModes{
		component: component, stream: conditiontest.Stream, common: newHubMode(settings.UploadLive),
		tags: board, pace: defaultTagPace(), nudged: nudged, log: zap.NewNop(),
		tagged: func(tags desired.Tags) { reportTags(conditiontest.Stream, tags, component, zap.NewNop()) },
		run: map[settings.UploadMode]func(context.Context) error{
			settings.UploadLive: func(ctx context.Context) error { <-ctx.Done(); return nil },
		},
	}
	raise(board)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = m.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return conditiontest.Case{
		Health: registry, Now: time.Now, Step: time.Second, Raise: func() {}, Repair: func() { repair(board) },
		Ways: map[conditiontest.Way]func(){conditiontest.Reload: func() { nudged <- nudgeRights }},
	}
}

// jobThat has a job that does not do its work until it is repaired.
func jobThat(name string, fail func() error) func(*testing.T) conditiontest.Case {
	return func(t *testing.T) conditiontest.Case {
		registry := health.NewRegistry(time.Now)
		var mended atomic.Bool
		start := func() *job {
			run := func(ctx context.Context) error {
				if !mended.Load() {
					return fail()
				}
				<-ctx.Done()
				return ctx.Err()
			}
			part := registry.Component(conditiontest.Stream, name)
			return startJob(jobOptions{stream: conditiontest.Stream, name: name, component: part, log: zap.NewNop(), run: run})
		}
		j := start()
		t.Cleanup(func() { j.stop() })
		restart := func() { j.stop(); j = start() }
		return conditiontest.Case{
			Health: registry, Now: time.Now, Step: 100 * time.Millisecond, Raise: synctest.Wait, Repair: func() { mended.Store(true) },
			Ways: map[conditiontest.Way]func(){conditiontest.Restart: restart, conditiontest.Configuration: restart},
		}
	}
}

// inBackground runs a part until the test ends.
func inBackground(t *testing.T, run func(context.Context) error) {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var group sync.WaitGroup
	group.Go(func() { _ = run(ctx) })
	t.Cleanup(func() { stop(); group.Wait() })
}

// guarded has a part that panics until it is repaired, beside another one of the same job that works.
func guarded(job string) func(*testing.T) conditiontest.Case {
	return func(t *testing.T) conditiontest.Case {
		registry := health.NewRegistry(time.Now)
		var mended atomic.Bool
		part := registry.Component("", job)
		keep := func(what string, run func()) {
			inBackground(t, func(ctx context.Context) error {
				return supervise.Keep(ctx, supervise.Options{What: what, Component: part, Log: zap.NewNop()}, func(ctx context.Context) error {
					run()
					<-ctx.Done()
					return nil
				})
			})
		}
		keep("What works", func() {})
		keep("What fails", func() {
			if !mended.Load() {
				panic("a test")
			}
		})
		return conditiontest.Case{
			Health: registry, Now: time.Now, Step: 100 * time.Millisecond, Raise: synctest.Wait, Repair: func() { mended.Store(true) },
		}
	}
}

// oddDisk is a disk that does not do everything.
type oddDisk struct {
	atomicfile.OS
	unsynced, unlisted atomic.Bool
}

func (d *oddDisk) OpenFile(name string, flag int, mode fs.FileMode) (atomicfile.File, error) {
	f, err := d.OS.OpenFile(name, flag, mode)
	return oddFile{f, d}, err
}

func (d *oddDisk) ReadDir(dir string) ([]fs.DirEntry, error) {
	if d.unlisted.Load() && filepath.Base(dir) == conditiontest.Stream {
		return nil, &fs.PathError{Op: "readdirent", Path: dir, Err: syscall.EIO}
	}
	return d.OS.ReadDir(dir)
}

type oddFile struct {
	atomicfile.File
	disk *oddDisk
}

func (f oddFile) Sync() error {
	if f.disk.unsynced.Load() {
		return &fs.PathError{Op: "sync", Path: "a file", Err: syscall.EIO}
	}
	return f.File.Sync()
}

func mustWrite(path, content string) {
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content), 0o600)); err != nil {
		panic(err)
	}
}

// storeOn has a store, with a segment that is being written, on a disk that is odd from its start on.
func storeOn(arrange func(d *oddDisk, dir string) (raise, undo func())) func(*testing.T) conditiontest.Case {
	return func(t *testing.T) conditiontest.Case {
		dir := t.TempDir()
		before, err := segment.Open(segment.Options{Dir: dir})
		must(t, err)
		writeSecond(t, before, time.Date(2026, 11, 27, 7, 0, 0, 0, time.UTC), true)
		must(t, before.Close())
		disk := new(oddDisk)
		raise, undo := arrange(disk, dir)
		registry := health.NewRegistry(time.Now)
		store, err := segment.Open(segment.Options{Dir: dir, Files: disk, Health: registry.Component("", health.JobStore)})
		must(t, err)
		t.Cleanup(func() { _ = store.Close() })
		inBackground(t, store.Run)
		more := func() {}
		if !disk.unlisted.Load() {
			w, at := writeSecond(t, store, time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC), false), time.Second
			more = func() { // what was written before may be synced already
				at += time.Second
				_ = errors.Join(w.WriteFrame(1, at, false, [][]byte{{1}}), w.Flush()) // it may fail: the disk is odd
			}
		}
		return conditiontest.Case{
			Health: registry, Now: time.Now, Step: time.Second, Raise: func() { raise(); more(); synctest.Wait() }, Repair: undo,
		}
	}
}

// writeSecond writes a segment of a second, and finishes it or not.
func writeSecond(t *testing.T, store *segment.Store, start time.Time, finish bool) *segment.Writer {
	t.Helper()
	track := mkv.Track{Number: 1, Kind: mkv.Video, CodecID: mkv.CodecAVC}
	w, err := store.Create(conditiontest.Stream, mkv.Header{Start: start, Tracks: []mkv.Track{track}})
	must(t, err)
	frame := [][]byte{{1}}
	must(t, errors.Join(w.BeginFragment(0, true), w.WriteFrame(1, 0, true, frame), w.WriteFrame(1, time.Second, false, frame), w.Flush()))
	if finish {
		must(t, w.Seal())
	}
	return w
}

// reporting has a Reporter whose points are not taken.
func reporting(f *health.Fault) func(*testing.T) conditiontest.Case {
	return func(t *testing.T) conditiontest.Case {
		registry := health.NewRegistry(time.Now)
		sender := new(deafCloudWatch)
		sender.fault.Store(f)
		store, err := segment.Open(segment.Options{Dir: t.TempDir()})
		must(t, err)
		t.Cleanup(func() { _ = store.Close() })
		inBackground(t, metrics.New(metrics.Options{
			Thing: thing, Sender: sender, Health: registry, Store: store, Streams: func() []metrics.Stream { return nil }, Log: zap.NewNop(),
		}).Run)
		return conditiontest.Case{
			Health: registry, Now: time.Now, Step: time.Second, Raise: synctest.Wait, Repair: func() { sender.fault.Store(nil) },
		}
	}
}

type deafCloudWatch struct{ fault atomic.Pointer[health.Fault] }

// Put implements metrics.Sender.
func (c *deafCloudWatch) Put(context.Context, string, []cloudwatch.Point) error {
	if f := c.fault.Load(); f != nil {
		return f
	}
	return nil
}

// reloaded has an agent whose settings file has one value that it cannot follow.
func reloaded(variable, value string) func(*testing.T) conditiontest.Case {
	return func(t *testing.T) conditiontest.Case {
		s := newRig(t).service()
		reload := func() { _, _ = s.agent.Reload() } // health has the result
		return conditiontest.Case{
			Health: s.agent.health, Now: time.Now, Step: 50 * time.Millisecond,
			Raise: func() { s.write(map[string]string{variable: value}); reload() }, Repair: func() { s.write(nil) },
			Ways: map[conditiontest.Way]func(){conditiontest.Reload: reload},
		}
	}
}
