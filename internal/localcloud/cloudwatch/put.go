package cloudwatch

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The limits of PutMetricData. Source: CloudWatch quotas; API reference, PutMetricData, MetricDatum,
// Dimension.
const (
	maxMetrics        = 1000    // in a request
	maxMetricBytes    = 1 << 20 // of a request, as it is sent
	maxDimensions     = 30
	maxMetricName     = 255 // also of namespaces and of names of dimensions
	maxDimensionValue = 1024
	maxValues         = 150 // of Values
	maxMetricAge      = 14 * 24 * time.Hour
	maxMetricAhead    = 2 * time.Hour
	usualResolution   = 60
)

// greatestMetric bounds values on both sides. Source: API reference, MetricDatum, Value.
var greatestMetric = math.Ldexp(1, 360)

// metricUnits are the values of StandardUnit.
var metricUnits = strings.Fields(`Seconds Microseconds Milliseconds Bytes Kilobytes Megabytes Gigabytes Terabytes
	Bits Kilobits Megabits Gigabits Terabits Percent Count Bytes/Second Kilobytes/Second Megabytes/Second
	Gigabytes/Second Terabytes/Second Bits/Second Kilobits/Second Megabits/Second Gigabits/Second
	Terabits/Second Count/Second None`)

// putMetricData takes all data of a request, or none.
func (c *Service) putMetricData(in fields) (tree, error) {
	if err := in.without("EntityMetricData"); err != nil {
		return nil, err
	}
	namespace, err := in.required("Namespace", maxMetricName)
	switch {
	case err != nil:
		return nil, err
	case strings.HasPrefix(namespace, "AWS/"):
		return nil, errorf("InvalidParameterValue", "Namespace", "The value AWS/ for parameter Namespace is invalid.")
	case strings.HasPrefix(namespace, ":") || strings.ContainsFunc(namespace, outsideNamespace):
		return nil, invalidParameter("Namespace", "may have letters, digits and .-_/#: only, and must not begin with a colon.")
	}
	data, err := in.members("MetricData")
	switch {
	case err != nil:
		return nil, err
	case len(data) == 0:
		return nil, missingParameter("MetricData")
	case len(data) > maxMetrics:
		return nil, errorf("InvalidParameterValue", "MetricData",
			"The collection MetricData must not have a size greater than %d.", maxMetrics)
	}
	points := make([]Point, 0, len(data))
	for _, datum := range data {
		point, err := c.readMetric(datum)
		if err != nil {
			return nil, err
		}
		point.Namespace = namespace
		points = append(points, point)
	}
	return tree{}, c.store.add(points)
}

func outsideNamespace(r rune) bool {
	return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune(".-_/#: ", r))
}

// readMetric reads a MetricDatum.
func (c *Service) readMetric(datum fields) (p Point, err error) {
	if p.Name, err = datum.required("MetricName", maxMetricName); err != nil {
		return p, err
	}
	if p.Unit, err = datum.text("Unit"); err != nil {
		return p, err
	}
	if p.Unit != "" && !slices.Contains(metricUnits, p.Unit) {
		return p, invalidParameter(datum.path("Unit"), "is not a unit that CloudWatch knows.")
	}
	if p.Dimensions, err = readDimensions(datum); err != nil {
		return p, err
	}
	now := c.clock().UTC()
	p.Time, p.Resolution = now, usualResolution
	if datum.has("Timestamp") {
		if p.Time, err = datum.moment("Timestamp"); err != nil {
			return p, err
		}
		switch {
		case now.Sub(p.Time) > maxMetricAge:
			return p, invalidParameter(datum.path("Timestamp"), "must specify a time no more than two weeks in the past.")
		case p.Time.Sub(now) > maxMetricAhead:
			return p, invalidParameter(datum.path("Timestamp"), "must specify a time no more than two hours in the future.")
		}
	}
	if datum.has("StorageResolution") {
		resolution, err := datum.number("StorageResolution")
		if err != nil || resolution != 1 && resolution != usualResolution {
			return p, invalidParameter(datum.path("StorageResolution"), "must be 1 or 60.")
		}
		p.Resolution = int(resolution)
	}
	return p, readValues(datum, &p)
}

// readDimensions reads Dimensions; each name may stand once.
func readDimensions(in fields) (map[string]string, error) {
	list, err := in.members("Dimensions")
	if err != nil {
		return nil, err
	}
	if len(list) > maxDimensions {
		return nil, errorf("InvalidParameterValue", in.path("Dimensions"),
			"The collection %s must not have a size greater than %d.", in.path("Dimensions"), maxDimensions)
	}
	out := map[string]string{}
	for _, member := range list {
		name, err := member.required("Name", maxMetricName)
		if err != nil {
			return nil, err
		}
		value, err := member.required("Value", maxDimensionValue)
		switch {
		case err != nil:
			return nil, err
		case strings.HasPrefix(name, ":") || !plainASCII(name):
			return nil, invalidParameter(member.path("Name"), "must be ASCII without control characters, have one that is not a space, and not "+
				"begin with a colon.")
		case !plainASCII(value):
			return nil, invalidParameter(member.path("Value"), "must be ASCII without control characters, and have one that is not a space.")
		}
		if _, twice := out[name]; twice {
			return nil, invalidParameter(member.path("Name"), "is the name of an earlier dimension.")
		}
		out[name] = value
	}
	return out, nil
}

func plainASCII(text string) bool {
	return strings.TrimSpace(text) != "" && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
}

// readValues reads Value, StatisticValues, or Values with Counts: exactly one of them.
func readValues(datum fields, p *Point) error {
	forms := 0
	for _, name := range []string{"Value", "StatisticValues", "Values"} {
		if datum.has(name) {
			forms++
		}
	}
	switch {
	case forms == 0:
		return missingParameter(datum.path("Value"))
	case forms > 1:
		return errorf("InvalidParameterCombination", datum.path("Value"),
			"The parameters %s, StatisticValues and Values are mutually exclusive and you have specified more than one.", datum.path("Value"))
	case datum.has("Value"):
		value, err := datum.number("Value")
		p.Value, p.Minimum, p.Maximum, p.Count = value, value, value, 1
		return err
	case datum.has("StatisticValues"):
		return readStatisticSet(datum, p)
	default:
		return readValueList(datum, p)
	}
}

func readStatisticSet(datum fields, p *Point) error {
	values, ok := datum.values["StatisticValues"].(tree)
	if !ok {
		return invalidParameter(datum.path("StatisticValues"), "must be a structure.")
	}
	set := fields{values: values, at: datum.path("StatisticValues.")}
	for name, into := range map[string]*float64{"SampleCount": &p.Count, "Sum": &p.Value, "Minimum": &p.Minimum, "Maximum": &p.Maximum} {
		number, err := set.number(name)
		if err != nil {
			return err
		}
		*into = number
	}
	if p.Count <= 0 {
		return invalidParameter(set.path("SampleCount"), "must be greater than 0.")
	}
	if p.Minimum > p.Maximum {
		return errorf("InvalidParameterCombination", set.path("Minimum"),
			"The parameter %s must not be greater than Maximum.", set.path("Minimum"))
	}
	return nil
}

func readValueList(datum fields, p *Point) error {
	values, err := datum.list("Values")
	if err != nil {
		return err
	}
	counts, err := datum.list("Counts")
	switch {
	case err != nil:
		return err
	case len(values) == 0:
		return missingParameter(datum.path("Values"))
	case len(values) > maxValues:
		return errorf("InvalidParameterValue", datum.path("Values"),
			"The collection %s must not have a size greater than %d.", datum.path("Values"), maxValues)
	case len(counts) > 0 && len(counts) != len(values):
		return errorf("InvalidParameterValue", datum.path("Counts"),
			"The parameters %s and Counts must have the same size.", datum.path("Values"))
	}
	p.Minimum, p.Maximum = math.Inf(1), math.Inf(-1)
	for i, v := range values {
		value, err := readNumber(datum.path("Values.member."+strconv.Itoa(i+1)), v)
		if err != nil {
			return err
		}
		times := 1.0
		if len(counts) > 0 {
			at := datum.path("Counts.member." + strconv.Itoa(i+1))
			if times, err = readNumber(at, counts[i]); err != nil {
				return err
			}
			if times <= 0 {
				return invalidParameter(at, "must be greater than 0.")
			}
		}
		p.Value, p.Count = p.Value+value*times, p.Count+times
		p.Minimum, p.Maximum = min(p.Minimum, value), max(p.Maximum, value)
	}
	return nil
}

// readNumber takes what CloudWatch takes: no NaN, no infinity, and nothing beyond 2^360.
func readNumber(at string, v any) (float64, error) {
	var number float64
	switch v := v.(type) {
	case nil:
		return 0, missingParameter(at)
	case float64:
		number = v
	case string:
		var err error
		if number, err = strconv.ParseFloat(v, 64); err != nil {
			return 0, invalidParameter(at, "must be a number.")
		}
	default:
		return 0, invalidParameter(at, "must be a number.")
	}
	if math.IsNaN(number) || math.Abs(number) > greatestMetric {
		return 0, errorf("InvalidParameterValue", at, "The value %v for parameter %s is invalid.", number, at)
	}
	return number, nil
}
