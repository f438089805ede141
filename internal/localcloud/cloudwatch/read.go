package cloudwatch

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/sigv4"
)

// The limits of reading store. Source: API reference, ListMetrics and GetMetricStatistics.
const (
	maxListedMetrics = 500
	maxDataPoints    = 1440
	listedFor        = 14 * 24 * time.Hour // after its last value
	recentlyActive   = 3 * time.Hour       // what PT3H stands for
)

// metricID is what a metric is known by.
type metricID struct{ namespace, name, dimensions string }

func (p Point) id() metricID {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(p.Dimensions)) {
		b.WriteString(name + "\x00" + p.Dimensions[name] + "\x00")
	}
	return metricID{p.Namespace, p.Name, b.String()}
}

func (id metricID) compare(other metricID) int {
	return cmp.Or(strings.Compare(id.namespace, other.namespace), strings.Compare(id.name, other.name),
		strings.Compare(id.dimensions, other.dimensions))
}

func (id metricID) token() string {
	return awsapi.TokenAfter(sigv4.Hash([]byte(id.namespace + "\x00" + id.name + "\x00" + id.dimensions)))
}

// listMetrics lists store that had a value of late.
func (c *Service) listMetrics(in fields) (tree, error) {
	if err := in.without("IncludeLinkedAccounts", "OwningAccount"); err != nil {
		return nil, err
	}
	shows, err := c.metricFilter(in)
	if err != nil {
		return nil, err
	}
	found := map[metricID]Point{}
	for _, p := range c.Metrics() {
		if shows(p) {
			found[p.id()] = p
		}
	}
	ids := slices.SortedFunc(maps.Keys(found), metricID.compare)
	token, err := in.text("NextToken")
	if err != nil {
		return nil, err
	}
	if token != "" {
		at := slices.IndexFunc(ids, func(id metricID) bool { return id.token() == token })
		if at < 0 {
			return nil, errorf("InvalidNextToken", "NextToken", "The next token is not one that an earlier answer had.")
		}
		ids = ids[at+1:]
	}
	out := tree{}
	if len(ids) > maxListedMetrics {
		ids = ids[:maxListedMetrics]
		out["NextToken"] = ids[maxListedMetrics-1].token()
	}
	list := []any{}
	for _, id := range ids {
		list = append(list, found[id].listed())
	}
	out["Metrics"] = list
	return out, nil
}

func (p Point) listed() tree {
	dimensions := []any{}
	for _, name := range slices.Sorted(maps.Keys(p.Dimensions)) {
		dimensions = append(dimensions, tree{"Name": name, "Value": p.Dimensions[name]})
	}
	return tree{"Namespace": p.Namespace, "MetricName": p.Name, "Dimensions": dimensions}
}

// metricFilter reads what ListMetrics is to show. A dimension without a value takes any.
func (c *Service) metricFilter(in fields) (func(Point) bool, error) {
	namespace, err1 := in.text("Namespace")
	name, err2 := in.text("MetricName")
	active, err3 := in.text("RecentlyActive")
	dimensions, err4 := in.members("Dimensions")
	if err := firstOf([]error{err1, err2, err3, err4}); err != nil {
		return nil, err
	}
	within := listedFor
	switch active {
	case "":
	case "PT3H":
		within = recentlyActive
	default:
		return nil, invalidParameter("RecentlyActive", "must be PT3H.")
	}
	if len(dimensions) > 10 {
		return nil, errorf("InvalidParameterValue", "Dimensions", "The collection Dimensions must not have a size greater than 10.")
	}
	type wanted struct{ name, value string }
	var filters []wanted
	for _, d := range dimensions {
		name, err := d.required("Name", maxMetricName)
		if err != nil {
			return nil, err
		}
		value, err := d.text("Value")
		if err != nil {
			return nil, err
		}
		filters = append(filters, wanted{name, value})
	}
	since := c.clock().Add(-within)
	return func(p Point) bool {
		return (namespace == "" || p.Namespace == namespace) && (name == "" || p.Name == name) && p.Time.After(since) &&
			!slices.ContainsFunc(filters, func(f wanted) bool {
				has, ok := p.Dimensions[f.name]
				return !ok || f.value != "" && has != f.value
			})
	}, nil
}

// statisticsOf are the values of Statistics.
var statisticsOf = map[string]func(Point) float64{
	"SampleCount": func(p Point) float64 { return p.Count },
	"Sum":         func(p Point) float64 { return p.Value },
	"Average":     func(p Point) float64 { return p.Value / p.Count },
	"Minimum":     func(p Point) float64 { return p.Minimum },
	"Maximum":     func(p Point) float64 { return p.Maximum },
}

// statisticsRequest is GetMetricStatistics.
type statisticsRequest struct {
	id         metricID
	start, end time.Time
	period     time.Duration
	statistics []string
	unit       string // "" = every unit by itself
}

func readStatistics(in fields) (q statisticsRequest, err error) {
	var p Point
	if p.Namespace, err = in.required("Namespace", maxMetricName); err != nil {
		return q, err
	}
	if p.Name, err = in.required("MetricName", maxMetricName); err != nil {
		return q, err
	}
	if p.Dimensions, err = readDimensions(in); err != nil {
		return q, err
	}
	q.id = p.id()
	if q.start, err = in.moment("StartTime"); err != nil {
		return q, err
	}
	if q.end, err = in.moment("EndTime"); err != nil {
		return q, err
	}
	if q.unit, err = in.text("Unit"); err != nil {
		return q, err
	}
	if q.unit != "" && !slices.Contains(metricUnits, q.unit) {
		return q, invalidParameter("Unit", "is not a unit that CloudWatch knows.")
	}
	seconds, err := in.number("Period")
	switch whole := int64(seconds); {
	case err != nil:
		return q, err
	case float64(whole) != seconds || whole < 1 || whole > 86_400*365 || whole%60 != 0 && !slices.Contains([]int64{1, 5, 10, 20, 30}, whole):
		return q, invalidParameter("Period", "must be 1, 5, 10, 20, 30, or a multiple of 60.")
	}
	q.period = time.Duration(seconds) * time.Second
	return q, q.readNames(in)
}

func (q *statisticsRequest) readNames(in fields) error {
	list, err := in.list("Statistics")
	switch {
	case err != nil:
		return err
	case in.has("ExtendedStatistics"):
		return invalidParameter("ExtendedStatistics", "is not supported by localcloud: it keeps sums, counts, minima and maxima, not single "+
			"values.")
	case len(list) == 0:
		return missingParameter("Statistics")
	}
	for _, v := range list {
		name, _ := v.(string)
		if statisticsOf[name] == nil {
			return invalidParameter("Statistics", "must be of Average, Maximum, Minimum, SampleCount and Sum.")
		}
		q.statistics = append(q.statistics, name)
	}
	if !q.start.Before(q.end) {
		return errorf("InvalidParameterValue", "StartTime", "The parameter StartTime must be less than the parameter EndTime.")
	}
	if n := math.Ceil(q.end.Sub(q.start).Seconds() / q.period.Seconds()); n > maxDataPoints {
		return errorf("InvalidParameterCombination", "Period",
			"You have requested up to %.0f datapoints, which exceeds the limit of %d. "+
				"You may reduce the datapoints requested by increasing Period, or decreasing the time range.", n, maxDataPoints)
	}
	return nil
}

// getMetricStatistics adds values up in periods that are counted from 1970 on.
func (c *Service) getMetricStatistics(in fields) (tree, error) {
	q, err := readStatistics(in)
	if err != nil {
		return nil, err
	}
	type slot struct {
		at   int64
		unit string
	}
	sums := map[slot]Point{}
	for _, p := range c.Metrics() {
		at, unit := p.Time.Truncate(time.Duration(p.Resolution)*time.Second), cmp.Or(p.Unit, "None")
		if p.id() != q.id || at.Before(q.start.Truncate(q.period)) || !at.Before(q.end) || q.unit != "" && q.unit != unit {
			continue
		}
		s := slot{at.Truncate(q.period).Unix(), unit}
		sum, had := sums[s]
		if !had {
			sum = Point{Minimum: math.Inf(1), Maximum: math.Inf(-1)}
		}
		sum.Value, sum.Count = sum.Value+p.Value, sum.Count+p.Count
		sum.Minimum, sum.Maximum = min(sum.Minimum, p.Minimum), max(sum.Maximum, p.Maximum)
		sums[s] = sum
	}
	points := []any{}
	for _, s := range slices.SortedFunc(maps.Keys(sums), func(a, b slot) int {
		return cmp.Or(cmp.Compare(a.at, b.at), strings.Compare(a.unit, b.unit))
	}) {
		point := tree{"Timestamp": time.Unix(s.at, 0).UTC(), "Unit": s.unit}
		for _, name := range q.statistics {
			point[name] = statisticsOf[name](sums[s])
		}
		points = append(points, point)
	}
	return tree{"Label": q.id.name, "Datapoints": points}, nil
}
