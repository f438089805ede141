package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/jobspec"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvsconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/metrics"
	"github.com/kvs-edge/kvs-edge-agent/internal/retention"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

// streams turns the desired configurations into running jobs. It is level-triggered: apply
// compares what is desired with what runs and does what is missing.
type streams struct {
	workers workers

	// applying makes apply and remove one at a time; it is held while jobs stop, so readers use mu.
	applying sync.Mutex
	stopped  bool // nothing starts any more; guarded by applying

	mu      sync.RWMutex
	running map[string]*stream // by stream name, guarded by mu

	deletion deletion // of media
}

// workers is what streams needs from the rest of the agent: how to build each job and where it acts.
type workers struct {
	log        *zap.Logger
	health     *health.Registry
	retention  policies
	media      mediaRemover
	settings   func() settings.Settings
	record     func(name string, spec jobspec.Record, continues bool) (func(context.Context) error, error)
	upload     func(name string, spec jobspec.Upload) (func(context.Context) error, error)
	readSecret func(secretARN string)           // reads a camera's secret again at once
	secretRead func(secretARN string) time.Time // when it was last read
	changed    func(name string)                // called when a running stream has a newer configuration
	completed  func(name, job string)           // notified of a job that did its work until its configuration went
}

// mediaRemover is what streams needs of the store.
type mediaRemover interface {
	Streams() []string
	Holds(stream string) bool
	Usage(stream string) segment.Usage
	DeleteStream(ctx context.Context, stream string) error
}

// stream is one configured stream with its two jobs.
type stream struct {
	config   edgeconfig.StreamConfig
	record   jobspec.Record
	upload   jobspec.Upload
	recorder *job
	uploader *job
	limit    int64
}

func newStreams(w workers) *streams {
	s := &streams{workers: w, running: make(map[string]*stream)}
	s.deletion.delete = w.media.DeleteStream
	s.deletion.forget = func(name string) {
		w.retention.Forget(name)
		w.health.RemoveStream(name)
	}
	return s
}

// Apply implements kvsconfig.Applier. A configuration that is refused leaves the jobs of the one
// before it running.
func (s *streams) Apply(_ context.Context, desired []edgeconfig.StreamConfig) []kvsconfig.Outcome {
	s.applying.Lock()
	defer s.applying.Unlock()
	outcomes := make([]kvsconfig.Outcome, 0, len(desired))
	if s.stopped {
		return outcomes
	}
	wanted := make(map[string]bool, len(desired))
	for _, config := range desired {
		wanted[config.StreamName] = true
		outcomes = append(outcomes, kvsconfig.Outcome{StreamName: config.StreamName, Err: s.applyOne(config)})
	}
	for _, name := range s.names() {
		if !wanted[name] {
			s.stopStream(name)
			s.workers.log.Info("the stream is no longer configured for this hub; its media stays", zap.String("stream", name))
		}
	}
	return outcomes
}

// reapply restarts the jobs that depend on settings which have changed, one stream after the other,
// and returns the names of their streams.
func (s *streams) reapply() (restarted []string, err error) {
	s.applying.Lock()
	defer s.applying.Unlock()
	for _, name := range s.names() {
		before := s.get(name)
		err = errors.Join(err, s.applyOne(before.config))
		if now := s.get(name); now.recorder != before.recorder || now.uploader != before.uploader {
			restarted = append(restarted, name)
		}
	}
	return restarted, err
}

// Remove implements kvsconfig.Applier: it stops the stream's jobs and deletes its media.
func (s *streams) Remove(ctx context.Context, name string) error {
	err := s.remove(ctx, name)
	if err != nil && s.deletion.isStopping() {
		<-ctx.Done() // no failure is reported to the cloud: the next start continues with it
	}
	return err
}

func (s *streams) remove(ctx context.Context, name string) error {
	s.applying.Lock()
	defer s.applying.Unlock()
	s.stopStream(name)
	if err := s.deletion.run(ctx, name); err != nil {
		return err
	}
	s.workers.log.Info("the stream's configuration and media are deleted", zap.String("stream", name))
	return nil
}

func (s *streams) applyOne(config edgeconfig.StreamConfig) error {
	if err := jobspec.Validate(config.Config); err != nil {
		return err
	}
	name := config.StreamName
	hub := s.workers.settings()
	record, upload := jobspec.RecordOf(config.Config, hub), jobspec.UploadOf(config.Config, hub)
	before := s.get(name)
	next := &stream{config: config, record: record, upload: upload}
	next.limit, _ = config.Config.LocalLimit()
	s.workers.retention.SetPolicy(name, jobspec.PolicyOf(config.Config))

	// AWS documents the same configuration, sent again, as the way to restart a failed job.
	again := before != nil && config.LastUpdated.After(before.config.LastUpdated)
	if again {
		s.workers.readSecret(record.SecretARN)
		s.workers.changed(name)
	}
	var err error
	if before != nil && before.record == record && (!again || !s.failed(name, health.JobRecorder)) {
		next.recorder = before.recorder
	} else {
		continues := before != nil && before.recorder != nil && s.recording(name)
		stopJob(before, func(b *stream) *job { return b.recorder })
		run, buildErr := s.workers.record(name, record, continues)
		next.recorder, err = s.start(name, health.JobRecorder, run, buildErr)
	}
	if before != nil && before.upload == upload && (!again || !s.failed(name, health.JobUploader)) {
		next.uploader = before.uploader
	} else {
		stopJob(before, func(b *stream) *job { return b.uploader })
		run, buildErr := s.workers.upload(name, upload)
		var uploadErr error
		next.uploader, uploadErr = s.start(name, health.JobUploader, run, buildErr)
		err = errors.Join(err, uploadErr)
	}
	s.mu.Lock()
	s.running[name] = next
	s.mu.Unlock()
	return err
}

func stopJob(before *stream, which func(*stream) *job) {
	if before == nil {
		return
	}
	if j := which(before); j != nil {
		j.stop()
	}
}

// start starts a job that was built, if it could be: err is of building it.
func (s *streams) start(name, jobName string, run func(context.Context) error, err error) (*job, error) {
	if err != nil {
		return nil, fmt.Errorf("cannot start the %s of stream %s: %w", jobName, name, err)
	}
	component := s.workers.health.Component(name, jobName)
	component.End()
	s.workers.log.Info("job started", zap.String("stream", name), zap.String("job", jobName))
	return startJob(jobOptions{stream: name, name: jobName, component: component, log: s.workers.log, run: run}), nil
}

func (s *streams) failed(name, jobName string) bool {
	worst, ok := s.workers.health.Component(name, jobName).Snapshot().Worst()
	return ok && worst.Severity == health.Failed
}

// recording reports whether a recorder is in its window, and has recorded.
func (s *streams) recording(name string) bool {
	component := s.workers.health.Component(name, health.JobRecorder)
	return !component.Snapshot().IsOffBySchedule() && component.Value(health.FramesRecorded) > 0
}

// stopStream ends a stream's jobs for good, the recorder first so that the uploader sees its last
// fragment. A job that waits for its window was completed when the last one closed.
func (s *streams) stopStream(name string) {
	st := s.get(name)
	if st == nil {
		return
	}
	for _, end := range []struct {
		name string
		job  *job
	}{{health.JobRecorder, st.recorder}, {health.JobUploader, st.uploader}} {
		if end.job == nil {
			continue
		}
		ran := metrics.ActivityOf(s.workers.health.Component(name, end.name).Snapshot()) == metrics.Running
		if end.job.stop(); ran {
			s.workers.completed(name, end.name)
		}
	}
	s.workers.retention.Remove(name)
	s.mu.Lock()
	delete(s.running, name)
	s.mu.Unlock()
}

// stopAll ends all jobs: first every recorder, at once, so that all segments are sealed, then
// every uploader. No deletion of media holds it up.
func (s *streams) stopAll() {
	s.deletion.stop()
	s.applying.Lock()
	defer s.applying.Unlock()
	for _, which := range []func(*stream) *job{
		func(st *stream) *job { return st.recorder },
		func(st *stream) *job { return st.uploader },
	} {
		var group sync.WaitGroup
		for _, name := range s.names() {
			if j := which(s.get(name)); j != nil {
				group.Go(j.stop)
			}
		}
		group.Wait()
	}
	s.stopped = true
	s.mu.Lock()
	clear(s.running)
	s.mu.Unlock()
}

// policies is what streams needs of retention.
type policies interface {
	SetPolicy(stream string, p retention.Policy)
	Remove(stream string)
	Forget(stream string)
}

func (s *streams) get(name string) *stream {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.running[name]
}

func (s *streams) names() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Sorted(maps.Keys(s.running))
}

// infos lists the streams for status.
func (s *streams) infos() []status.StreamInfo {
	names := s.names()
	infos := make([]status.StreamInfo, 0, len(names))
	for _, name := range names {
		if st := s.get(name); st != nil {
			infos = append(infos, status.StreamInfo{Name: name, LimitBytes: st.limit, SecretRead: s.workers.secretRead(st.record.SecretARN)})
		}
	}
	return infos
}
