// Package conditiontest owns the test that a condition ends when its cause ends, on every surface that shows it.
// The rows are in the packages whose workers report the conditions; internal/archtest compares them with
// health.Declarations, so that no condition is without a row.
package conditiontest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/cloudwatch"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/metrics"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

// Stream is the stream that rows are about.
const Stream = "door"

// Way is what happens after the cause has ended.
type Way string

// The ways. Without a function of its own a way is the worker's next success.
const (
	Success       Way = "success"
	Reload        Way = "reload"
	Restart       Way = "restart of the job"
	Configuration Way = "new configuration"
)

// Ways lists all.
var Ways = []Way{Success, Reload, Restart, Configuration}

// looks is how often the surfaces are read within a limit, at most.
const looks = 60

// Row is a condition and what makes it.
type Row struct {
	Code, Job string
	// Limit is how long the condition may outlast its cause. Default a minute; another one needs a Reason.
	Limit  time.Duration
	Reason string
	// Start prepares the worker.
	Start func(t *testing.T) Case
}

// Case is a worker in a world of its own.
type Case struct {
	Health *health.Registry
	Now    func() time.Time
	// Pass lets some time pass, in which the worker may work. Default: Step of real or synctest's time.
	Pass func()
	Step time.Duration
	// Raise makes the cause and Repair ends it.
	Raise, Repair func()
	// Ways are done after Repair, as far as they concern the worker.
	Ways map[Way]func()
}

// Check goes through a row in one way.
func Check(t *testing.T, r Row, way Way) {
	t.Helper()
	if (r.Limit != 0) != (r.Reason != "") {
		t.Fatalf("%s of %s: another limit than a minute needs a reason", r.Code, r.Job)
	}
	limit := r.Limit
	if limit == 0 {
		limit = time.Minute
	}
	c := r.Start(t)
	if c.Pass == nil {
		c.Pass = func() { <-time.After(c.Step) }
	}
	declared, ok := health.Declared(r.Code)
	if !ok {
		t.Fatalf("%s is not declared", r.Code)
	}
	await := func(what string, complaints func() []string) {
		t.Helper()
		for end := c.Now().Add(limit); ; {
			left := complaints()
			if len(left) == 0 {
				return
			}
			if c.Now().After(end) {
				t.Fatalf("%s of %s, %s, %s after %s:\n%s", r.Code, r.Job, way, what, limit, strings.Join(left, "\n"))
			}
			c.Pass()
			for next := c.Now().Add(limit / looks); c.Now().Before(next); {
				c.Pass()
			}
		}
	}
	await("raised", func() []string {
		c.Raise()
		return c.unlike(r, declared)
	})
	c.Repair()
	if do := c.Ways[way]; do != nil {
		do()
	}
	await("still shown", func() []string { return c.shown(r.Code) })
}

// surfaces are all that shows conditions.
type surfaces struct {
	snapshot   status.Snapshot
	json       string
	table      string
	prometheus string
	jobs       map[string]health.Class // what goes into jobs/status, and so into DescribeEdgeConfiguration
	cloudWatch map[string]float64      // a sample
}

func (c Case) surfaces() surfaces {
	s := surfaces{jobs: make(map[string]health.Class), cloudWatch: make(map[string]float64)}
	collector := status.Collector{
		Now: c.Now, Health: c.Health, Store: store{}, Started: c.Now(),
		Streams: func() []status.StreamInfo { return []status.StreamInfo{{Name: Stream}} }, Jobs: health.StreamJobs,
	}
	s.snapshot = collector.Snapshot()
	text, err := json.Marshal(s.snapshot)
	if err != nil {
		panic(err)
	}
	s.json = string(text)
	var table bytes.Buffer
	if err := status.WriteTable(&table, s.snapshot); err != nil {
		panic(err)
	}
	s.table = table.String()
	streams := func() []metrics.Stream { return []metrics.Stream{{Name: Stream}} }
	answer := httptest.NewRecorder()
	metrics.NewHandler(metrics.PrometheusOptions{Health: c.Health, Store: store{}, Streams: streams,
		Jobs: health.StreamJobs}).ServeHTTP(answer,
		httptest.NewRequest("GET", "/metrics", nil))
	s.prometheus = answer.Body.String()
	for _, p := range c.Health.Snapshot() {
		if p.Stream == Stream && ofStreams(p.Job) {
			s.jobs[p.Job], _ = status.JobStatus(p)
		}
	}
	for _, p := range sample(c.Health, streams) {
		s.cloudWatch[p.Name] += p.Value
	}
	return s
}

// ofStreams reports whether a job is one that streams have.
func ofStreams(name string) bool {
	return slices.ContainsFunc(health.StreamJobs, func(job health.StreamJob) bool { return job.Name == name })
}

// sample is what a Reporter sends first, as it does once a minute.
func sample(registry *health.Registry, streams func() []metrics.Stream) []cloudwatch.Point {
	ctx, cancel := context.WithCancel(context.Background())
	sender := &sink{cancel: cancel}
	reporter := metrics.New(metrics.Options{Thing: "hub", Sender: sender, Health: registry, Store: store{}, Streams: streams,
		Jobs: health.StreamJobs, Log: zap.NewNop()})
	_ = reporter.Run(ctx) // returns nil
	return sender.points
}

// sink keeps what is sent, and ends the Reporter with it.
type sink struct {
	cancel context.CancelFunc
	once   sync.Once
	points []cloudwatch.Point
}

// Put implements metrics.Sender.
func (s *sink) Put(_ context.Context, _ string, points []cloudwatch.Point) error {
	s.once.Do(func() { s.points = append(s.points, points...) })
	s.cancel()
	return nil
}

// shown lists where something still is out of the ordinary.
func (c Case) shown(code string) (list []string) {
	s := c.surfaces()
	if s.snapshot.Verdict != status.Healthy {
		list = append(list, "the verdict is "+string(s.snapshot.Verdict))
	}
	if strings.Contains(s.json, `"code":"`+code) {
		list = append(list, "status --json has it: "+s.json)
	}
	if strings.Contains(s.table, "\n! ") {
		list = append(list, "status shows "+s.table)
	}
	for line := range strings.Lines(s.prometheus) {
		if strings.HasPrefix(line, "kvs_edge_condition{code=\""+code) || strings.Contains(line, `activity="failed"`) {
			list = append(list, "Prometheus has "+line)
		}
	}
	for job, class := range s.jobs {
		if class != health.Success {
			list = append(list, fmt.Sprintf("jobs/status has %s of the %s", class, job))
		}
	}
	for name, value := range s.cloudWatch {
		if value > 0 && (strings.HasSuffix(name, ".UnhealthyJobCount") || name == "FatalError") {
			list = append(list, fmt.Sprintf("CloudWatch has %s %.0f", name, value))
		}
	}
	return list
}

// unlike lists where the condition is not shown, or not as it is declared.
func (c Case) unlike(r Row, declared health.Declaration) (list []string) {
	s := c.surfaces()
	found := health.Condition{}
	for _, p := range c.Health.Snapshot() {
		for _, condition := range p.Conditions {
			if p.Job == r.Job && strings.HasPrefix(condition.Code, r.Code) {
				found = condition
			}
		}
	}
	if found.Code == "" {
		return []string{"it is not there: " + s.json}
	}
	if found.Severity > declared.Severity || declared.Class != "" && found.Class != declared.Class {
		list = append(list, fmt.Sprintf("it is %s and %s, but declared as %s and %s", found.Severity, found.Class, declared.Severity,
			declared.Class))
	}
	if found.Since.After(c.Now()) {
		list = append(list, "it is since "+found.Since.String())
	}
	if !strings.Contains(s.json, `"code":"`+r.Code) || !strings.Contains(s.prometheus, "kvs_edge_condition{code=\""+r.Code) {
		list = append(list, "not every surface has it")
	}
	if found.Severity > health.Info && s.snapshot.Verdict == status.Healthy {
		list = append(list, "the verdict is healthy")
	}
	job := ofStreams(r.Job)
	if job && found.Severity > health.Info && s.jobs[r.Job] == health.Success {
		list = append(list, "jobs/status says SUCCESS")
	}
	if unhealthy := s.cloudWatch["RecordJobs.UnhealthyJobCount"] + s.cloudWatch["UploadJobs.UnhealthyJobCount"]; job &&
		found.Severity == health.Failed && unhealthy == 0 {
		list = append(list, "CloudWatch counts no unhealthy job")
	}
	return list
}

// store is one without recordings.
type store struct{}

func (store) Usage(string) segment.Usage                { return segment.Usage{} }
func (store) DiskFree() (free, total uint64, err error) { return 1 << 40, 1 << 41, nil }
