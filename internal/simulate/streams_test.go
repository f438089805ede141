package simulate

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/event"
	"github.com/kvs-edge/kvs-edge-agent/internal/fragment"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/jobspec"
	"github.com/kvs-edge/kvs-edge-agent/internal/receipt"
	"github.com/kvs-edge/kvs-edge-agent/internal/recorder"
	"github.com/kvs-edge/kvs-edge-agent/internal/retention"
	"github.com/kvs-edge/kvs-edge-agent/internal/scheduler"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/supervise"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader"
)

// job is one of a stream's, as the agent has it: it ends only by stop.
type job struct {
	spec   any
	cancel context.CancelFunc
	done   chan struct{}
}

func startJob(component *health.Component, spec any, run func(context.Context) error) *job {
	ctx, cancel := context.WithCancel(context.Background())
	j := &job{spec: spec, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(j.done)
		defer component.End()
		pause := backoff.New(backoff.Policy{})
		for ctx.Err() == nil {
			err := supervise.Do("A job", func() error { return run(ctx) })
			if ctx.Err() != nil {
				return
			}
			component.Report(health.ScopeJob, health.Failed, health.FaultOf(errors.Join(err, errors.New("it ended by itself")), "job-ended"))
			if pause.Wait(ctx) != nil {
				return
			}
			component.OK(health.ScopeJob)
		}
	}()
	return j
}

func (j *job) stop() {
	j.cancel()
	<-j.done
}

// running is a stream that runs.
type running struct {
	wanted desired.Stream
	record *job
	upload *job
}

// streams makes the desired set run, as the agent does. It implements precedence.Streams.
type streams struct {
	h *hub

	applying sync.Mutex
	stopped  bool // guarded by applying

	mu      sync.Mutex
	running map[string]*running // guarded by mu
}

func (s *streams) set() desired.Set {
	s.mu.Lock()
	defer s.mu.Unlock()
	set := make(desired.Set)
	for name, r := range s.running {
		set[name] = r.wanted
	}
	return set
}

func (s *streams) names() []string { return s.set().Names() }

func (s *streams) get(name string) *running {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running[name]
}

// Apply implements precedence.Streams.
func (s *streams) Apply(_ context.Context, wanted desired.Set) (outcomes []desired.Outcome) {
	s.applying.Lock()
	defer s.applying.Unlock()
	if s.stopped {
		return nil
	}
	for _, step := range desired.Reconcile(s.set(), wanted) {
		if step.Action == desired.Stop {
			s.stop(step.Stream.Name)
			continue
		}
		s.run(step.Stream)
		outcomes = append(outcomes, desired.Outcome{Stream: step.Stream.Name})
	}
	return outcomes
}

// Remove implements precedence.Streams.
func (s *streams) Remove(ctx context.Context, name string) error {
	s.applying.Lock()
	defer s.applying.Unlock()
	s.stop(name)
	s.h.w.removing(name)
	if err := s.h.store.DeleteStream(ctx, name); err != nil {
		return err
	}
	s.h.retention.Forget(name)
	s.h.audits.Forget(name)
	s.h.registry.RemoveStream(name)
	return nil
}

func (s *streams) run(wanted desired.Stream) {
	name, before := wanted.Name, s.get(wanted.Name)
	next := &running{wanted: wanted}
	keep := retention.Policy(wanted.Keep)
	keep.Local = s.h.w.modes[name] == settings.UploadOnRequest
	s.h.w.keeps(name, keep)
	if s.h.w.planted == impatient {
		keep.MaxAge /= 10
	}
	s.h.retention.SetPolicy(name, keep)
	record, upload := jobspec.RecordOf(wanted, s.h.settings), jobspec.UploadOf(wanted, s.h.settings)
	if before != nil {
		next.record, next.upload = before.record, before.upload
	}
	if next.record == nil || next.record.spec != record {
		continues := next.record != nil
		if continues {
			next.record.stop()
		}
		component := s.h.registry.Component(name, health.JobRecorder)
		component.End()
		next.record = startJob(component, record, s.h.recordJob(name, record, continues))
	}
	if next.upload == nil || next.upload.spec != upload {
		if next.upload != nil {
			next.upload.stop()
		}
		component := s.h.registry.Component(name, health.JobUploader)
		component.End()
		next.upload = startJob(component, upload, s.h.uploadJob(name, upload))
	}
	s.mu.Lock()
	s.running[name] = next
	s.mu.Unlock()
}

func (s *streams) stop(name string) {
	r := s.get(name)
	if r == nil {
		return
	}
	r.record.stop()
	r.upload.stop()
	s.h.retention.Remove(name)
	s.mu.Lock()
	delete(s.running, name)
	s.mu.Unlock()
}

// stopAll ends all jobs, the recorders first.
func (s *streams) stopAll() {
	s.applying.Lock()
	defer s.applying.Unlock()
	s.stopped = true
	s.mu.Lock()
	list := slices.Collect(maps.Values(s.running))
	s.mu.Unlock()
	for _, of := range []func(*running) *job{func(r *running) *job { return r.record }, func(r *running) *job { return r.upload }} {
		var group sync.WaitGroup
		for _, r := range list {
			group.Go(of(r).stop)
		}
		group.Wait()
	}
}

func (h *hub) recordJob(stream string, spec jobspec.Record, continues bool) func(context.Context) error {
	component := h.registry.Component(stream, health.JobRecorder)
	r := recorder.New(recorder.Options{
		Stream: stream, Source: source{h.w.camera(stream)}, Store: h.store, Clock: h.clock, SegmentDuration: spec.SegmentDuration,
		FlushInterval: spec.FlushInterval, MaxSegmentBytes: func() int64 { return h.retention.SegmentBytes(stream) },
		FragmentTarget: func() time.Duration { return h.fragmentTarget(stream) },
		Continues:      continues, Health: component, Now: h.w.clock.now,
	})
	return h.scheduled(spec.Schedule.Plan(0), component, r.Run)
}

// fragmentTarget is how long fragments may become: short ones where they are uploaded live.
func (h *hub) fragmentTarget(stream string) time.Duration {
	if h.w.modes[stream] == settings.UploadLive || h.events.Grows(stream) {
		return fragment.Shortest
	}
	return 9 * time.Second
}

func (h *hub) uploadJob(stream string, spec jobspec.Upload) func(context.Context) error {
	component := h.registry.Component(stream, health.JobUploader)
	sent := new(event.Sent)
	keep := h.audits.Keep(stream)
	u := uploader.New(uploader.Options{
		Stream: stream, Store: notes{h.store, h.w}, Cloud: h.kvs, Health: component, Counted: h.counted.Stream(stream), Line: &h.urgency,
		Now:      h.w.clock.now,
		Receipts: func(r receipt.Receipt) { h.w.receipt(h, r.Number); keep(r) },
		Sent:     sent.Note,
		Events:   func(began, ended time.Time) string { return h.events.Tag(stream, began, ended) },
	})
	plan := spec.Schedule.Plan(0)
	run := u.Run
	if spec.Schedule.IsHourly() {
		run = func(ctx context.Context) error {
			if err := u.Drain(ctx); err != nil {
				return err
			}
			<-ctx.Done()
			return nil
		}
	}
	windows := h.scheduled(plan, component, run)
	mode := func(ctx context.Context) error { return u.RunInWindows(ctx, windows) }
	switch h.w.modes[stream] {
	case settings.UploadLive:
		mode = u.RunLive
	case settings.UploadOnRequest:
		mode = u.RunOnRequest
	}
	return h.onDemand.RegisterWhile(stream, u, h.events.With(stream, u, sent, zap.NewNop(), mode))
}

// scheduled runs a job in the windows of a plan.
func (h *hub) scheduled(plan scheduler.Plan, component *health.Component, run func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		err := scheduler.Run(ctx, scheduler.RunnerOptions{Plan: plan, Clock: h.windows, Job: run, OnState: func(open bool, _ time.Time) {
			if !open {
				component.SetState(health.OffBySchedule)
			}
		}})
		if errors.Is(err, context.Canceled) {
			return nil
		}
		return err
	}
}
