package metrics

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/cloudwatch"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// The dimensions. The guide names them "Stream name", "Thing name" and, for the jobs, by their
// values only; docs/metrics.md says what that means for dashboards.
const (
	dimensionStream = "StreamName"
	dimensionThing  = "ThingName"
	dimensionJob    = "JobType"
)

// event is one appearance of a condition, which is reported once.
type event struct {
	key   health.Key
	code  string
	since time.Time
}

// sampler turns what health knows into points. Not safe for concurrent use.
type sampler struct {
	o         Options
	seen      map[event]bool
	completed map[health.Key]int64 // how many ends of windows were reported
}

// minute returns the continuous metrics, and the events since the last call.
func (s *sampler) minute(now time.Time) []cloudwatch.Point {
	components := s.components()
	points := s.eventsOf(components, now)
	thing := func(name string, unit cloudwatch.Unit, value float64) {
		points = append(points, cloudwatch.Point{
			Name: name, Dimensions: []cloudwatch.Dimension{{Name: dimensionThing, Value: s.o.Thing}}, Unit: unit, Time: now, Value: value,
		})
	}
	thing("Alive", cloudwatch.UnitNone, 1)
	streams := s.o.Streams()
	for _, t := range s.o.Jobs {
		many := t.Metric + "s"
		healthy, unhealthy, running := 0, 0, 0
		for _, stream := range streams {
			switch ActivityOf(components[health.Key{Stream: stream.Name, Job: t.Name}]) {
			case Running:
				running++
				healthy++
				points = append(points, jobPoint(stream.Name, t, "Running", now))
			case Scheduled:
				healthy++
			case Errored:
				unhealthy++
			}
		}
		thing(many+".HealthyJobCount", cloudwatch.UnitCount, float64(healthy))
		thing(many+".UnhealthyJobCount", cloudwatch.UnitCount, float64(unhealthy))
		thing(many+".RunningJobCount", cloudwatch.UnitCount, float64(running))
		thing(many+".EdgeConfigCount", cloudwatch.UnitCount, float64(len(streams)))
	}
	for _, stream := range streams {
		if share, ok := s.spaceUsed(stream); ok {
			points = append(points, cloudwatch.Point{
				Name: "PercentageSpaceUsed", Dimensions: []cloudwatch.Dimension{{Name: dimensionStream, Value: stream.Name}},
				Unit: cloudwatch.UnitPercent, Time: now, Value: share,
			})
		}
	}
	return points
}

// spaceUsed returns the share of what a stream may use: of its size limit or, without one, of what
// the disk has left for it.
func (s *sampler) spaceUsed(stream Stream) (float64, bool) {
	used := float64(s.o.Store.Usage(stream.Name).Bytes)
	if stream.LimitBytes > 0 {
		return used / float64(stream.LimitBytes), true
	}
	free, _, err := s.o.Store.DiskFree()
	if err != nil || used+float64(free) == 0 {
		return 0, false
	}
	return used / (used + float64(free)), true
}

// events returns what happened since the last call.
func (s *sampler) events(now time.Time) []cloudwatch.Point { return s.eventsOf(s.components(), now) }

func (s *sampler) components() map[health.Key]health.ComponentSnapshot {
	components := make(map[health.Key]health.ComponentSnapshot)
	for _, p := range s.o.Health.Snapshot() {
		components[p.Key] = p
	}
	return components
}

func (s *sampler) eventsOf(components map[health.Key]health.ComponentSnapshot, now time.Time) []cloudwatch.Point {
	var points []cloudwatch.Point
	current := make(map[event]bool)
	completed := make(map[health.Key]int64, len(components))
	for key, p := range components {
		for _, t := range s.o.Jobs {
			if key.Job != t.Name || key.Stream == "" {
				continue
			}
			for _, c := range p.Conditions {
				e := event{key, c.Code, c.Since}
				if !isFatal(c) {
					continue
				}
				current[e] = true
				if !s.seen[e] {
					points = append(points, jobPoint(key.Stream, t, "FatalError", c.Since))
				}
			}
			n := p.Numbers[health.WindowsCompleted]
			for range n - s.completed[key] {
				points = append(points, jobPoint(key.Stream, t, "Completed", now))
			}
			completed[key] = n
		}
	}
	s.seen, s.completed = current, completed
	return points
}

// isFatal reports whether a person must act before the job can do its work again: for AWS's
// agent these are the errors after which it stops retrying. Failures that may end by themselves are not fatal.
func isFatal(c health.Condition) bool {
	return c.Severity == health.Failed && c.Class == health.UserError
}

func jobPoint(stream string, t health.StreamJob, name string, at time.Time) cloudwatch.Point {
	return cloudwatch.Point{
		Name: name, Unit: cloudwatch.UnitNone, Time: at, Value: 1,
		Dimensions: []cloudwatch.Dimension{{Name: dimensionStream, Value: stream}, {Name: dimensionJob, Value: t.Metric}},
	}
}

// Activity is what a job does, as monitoring counts it.
type Activity int

// The activities of a job.
const (
	Absent    Activity = iota // the job was never started
	Running                   // in its window, and without failure
	Scheduled                 // waits for its window
	Errored                   // does not do its work
)

// ActivityOf returns what a job does.
func ActivityOf(p health.ComponentSnapshot) Activity {
	worst, ok := p.Worst()
	switch {
	case ok && worst.Severity == health.Failed:
		return Errored
	case p.State == "":
		return Absent
	case p.IsOffBySchedule():
		return Scheduled
	default:
		return Running
	}
}
