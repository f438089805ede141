package agent

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/metrics"
	"github.com/kvs-edge/kvs-edge-agent/internal/retention"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

// streams turns the desired streams into running jobs. It is level-triggered: Apply
// compares what is desired with what runs and does what is missing.
type streams struct {
	workers workers

	// applying makes apply and remove one at a time; it is held while jobs stop, so readers use mu.
	applying sync.Mutex
	stopped  bool // nothing starts any more; guarded by applying

	mu      sync.RWMutex
	running map[string]*stream // by stream name, guarded by mu

	keeping sync.Mutex                // held while a policy is set, so that the newest stays in force
	kept    map[string]desired.Stream // whose policies are set, guarded by keeping

	deletion deletion // of media
}

// workers is what streams needs from the rest of the agent: how to build each job and where it acts.
type workers struct {
	log        *zap.Logger
	health     *health.Registry
	retention  policies
	media      mediaRemover
	settings   func() settings.Settings
	jobs       []jobKind                        // in stop order
	readSecret func(secretARN string)           // reads a camera's secret again at once
	secretRead func(secretARN string) time.Time // when it was last read
	changed    func(name string)                // called when a running stream has a newer configuration
	describe   func(desired.Stream) status.Wanted
	keep       func(desired.Stream) retention.Policy
	requests   func(name string) []status.Request // for its upload
	related    func()                             // called when other streams run, or are configured otherwise
	deleted    func(name string)                  // called when all its media is deleted; nil: nobody is
	forgotten  func(name string)                  // called when a stream is no longer configured
	storage    func(name string) (tier string, retentionHours *int)
	completed  func(name, job string) // notified of a job that did its work until its configuration went
}

// mediaRemover is what streams needs of the store.
type mediaRemover interface {
	Streams() []string
	Holds(stream string) bool
	Usage(stream string) segment.Usage
	DeleteStream(ctx context.Context, stream string) error
}

// stream is one stream that runs.
type stream struct {
	wanted desired.Stream
	jobs   []*job // by workers.jobs, and as long
}

func newStreams(w workers) *streams {
	s := &streams{workers: w, running: make(map[string]*stream), kept: make(map[string]desired.Stream)}
	s.deletion.delete = w.media.DeleteStream
	s.deletion.forget = func(name string) {
		w.retention.Forget(name)
		if w.deleted != nil {
			w.deleted(name)
		}
		w.health.RemoveStream(name)
	}
	return s
}

// Apply makes what is wanted run. What is not wanted stops; its media stays. It returns an outcome for each stream of the
// set, by name, none when the agent stops.
func (s *streams) Apply(_ context.Context, wanted desired.Set) []desired.Outcome {
	s.applying.Lock()
	defer s.applying.Unlock()
	outcomes := make([]desired.Outcome, 0, len(wanted))
	if s.stopped {
		return outcomes
	}
	for _, step := range desired.Reconcile(s.set(), wanted) {
		if step.Action != desired.Stop {
			s.run(step.Stream, step.Again)
			outcomes = append(outcomes, desired.Outcome{Stream: step.Stream.Name})
			continue
		}
		s.stopStream(step.Stream.Name)
		logevent.StreamStopped.Log(s.workers.log, zap.String("stream", step.Stream.Name))
	}
	s.workers.related()
	return outcomes
}

// keep sets the policy of a configured stream.
func (s *streams) keep(wanted desired.Stream) {
	s.keeping.Lock()
	defer s.keeping.Unlock()
	s.kept[wanted.Name] = wanted
	s.workers.retention.SetPolicy(wanted.Name, s.workers.keep(wanted))
}

// keepAgain sets the policy of a stream again, as its upload mode may be another one.
func (s *streams) keepAgain(name string) {
	s.keeping.Lock()
	defer s.keeping.Unlock()
	if wanted, configured := s.kept[name]; configured {
		s.workers.retention.SetPolicy(name, s.workers.keep(wanted))
	}
}

// keepLast leaves the media of a stream that is no longer configured to its last policy.
func (s *streams) keepLast(name string) {
	s.keeping.Lock()
	defer s.keeping.Unlock()
	delete(s.kept, name)
	s.workers.retention.Remove(name)
}

// reapply restarts the jobs that depend on settings which have changed, one stream after the other,
// and returns the names of their streams.
func (s *streams) reapply() (restarted []string) {
	s.applying.Lock()
	defer s.applying.Unlock()
	for _, name := range s.names() {
		before := s.get(name)
		s.run(before.wanted, false)
		if now := s.get(name); !slices.Equal(now.jobs, before.jobs) {
			restarted = append(restarted, name)
		}
	}
	return restarted
}

// Remove stops the stream's jobs and deletes its media. It may be called again for the same stream.
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
	s.workers.related()
	if err := s.deletion.run(ctx, name); err != nil {
		return err
	}
	logevent.StreamDeleted.Log(s.workers.log, zap.String("stream", name))
	return nil
}

// run makes a stream's jobs those that are wanted. With again those that failed are restarted too: AWS documents the
// same configuration, sent again, as the way to do that.
func (s *streams) run(wanted desired.Stream, again bool) {
	name, hub := wanted.Name, s.workers.settings()
	before := s.get(name)
	next := &stream{wanted: wanted, jobs: make([]*job, len(s.workers.jobs))}
	s.keep(wanted)
	if again {
		if arn := wanted.Media.SecretARN; arn != "" {
			s.workers.readSecret(arn)
		}
		s.workers.changed(name)
	}
	for i, kind := range s.workers.jobs {
		var current *job
		if before != nil {
			current = before.jobs[i]
		}
		next.jobs[i] = s.settle(name, kind, current, kind.spec(wanted, hub), again)
	}
	s.mu.Lock()
	s.running[name] = next
	s.mu.Unlock()
}

// settle returns the job that does what spec says: the current one where that does it, and has not failed when it is
// asked for again.
func (s *streams) settle(name string, kind jobKind, current *job, spec any, again bool) *job {
	if current != nil && current.spec == spec && !(again && s.failed(name, kind.Name)) {
		return current
	}
	continues := false
	if current != nil {
		continues = s.recording(name, kind.Name)
		current.stop()
	}
	component := s.workers.health.Component(name, kind.Name)
	component.End()
	logevent.JobStarted.Log(s.workers.log, zap.String("stream", name), zap.String("job", kind.Name))
	return startJob(jobOptions{stream: name, name: kind.Name, spec: spec, component: component, log: s.workers.log,
		run: kind.build(name, spec, continues)})
}

func (s *streams) failed(name, jobName string) bool {
	worst, ok := s.workers.health.Component(name, jobName).Snapshot().Worst()
	return ok && worst.Severity == health.Failed
}

// recording reports whether a job is in its window, and has recorded.
func (s *streams) recording(name, jobName string) bool {
	component := s.workers.health.Component(name, jobName)
	return !component.Snapshot().IsOffBySchedule() && component.Value(health.FramesRecorded) > 0
}

// stopStream ends a stream's jobs for good, the recorder first so that the uploader sees its last
// fragment. A job that waits for its window was completed when the last one closed.
func (s *streams) stopStream(name string) {
	st := s.get(name)
	if st == nil {
		return
	}
	for _, j := range st.jobs {
		ran := metrics.ActivityOf(s.workers.health.Component(name, j.name).Snapshot()) == metrics.Running
		if j.stop(); ran {
			s.workers.completed(name, j.name)
		}
	}
	s.keepLast(name)
	s.workers.forgotten(name)
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
	for i := range s.workers.jobs {
		var group sync.WaitGroup
		for _, name := range s.names() {
			group.Go(s.get(name).jobs[i].stop)
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

// set is what runs.
func (s *streams) set() desired.Set {
	s.mu.RLock()
	defer s.mu.RUnlock()
	set := make(desired.Set, len(s.running))
	for name, st := range s.running {
		set[name] = st.wanted
	}
	return set
}

// infos lists the streams for status.
func (s *streams) infos() []status.StreamInfo {
	set := s.set()
	infos := make([]status.StreamInfo, 0, len(set))
	for _, name := range set.Names() {
		wanted := set[name]
		info := status.StreamInfo{
			Name: name, LimitBytes: wanted.Keep.MaxBytes, SecretRead: s.workers.secretRead(wanted.Media.SecretARN),
			Wanted: s.workers.describe(wanted),
		}
		info.OnRequest = info.Wanted.UploadMode == string(settings.UploadOnRequest)
		info.Requests = s.workers.requests(name)
		if s.workers.storage != nil {
			info.StorageTier, _ = s.workers.storage(name)
		}
		infos = append(infos, info)
	}
	return infos
}
