package metrics

import (
	"context"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/cloudwatch"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/supervise"
)

// Namespace is where AWS's edge agent puts its metrics.
// Source: KVS Developer Guide, "Monitor the Edge Agent with CloudWatch".
const Namespace = "EdgeRuntimeAgent"

const (
	defaultInterval = time.Minute
	// maxBuffered bounds what an outage may hold in memory: about 14 hours of 16 streams in some megabytes.
	maxBuffered = 50_000
	// maxAge is how old a point CloudWatch takes, less an hour for the way; maxAhead, how far in
	// the future. Source: API_MetricDatum, Timestamp.
	maxAge   = 14*24*time.Hour - time.Hour
	maxAhead = 2*time.Hour - time.Minute
	// lastSendTimeout bounds the last sending when the agent stops.
	lastSendTimeout = 2 * time.Second
)

// The scopes: sending points to CloudWatch, and points that it did not accept.
const (
	scopeSend    health.Scope = "send"
	scopeRefused health.Scope = "refused"
)

// refusedShown is how long the refusal of points is reported.
const refusedShown = time.Hour

// Reporter samples the agent once a minute and whenever something happens, and sends what it
// sampled to CloudWatch. Sampling never waits for sending.
type Reporter struct {
	o         Options
	component *health.Component
	dropped   *health.Counter
	sampler   sampler
	queue     *queue
}

// New returns a Reporter of what happens from now on, as metrics may be switched on, or on again,
// when the agent has run for long; Run starts it.
func New(o Options) *Reporter {
	if o.Interval <= 0 {
		o.Interval = defaultInterval
	}
	component := o.Health.Component("", health.JobMetrics)
	r := &Reporter{o: o, component: component, dropped: component.Counter(health.MetricsDropped), queue: newQueue(maxBuffered)}
	r.sampler = sampler{o: o, seen: make(map[event]bool), completed: make(map[health.Key]int64)}
	for key, component := range r.sampler.components() {
		r.sampler.completed[key] = component.Numbers[health.WindowsCompleted]
	}
	return r
}

// Run reports until ctx ends, then sends the rest if that is quick.
func (r *Reporter) Run(ctx context.Context) error {
	changes, unwatch := r.o.Health.Watch()
	defer unwatch()
	lasting, cancel := linger(ctx, lastSendTimeout)
	defer cancel()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		o := supervise.Options{What: "Sending metrics", Component: r.component, Log: r.o.Log}
		_ = supervise.Keep(ctx, o, func(ctx context.Context) error { r.send(ctx, lasting); return nil })
	}()
	ticker := time.NewTicker(r.o.Interval)
	defer ticker.Stop()
	r.keep(r.sampler.minute(time.Now()))
	for {
		select {
		case <-ctx.Done():
			<-sent
			r.keep(r.sampler.events(time.Now()))
			_ = r.sendAll(lasting) // the agent stops: a failure cannot be reported any more
			return nil
		case <-ticker.C:
			r.keep(r.sampler.minute(time.Now()))
		case <-changes:
			r.keep(r.sampler.events(time.Now()))
		}
	}
}

// linger returns a context that ends some time after another one.
func linger(ctx context.Context, after time.Duration) (lasting context.Context, cancel context.CancelFunc) {
	lasting, end := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(after, end)
		context.AfterFunc(lasting, func() { timer.Stop() })
	})
	return lasting, func() { stop(); end() }
}

// JobCompleted reports a job that has ended because its configuration is gone, as nobody would see
// it in health any more. Windows that close are seen there.
func (r *Reporter) JobCompleted(stream, job string) {
	for _, t := range r.o.Jobs {
		if t.Name == job {
			r.keep([]cloudwatch.Point{jobPoint(stream, t, "Completed", time.Now())})
		}
	}
}

func (r *Reporter) keep(points []cloudwatch.Point) { r.drop(r.queue.add(points)) }

func (r *Reporter) drop(n int) {
	if n > 0 {
		r.dropped.Add(int64(n))
	}
}

// send sends what is queued until ctx ends. A failure keeps it for the next attempt. What is on its way then may take as long as
// lasting: it may have been taken, and would come twice.
func (r *Reporter) send(ctx, lasting context.Context) {
	pause := backoff.New(backoff.Policy{Min: time.Second, Max: time.Minute})
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.queue.filled.C():
		}
		for r.queue.len() > 0 && ctx.Err() == nil {
			err := r.sendAll(lasting)
			if ctx.Err() != nil {
				return
			}
			if err == nil {
				pause.Reset()
				r.succeeded()
				break
			}
			r.failed(err)
			if pause.Wait(ctx) != nil {
				return
			}
		}
	}
}

// sendAll sends batch after batch until the queue is empty or a sending fails. Points of before the
// clock was set follow it; those that CloudWatch will never take are dropped, so that they do not
// hold up the others.
func (r *Reporter) sendAll(ctx context.Context) error {
	for {
		now := time.Now()
		r.drop(r.queue.discard(func(p cloudwatch.Point) bool {
			at := health.Redate(p.Time, now)
			return now.Sub(at) > maxAge || at.Sub(now) > maxAhead
		}))
		batch := r.queue.peek(cloudwatch.MaxPoints)
		for i := range batch {
			batch[i].Time = health.Redate(batch[i].Time, now)
		}
		if len(batch) == 0 {
			return nil
		}
		err := r.o.Sender.Put(ctx, Namespace, batch)
		if fault := health.FaultOf(err, cloudwatch.CodeUnreachable); fault != nil {
			if fault.Code != cloudwatch.CodeRefused {
				return fault
			}
			if r.component.Note(scopeRefused, health.Info, fault, refusedShown) {
				logevent.Condition(r.o.Log, fault)
			}
			r.drop(len(batch))
		}
		r.queue.done()
	}
}

// failed shows a failure. Others report an outage already, a missing permission is not.
func (r *Reporter) failed(err error) {
	fault := health.FaultOf(err, cloudwatch.CodeUnreachable)
	severity := health.Info
	if fault.Class == health.UserError && !(r.o.Optional && fault.Code == cloudwatch.CodeDenied) {
		severity = health.Degraded
	}
	if r.component.Report(scopeSend, severity, fault) {
		logevent.Condition(r.o.Log, fault)
	}
}

func (r *Reporter) succeeded() {
	if r.component.OK(scopeSend) {
		logevent.MetricsRecovered.Log(r.o.Log)
	}
}
