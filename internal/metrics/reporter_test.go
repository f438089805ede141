package metrics

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awsclient"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/cloudwatch"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// fakeStore says that every stream uses as much.
type fakeStore struct{ used, free int64 }

func (f fakeStore) Usage(string) segment.Usage { return segment.Usage{Bytes: f.used} }

func (f fakeStore) DiskFree() (free, total uint64, err error) {
	return uint64(f.free), uint64(f.free + f.used), nil
}

// hub is an agent with four streams, one in each activity.
func hub() (*health.Registry, Options) {
	registry := health.NewRegistry(time.Now)
	state := func(stream, state string) {
		registry.Component(stream, health.JobRecorder).SetState(state)
		registry.Component(stream, health.JobUploader).SetState(state)
	}
	state("runs", "recording")
	state("waits", health.OffBySchedule+" until 2030-01-01 00:00:00")
	state("fails", "waiting for the camera")
	state("retries", "waiting for the camera")
	for _, job := range []string{health.JobRecorder, health.JobUploader} {
		registry.Component("fails", job).Report(health.ScopeRecord, health.Failed, health.UserFault("wrong-password", nil,
			"The password is wrong."))
		registry.Component("retries", job).Report(health.ScopeRecord, health.Failed, health.SystemFault("unreachable", nil,
			"It cannot be reached."))
	}
	return registry, Options{
		Thing: "hub-1", Health: registry, Store: fakeStore{used: 250, free: 750}, Log: zap.NewNop(), Jobs: health.StreamJobs,
		Streams: func() []Stream {
			return []Stream{{Name: "runs", LimitBytes: 1000}, {Name: "waits", LimitBytes: 500}, {Name: "fails"}, {Name: "retries"}}
		},
	}
}

// closeWindows ends the windows of the stream that waits for its next ones.
func closeWindows(registry *health.Registry) {
	for _, job := range []string{health.JobRecorder, health.JobUploader} {
		registry.Component("waits", job).Counter(health.WindowsCompleted).Add(1)
	}
}

// theTable is what AWS's guide lists, for the hub above: "dimensions metric = value".
var theTable = []string{
	"StreamName=runs JobType=RecordJob Running = 1 None",
	"StreamName=fails JobType=RecordJob FatalError = 1 None",
	"StreamName=waits JobType=RecordJob Completed = 1 None",
	"StreamName=runs JobType=UploadJob Running = 1 None",
	"StreamName=fails JobType=UploadJob FatalError = 1 None",
	"StreamName=waits JobType=UploadJob Completed = 1 None",
	"StreamName=runs PercentageSpaceUsed = 0.25 Percent",
	"StreamName=waits PercentageSpaceUsed = 0.5 Percent",
	"StreamName=fails PercentageSpaceUsed = 0.25 Percent",
	"StreamName=retries PercentageSpaceUsed = 0.25 Percent",
	"ThingName=hub-1 Alive = 1 None",
	"ThingName=hub-1 RecordJobs.HealthyJobCount = 2 Count",
	"ThingName=hub-1 UploadJobs.HealthyJobCount = 2 Count",
	"ThingName=hub-1 RecordJobs.UnhealthyJobCount = 2 Count",
	"ThingName=hub-1 UploadJobs.UnhealthyJobCount = 2 Count",
	"ThingName=hub-1 RecordJobs.RunningJobCount = 1 Count",
	"ThingName=hub-1 UploadJobs.RunningJobCount = 1 Count",
	"ThingName=hub-1 RecordJobs.EdgeConfigCount = 4 Count",
	"ThingName=hub-1 UploadJobs.EdgeConfigCount = 4 Count",
}

func TestCloudWatchReceivesTheTableOfTheGuideRowByRow(t *testing.T) {
	t.Parallel()
	cloud, client := localCloudWatch(t)
	registry, o := hub()
	sender := &answeredSender{Sender: client, answered: make(chan struct{}, 100)}
	o.Sender = sender
	r := New(o)
	closeWindows(registry)
	began := time.Now().Add(-time.Second)
	// The first minute's points go out at once; ending the run sends whatever is left.
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	<-sender.answered // one that is cut off before its answer is sent again
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range cloud.Metrics() {
		if p.Namespace != "EdgeRuntimeAgent" {
			t.Errorf("%s is in the namespace %s", p.Name, p.Namespace)
		}
		if p.Time.Before(began) || p.Time.After(time.Now()) {
			t.Errorf("%s is of %s", p.Name, p.Time)
		}
		got = append(got, row(p))
	}
	compareRows(t, got, theTable)
}

// answeredSender says when a batch has its answer.
type answeredSender struct {
	Sender
	answered chan struct{}
}

func (s *answeredSender) Put(ctx context.Context, namespace string, points []cloudwatch.Point) error {
	err := s.Sender.Put(ctx, namespace, points)
	s.answered <- struct{}{}
	return err
}

func localCloudWatch(t *testing.T) (*localcloud.Cloud, *cloudwatch.Client) {
	t.Helper()
	cloud, err := localcloud.Start(localcloud.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cloud.Close() })
	env := make(map[string]string)
	for _, v := range cloud.UserEnv() {
		env[v.Name] = v.Value
	}
	pem, err := os.ReadFile(env["AWS_CA_BUNDLE"])
	if err != nil {
		t.Fatal(err)
	}
	return cloud, cloudwatch.New(awsclient.Of(aws.Config{
		Region: localcloud.Region, BaseEndpoint: aws.String(cloud.Endpoint()), HTTPClient: trusting(pem),
		Credentials: credentials.NewStaticCredentialsProvider(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], ""),
	}))
}

func row(p localcloud.MetricPoint) string {
	var b strings.Builder
	for _, name := range []string{"StreamName", "ThingName", "JobType"} {
		if value, ok := p.Dimensions[name]; ok {
			fmt.Fprintf(&b, "%s=%s ", name, value)
		}
	}
	fmt.Fprintf(&b, "%s = %v %s", p.Name, p.Value, p.Unit)
	return b.String()
}

func compareRows(t *testing.T, got, want []string) {
	t.Helper()
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("CloudWatch did not get %q", line)
		}
	}
	for _, line := range got {
		if !slices.Contains(want, line) {
			t.Errorf("CloudWatch got %q, which is not in the table", line)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d points, want %d: an event is sent once", len(got), len(want))
	}
}

// cloudStub takes or refuses points as told.
type cloudStub struct {
	mu     sync.Mutex
	err    error
	calls  int
	most   int // points of the largest call
	points []cloudwatch.Point
}

func (c *cloudStub) Put(_ context.Context, _ string, points []cloudwatch.Point) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls++
	c.most = max(c.most, len(points))
	if c.err == nil {
		c.points = append(c.points, points...)
	}
	return c.err
}

func (c *cloudStub) set(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

func (c *cloudStub) got(name string) (list []cloudwatch.Point) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.points {
		if p.Name == name {
			list = append(list, p)
		}
	}
	return list
}

func TestAnOutageOfFourHoursIsSentLaterWithItsOwnTimes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cloud := &cloudStub{err: health.SystemFault(cloudwatch.CodeUnreachable, nil, "CloudWatch cannot be reached.")}
		registry, o := hub()
		o.Sender = cloud
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- New(o).Run(ctx) }()
		const minutes = 240
		begin := time.Now()
		time.Sleep(minutes*time.Minute - time.Second)
		if c, ok := registry.Component("", health.JobMetrics).Snapshot().Worst(); !ok || c.Severity != health.Info {
			t.Errorf("the outage shows as %+v", c)
		}
		cloud.set(nil)
		time.Sleep(5 * time.Minute)
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		alive := cloud.got("Alive")
		if len(alive) != minutes+5 {
			t.Errorf("%d points of Alive, want %d", len(alive), minutes+5)
		}
		for i, p := range alive {
			if want := begin.Add(time.Duration(i) * time.Minute); !p.Time.Equal(want) {
				t.Fatalf("point %d is of %s, want %s", i, p.Time, want)
			}
		}
		if cloud.most > cloudwatch.MaxPoints || cloud.most < cloudwatch.MaxPoints {
			t.Errorf("the largest call has %d points, want %d", cloud.most, cloudwatch.MaxPoints)
		}
		if n := registry.Component("", health.JobMetrics).Value(health.MetricsDropped); n != 0 {
			t.Errorf("%d points were dropped", n)
		}
		if _, ok := registry.Component("", health.JobMetrics).Snapshot().Worst(); ok {
			t.Error("the condition stays although metrics are sent again")
		}
	})
}

// CloudWatch refuses a call with points of 1970, which is when a hub without a clock of its own boots.
func TestPointsFollowTheClockThatWasSet(t *testing.T) {
	t.Parallel()
	for _, step := range []time.Duration{56 * 365 * 24 * time.Hour, 10 * time.Second, -24 * time.Hour} {
		cloud := new(cloudStub)
		_, o := hub()
		o.Sender = cloud
		r := New(o)
		now := time.Now()
		r.keep(r.sampler.minute(testtools.Stepped(now.Add(-time.Minute), -step)))
		if err := r.sendAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		alive := cloud.got("Alive")
		if len(alive) != 1 || alive[0].Time.Round(0).Sub(now.Add(-time.Minute).Round(0)).Abs() > 5*time.Second {
			t.Errorf("a minute ago, before a step of the clock by %s: %+v", step, alive)
		}
	}
}

func TestPointsThatCloudWatchRefusesDoNotHoldUpOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cloud := &cloudStub{err: health.SystemFault(cloudwatch.CodeRefused, nil, "CloudWatch does not accept them.")}
		registry, o := hub()
		o.Sender = cloud
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- New(o).Run(ctx) }()
		time.Sleep(time.Second)
		cloud.set(nil)
		time.Sleep(time.Minute)
		cancel()
		<-done
		if n := registry.Component("", health.JobMetrics).Value(health.MetricsDropped); n == 0 {
			t.Error("what was refused is not counted")
		}
		if len(cloud.got("Alive")) != 1 {
			t.Error("the next minute did not arrive")
		}
	})
}

func TestEachEventIsSentOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cloud := new(cloudStub)
		registry, o := hub()
		o.Sender = cloud
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		r := New(o)
		closeWindows(registry)
		go func() { done <- r.Run(ctx) }()
		time.Sleep(time.Minute)
		recorder := registry.Component("fails", health.JobRecorder)
		recorder.Report(health.ScopeRecord, health.Failed, health.UserFault("wrong-password", nil, "The password is wrong."))
		time.Sleep(time.Minute)
		recorder.End()
		time.Sleep(time.Second)
		recorder.Report(health.ScopeRecord, health.Failed, health.UserFault("wrong-password", nil, "The password is wrong."))
		registry.Component("runs", health.JobRecorder).Counter(health.WindowsCompleted).Add(2)
		registry.Component("runs", health.JobRecorder).SetState(health.OffBySchedule)
		time.Sleep(10 * time.Second)
		cancel()
		<-done
		if n := len(cloud.got("FatalError")); n != 3 {
			t.Errorf("%d points of FatalError, want 2 of the recorder and 1 of the uploader", n)
		}
		if n := len(cloud.got("Completed")); n != 4 {
			t.Errorf("%d points of Completed, want 4", n)
		}
	})
}

func TestTheQueueDropsTheOldestAndCounts(t *testing.T) {
	t.Parallel()
	q := newQueue(3)
	point := func(n int) cloudwatch.Point { return cloudwatch.Point{Value: float64(n)} }
	q.add([]cloudwatch.Point{point(1), point(2)})
	if got := q.peek(2); len(got) != 2 {
		t.Fatalf("peek gave %d", len(got))
	}
	if n := q.add([]cloudwatch.Point{point(3), point(4)}); n != 1 {
		t.Errorf("%d dropped, want 1", n)
	}
	q.done() // 1 was dropped meanwhile, 2 was sent
	if got := q.peek(9); len(got) != 2 || got[0].Value != 3 || got[1].Value != 4 {
		t.Errorf("left: %+v", got)
	}
}

// slowSender takes points, and answers after a while.
type slowSender struct {
	answer time.Duration
	taken  []cloudwatch.Point
}

func (s *slowSender) Put(ctx context.Context, _ string, points []cloudwatch.Point) error {
	s.taken = append(s.taken, points...)
	select {
	case <-time.After(s.answer):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestWhatIsOnItsWayAtTheStopComesOnce stops the agent while points are on their way, and waits no longer than for the last ones.
func TestWhatIsOnItsWayAtTheStopComesOnce(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ answer, ends time.Duration }{
		"answered":     {time.Second, time.Second},
		"not answered": {time.Hour, lastSendTimeout + time.Second/2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				_, o := hub()
				sender := &slowSender{answer: row.answer}
				o.Sender = sender
				r := New(o)
				ctx, cancel := context.WithCancel(t.Context())
				began := time.Now()
				time.AfterFunc(time.Second/2, cancel)
				if err := r.Run(ctx); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took != row.ends {
					t.Errorf("it ends after %s, want %s", took, row.ends)
				}
				seen := make(map[string]int)
				for _, p := range sender.taken {
					seen[fmt.Sprint(p.Dimensions, p.Name, p.Time)]++
				}
				for point, n := range seen {
					if row.answer < time.Hour && n != 1 {
						t.Errorf("%s came %d times", point, n)
					}
				}
			})
		})
	}
}
