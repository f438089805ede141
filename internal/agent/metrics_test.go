package agent

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"
	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/metrics"
	"github.com/kvs-edge/kvs-edge-agent/internal/scheduler"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/site"
)

// TestCloudWatchGetsWhatTheAgentDoes is not parallel: the SDK reads its endpoints from the
// process's environment.
func TestCloudWatchGetsWhatTheAgentDoes(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	h := newHouse(t)
	h.Env[settings.EnvCloudWatchEnabled] = "TRUE"
	h.Env[settings.EnvMetricsAddress] = ":0"
	h.Configure("door", h.Secret("door", h.Camera(fakecam.Options{}).URL()), site.Always)
	locked := h.Camera(fakecam.Options{User: "admin", Pass: "right"})
	h.Configure("yard", h.Secret("yard", strings.Replace(locked.URL(), "right", "wrong", 1)), site.Always)
	a, err := New(h.Settings(), Options{Version: "test", MetricsInterval: time.Second})
	must(t, err)
	running, stop := context.WithCancel(ctx)
	stopped := make(chan error, 1)
	go func() { stopped <- a.Run(running) }()
	defer func() {
		stop()
		must(t, <-stopped)
	}()
	for _, want := range []string{
		"map[ThingName:test-hub] Alive 1",
		"map[JobType:RecordJob StreamName:door] Running 1",
		"map[JobType:UploadJob StreamName:door] Running 1",
		"map[JobType:RecordJob StreamName:yard] FatalError 1",
		"map[ThingName:test-hub] RecordJobs.RunningJobCount 1",
		"map[ThingName:test-hub] RecordJobs.UnhealthyJobCount 1",
		"map[ThingName:test-hub] UploadJobs.HealthyJobCount 2",
		"map[ThingName:test-hub] RecordJobs.EdgeConfigCount 2",
		"map[StreamName:door] PercentageSpaceUsed",
	} {
		for !h.hasMetric(want) {
			if backoff.Sleep(ctx, 20*time.Millisecond) != nil {
				t.Fatalf("CloudWatch did not get %q", want)
			}
		}
	}
	resp, err := http.Get("http://" + a.export.server.Addr().String() + "/metrics")
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	must(t, err)
	if !strings.Contains(string(text), `kvs_edge_job_activity{activity="running",job="recorder",stream="door"} 1`) {
		t.Errorf("Prometheus does not see that the door is recorded:\n%s", text)
	}
}

// TestAJobIsCompletedWithItsConfiguration is not parallel, for the same reason.
func TestAJobIsCompletedWithItsConfiguration(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	h := newHouse(t)
	h.Env[settings.EnvCloudWatchEnabled] = "TRUE"
	h.Configure("door", h.Secret("door", h.Camera(fakecam.Options{}).URL()), site.Always)
	locked := h.Camera(fakecam.Options{User: "admin", Pass: "right"})
	h.Configure("yard", h.Secret("yard", strings.Replace(locked.URL(), "right", "wrong", 1)), site.Always)
	a, err := New(h.Settings(), Options{Version: "test"})
	must(t, err)
	running, stop := context.WithCancel(ctx)
	stopped := make(chan error, 1)
	go func() { stopped <- a.Run(running) }()
	defer stop()
	recorder := func(stream string) metrics.Activity {
		return metrics.ActivityOf(a.health.Component(stream, health.JobRecorder).Snapshot())
	}
	must(t, h.Cloud.Media().AwaitFragments(ctx, "door", 1))
	for recorder("door") != metrics.Running || recorder("yard") != metrics.Errored {
		must(t, backoff.Sleep(ctx, 20*time.Millisecond))
	}
	for _, stream := range []string{"door", "yard"} {
		_, err := h.User.DeleteEdgeConfiguration(ctx, &kinesisvideo.DeleteEdgeConfigurationInput{StreamName: &stream})
		must(t, err)
	}
	for len(a.streams.names()) > 0 {
		if backoff.Sleep(ctx, 20*time.Millisecond) != nil {
			t.Fatalf("%v are not deleted", a.streams.names())
		}
	}
	stop() // sends the rest
	must(t, <-stopped)
	for want, times := range map[string]int{
		"map[JobType:RecordJob StreamName:door] Completed 1": 1,
		"map[JobType:UploadJob StreamName:door] Completed 1": 1,
		"map[JobType:RecordJob StreamName:yard] Completed 1": 0, // it had failed
	} {
		got := 0
		for _, p := range h.Cloud.Metrics() {
			if fmt.Sprintf("%v %s %v", p.Dimensions, p.Name, p.Value) == want {
				got++
			}
		}
		if got != times {
			t.Errorf("%q came %d times, want %d", want, got, times)
		}
	}
}

func (h *house) hasMetric(want string) bool {
	for _, p := range h.Cloud.Metrics() {
		if strings.HasPrefix(fmt.Sprintf("%v %s %v", p.Dimensions, p.Name, p.Value), want) {
			return true
		}
	}
	return false
}

// onceOpen is a plan with one window, which is open until closed.
type onceOpen struct{ closed chan struct{} }

func (o onceOpen) At(now time.Time, _ *time.Location) (bool, time.Time) {
	select {
	case <-o.closed:
		return false, time.Time{}
	default:
		return true, now.Add(10 * time.Millisecond)
	}
}

func TestAWindowThatClosesIsCompletedAndAJobThatStopsIsNot(t *testing.T) {
	t.Parallel()
	clock := scheduler.NewClock(scheduler.ClockOptions{})
	defer clock.Close()
	a := &Agent{clock: clock, log: zap.NewNop()}
	part := health.NewRegistry(time.Now).Component("door", health.JobRecorder)
	ctx, cancel := context.WithCancel(t.Context())
	plan := onceOpen{closed: make(chan struct{})}
	runs := make(chan struct{}, 1)
	run := func(ctx context.Context) error {
		runs <- struct{}{}
		<-ctx.Done()
		return nil
	}
	done := make(chan error, 1)
	go func() { done <- a.scheduled(plan, part, zap.NewNop(), run)(ctx) }()
	<-runs
	close(plan.closed)
	for part.Value(health.WindowsCompleted) == 0 {
		must(t, backoff.Sleep(t.Context(), time.Millisecond))
	}
	cancel()
	must(t, <-done)

	ctx, cancel = context.WithCancel(t.Context())
	go func() { done <- a.scheduled(scheduler.Always(), part, zap.NewNop(), run)(ctx) }()
	<-runs
	cancel()
	must(t, <-done)
	if n := part.Value(health.WindowsCompleted); n != 1 {
		t.Errorf("%d windows completed, want 1", n)
	}
}
