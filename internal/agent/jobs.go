package agent

import (
	"context"
	"errors"
	"hash/fnv"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/camera"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/address"
	"github.com/kvs-edge/kvs-edge-agent/internal/clip"
	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/event"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/jobspec"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/recorder"
	"github.com/kvs-edge/kvs-edge-agent/internal/scheduler"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader"
)

// jobKinds are the jobs that each stream has, in the order in which they stop.
func (a *Agent) jobKinds() []jobKind {
	kinds := []jobKind{
		{
			StreamJob: health.RecorderJob,
			spec:      func(wanted desired.Stream, hub settings.Settings) any { return jobspec.RecordOf(wanted, hub) },
			build: func(stream string, spec any, continues bool) func(context.Context) error {
				return a.recordJob(stream, spec.(jobspec.Record), continues)
			},
			collected: a.store.LastRecorded,
		},
		{
			StreamJob: health.UploaderJob,
			spec:      func(wanted desired.Stream, hub settings.Settings) any { return jobspec.UploadOf(wanted, hub) },
			build: func(stream string, spec any, _ bool) func(context.Context) error {
				return a.uploadJob(stream, spec.(jobspec.Upload))
			},
			collected: a.lastUploaded,
		},
	}
	if a.settings().NoCloud {
		return kinds[:1]
	}
	return kinds
}

// streamJobs are the names of the kinds.
func streamJobs(kinds []jobKind) []health.StreamJob {
	list := make([]health.StreamJob, len(kinds))
	for i, kind := range kinds {
		list[i] = kind.StreamJob
	}
	return list
}

// lastUploaded is the end of the stream's newest media that is in the cloud. After a restart, until the
// next fragment, only whole segments are known to be.
func (a *Agent) lastUploaded(stream string) time.Time {
	persisted := a.health.Component(stream, health.JobUploader).Value(health.LastPersistedMedia)
	if persisted > 0 {
		return earlier(time.UnixMilli(persisted), a.store.LastRecorded(stream))
	}
	return a.store.LastUploadedEnd(stream)
}

// earlier is the earlier of two times.
func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// recordJob builds the recording of a stream in its windows. continues says that it takes the place of
// one that was recording.
func (a *Agent) recordJob(stream string, spec jobspec.Record, continues bool) func(context.Context) error {
	component := a.health.Component(stream, health.JobRecorder)
	o := recorder.Options{
		Stream:          stream,
		Source:          a.mediaSource(stream, spec),
		Store:           a.store,
		Clock:           a.hubClock,
		SegmentDuration: spec.SegmentDuration,
		FlushInterval:   spec.FlushInterval,
		MaxSegmentBytes: func() int64 { return a.retention.SegmentBytes(stream) },
		FragmentTarget:  func() time.Duration { return a.fragmentTarget(stream) },
		Continues:       continues && spec.Media.Kind != desired.Clip, // a file misses nothing meanwhile
		TimestampSource: spec.Camera.TimestampSource,
		Frozen:          a.freezes.Within,
		Sentence:        func(why *health.Fault) *health.Fault { return a.placeOf(stream, spec.Media).Fault(why) },
		Health:          component,
		Log:             a.log,
	}
	if arn := spec.Media.SecretARN; arn != "" {
		o.Failed = func(why *health.Fault) { a.config.cameras.Failed(arn, why.Text) }
		o.Served = func() { a.config.cameras.Served(arn) }
		o.Changed = func() <-chan struct{} { return a.config.cameras.Changed(arn) }
	}
	r := recorder.New(o)
	return a.scheduled(spec.Schedule.Plan(0), component, jobLog(a.log, stream, health.JobRecorder), r.Run)
}

// placeOf is where the URL of what a stream records is written.
func (a *Agent) placeOf(stream string, media desired.Media) address.Place {
	if media.URL.Empty() {
		return address.Place{}
	}
	if st := a.streams.get(stream); st != nil {
		return a.config.sources.Place(st.wanted)
	}
	return address.InFile("") // it is just being started
}

// mediaSource is what a recording is of: a camera, or a media file.
func (a *Agent) mediaSource(stream string, spec jobspec.Record) recorder.Source {
	url := func(ctx context.Context) (secret.String, error) {
		if known := spec.Media.URL; !known.Empty() {
			return known, nil
		}
		return a.config.cameras.URL(ctx, spec.Media.SecretARN)
	}
	if spec.Media.Kind == desired.Clip {
		return clip.NewSource(clip.Options{URL: url, Directory: spec.MediaDirectory})
	}
	return camera.NewSource(camera.Options{
		URL: url, Transport: spec.Camera.Transport, NoAudio: spec.Camera.NoAudio, Roots: spec.Camera.Roots,
		Log: jobLog(a.log, stream, health.JobRecorder),
	})
}

// uploadJob builds the uploading of a stream: in its windows, hourly when it has none, or live.
func (a *Agent) uploadJob(stream string, spec jobspec.Upload) func(context.Context) error {
	thing := a.settings().IoT.ThingName
	plan := spec.Schedule.Plan(hourlyOffset(thing))
	component := a.health.Component(stream, health.JobUploader)
	log := jobLog(a.log, stream, health.JobUploader)
	sent := new(event.Sent)
	u := uploader.New(uploader.Options{
		Stream: stream, Store: a.store, Cloud: a.kvs, Bandwidth: &a.uploadCap, Health: component, Log: a.log,
		Counted: a.counted.Stream(stream), Cap: a.meter, Receipts: a.keepReceipts(stream),
		Audio:   func() uploader.Audio { return a.settings().Audio.Uploaded() },
		TooLong: func(longest time.Duration) { a.fragments.tooLong(stream, longest) },
		Longest: a.fragments.longestOf(stream), Line: &a.line,
		Sent:   sent.Note,
		Events: func(began, ended time.Time) string { return a.events.Tag(stream, began, ended) },
	})
	run := u.Run
	if spec.Schedule.IsHourly() {
		run = a.hourly(plan, component, u.Drain)
	}
	windows := a.scheduled(plan, component, log, run)
	modes := &uploadModes{
		stream: stream, common: a.uploadMode, initial: spec.Tags, known: true, pace: defaultTagPace(), nudged: a.nudges.of(stream),
		component: component, log: log,
		run: map[settings.UploadMode]func(context.Context) error{
			settings.UploadScheduled: func(ctx context.Context) error { return u.RunInWindows(ctx, windows) },
			settings.UploadLive:      u.RunLive, settings.UploadOnRequest: u.RunOnRequest},
	}
	if spec.LiveSince != 0 {
		modes.run[settings.UploadOnRequest] = func(ctx context.Context) error { return u.RunLiveSince(ctx, time.UnixMilli(spec.LiveSince)) }
	}
	if spec.FromTags {
		modes.tags = a.kvs
		modes.initial, modes.known = a.tags.Of(stream)
	}
	tags := fragmentTags{stream: stream, hub: thing, off: spec.NoFragmentTags, log: log, set: u.SetTags}
	tags.apply(modes.initial) // as the cloud has them now comes later
	modes.tagged = func(found desired.Tags) {
		tags.apply(found)
		a.tagged(stream, found)
		reportTags(stream, found, component, log)
	}
	return a.onDemand.RegisterWhile(stream, u, a.events.With(stream, u, sent, log, modes.Run))
}

// tagged has everything follow the tags of a stream that were just read from the cloud.
func (a *Agent) tagged(stream string, tags desired.Tags) {
	a.tags.Read(stream, tags)
	a.streams.keepAgain(stream)
	a.relate()
}

// jobLog is the log of a stream's job: its lines name both.
func jobLog(log *zap.Logger, stream, job string) *zap.Logger {
	return log.With(zap.String(logevent.KeyStream, stream), zap.String(logevent.KeyJob, job))
}

// scheduled runs a job in the windows of a plan and says so while it waits for one.
func (a *Agent) scheduled(
	plan scheduler.Plan, component *health.Component, log *zap.Logger, run func(context.Context) error,
) func(context.Context) error {
	return func(ctx context.Context) error {
		defer setNextWindow(component, time.Time{})
		off := ""
		err := scheduler.Run(ctx, scheduler.RunnerOptions{
			Plan: plan, Clock: a.clock, Log: log,
			Job: func(ctx context.Context) error {
				err := run(ctx)
				if errors.Is(context.Cause(ctx), scheduler.ErrWindowClosed) {
					component.Counter(health.WindowsCompleted).Add(1)
				}
				if off != "" {
					component.SetState(off)
				}
				return err
			},
			OnState: func(open bool, next time.Time) {
				if off = ""; !open {
					off = health.OffBySchedule
					component.SetState(off)
					setNextWindow(component, next)
				} else {
					setNextWindow(component, time.Time{})
				}
			},
		})
		if errors.Is(err, context.Canceled) {
			return nil
		}
		return err
	}
}

// hourly uploads all there is, and then shows when it begins again. scheduled changes that when the window closes.
func (a *Agent) hourly(plan scheduler.Plan, component *health.Component, drain func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := drain(ctx); err != nil {
			return err
		}
		setNextWindow(component, a.nextOpening(plan))
		<-ctx.Done()
		return nil
	}
}

// nextOpening is when the window after the present one opens; zero for never.
func (a *Agent) nextOpening(plan scheduler.Plan) time.Time {
	now, zone := a.clock.Now()
	open, next := plan.At(now, zone)
	if open && !next.IsZero() {
		if open, next = plan.At(next, zone); open {
			return time.Time{}
		}
	}
	return next
}

// setNextWindow notes for status when a job that waits starts again; zero when it does not wait.
func setNextWindow(component *health.Component, next time.Time) {
	millis := int64(0)
	if !next.IsZero() {
		millis = next.UnixMilli()
	}
	component.Gauge(health.NextWindowTime).Set(millis)
}

// hourlyOffset spreads the hubs of a fleet over the hour.
func hourlyOffset(thing string) time.Duration {
	h := fnv.New32a()
	_, _ = h.Write([]byte(thing)) // never fails
	return time.Duration(h.Sum32()%3600) * time.Second
}
