package agent

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/iotconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
	"github.com/kvs-edge/kvs-edge-agent/internal/supervise"
)

// job is one long-lived part of one stream in a goroutine of its own. It ends only by stop.
type job struct {
	name   string
	spec   any // what it does
	cancel context.CancelFunc
	done   chan struct{}
}

// jobKind is a kind of job that streams have.
type jobKind struct {
	health.StreamJob
	// spec returns the comparable value on which a stream's job depends: the job is restarted when it changes.
	spec func(wanted desired.Stream, hub settings.Settings) any
	// build returns what does it, until its context ends. continues says that it takes the place of one that was recording.
	build func(stream string, spec any, continues bool) func(context.Context) error
	// collected returns the end of a stream's newest media that the job has brought to where it belongs; zero for none.
	collected func(stream string) time.Time
}

// jobOptions say what a job is and where it reports.
type jobOptions struct {
	stream, name string
	spec         any
	component    *health.Component
	log          *zap.Logger
	run          func(context.Context) error
}

// startJob runs o.run until stop. A job that fails or panics is restarted after a pause and reports
// it; the others never notice.
func startJob(o jobOptions) *job {
	ctx, cancel := context.WithCancel(context.Background())
	j := &job{name: o.name, spec: o.spec, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(j.done)
		defer o.component.End() // nothing that the job reported holds without it
		pause := backoff.New(backoff.Policy{})
		for ctx.Err() == nil {
			err := supervise.Do(fmt.Sprintf("The %s of stream %s", o.name, o.stream), func() error { return o.run(ctx) })
			if ctx.Err() != nil {
				return
			}
			fault := health.FaultOf(err, "job-ended")
			if fault == nil {
				fault = health.SystemFault("job-ended", nil, "The %s of stream %s ended by itself and is restarted.", o.name, o.stream)
			}
			if o.component.Report(health.ScopeJob, health.Failed, fault) {
				logevent.Condition(o.log, fault, zap.String("stream", o.stream), zap.String("job", o.name))
			}
			if pause.Wait(ctx) != nil {
				return
			}
			o.component.OK(health.ScopeJob)
		}
	}()
	return j
}

// stop ends the job and waits for it.
func (j *job) stop() {
	j.cancel()
	<-j.done
}

// jobStatuses lists what DescribeEdgeConfiguration shows of the jobs.
func (a *Agent) jobStatuses() []iotconfig.JobStatus {
	list := make([]iotconfig.JobStatus, 0)
	for _, name := range a.streams.names() {
		s := iotconfig.JobStatus{StreamName: name}
		for _, kind := range a.streams.workers.jobs {
			s.Jobs = append(s.Jobs, a.jobState(name, kind))
		}
		list = append(list, s)
	}
	return list
}

func (a *Agent) jobState(stream string, kind jobKind) iotconfig.JobState {
	component := a.health.Component(stream, kind.Name).Snapshot()
	component.Redate(time.Now())
	class, details := status.JobStatus(component)
	updated := component.StateSince
	if worst, ok := component.Worst(); ok && worst.Since.After(updated) {
		updated = worst.Since
	}
	return iotconfig.JobState{Key: kind.Cloud, Status: class, Details: details, Updated: updated, Collected: kind.collected(stream)}
}
