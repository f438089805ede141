package agent

import (
	"context"
	"fmt"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/supervise"
)

// job is one long-lived part of one stream in a goroutine of its own. It ends only by stop.
type job struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// jobOptions say what a job is and where it reports.
type jobOptions struct {
	stream, name string
	component    *health.Component
	log          *zap.Logger
	run          func(context.Context) error
}

// startJob runs o.run until stop. A job that fails or panics is restarted after a pause and reports
// it; the others never notice.
func startJob(o jobOptions) *job {
	ctx, cancel := context.WithCancel(context.Background())
	j := &job{cancel: cancel, done: make(chan struct{})}
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
				fault = health.SystemFault("job-ended", nil, "The %s of stream %s ended by itself and is started again.", o.name, o.stream)
			}
			if o.component.Report(health.ScopeJob, health.Failed, fault) {
				o.log.Error("a job failed and is started again", zap.String("code", fault.Code), zap.String("stream", o.stream),
					zap.String("job", o.name), zap.Error(fault),
					zap.NamedError("cause", fault.Err))
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
