package localcloud

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/google/go-cmp/cmp"
)

func TestMetrics(t *testing.T) {
	t.Parallel()
	clock := newClock()
	dir := t.TempDir()
	c, err := Start(Options{Dir: dir, Now: clock.Now})
	must(t, err)
	client := cloudwatch.NewFromConfig(deviceConfig(t, c, hub))
	at := clock.Now().Add(-time.Hour + 500*time.Millisecond)
	_, err = client.PutMetricData(t.Context(), &cloudwatch.PutMetricDataInput{Namespace: aws.String("KVSEdge"),
		MetricData: []cwtypes.MetricDatum{
			{MetricName: aws.String("Frames"), Value: aws.Float64(25), Unit: cwtypes.StandardUnitCount, Timestamp: &at,
				Dimensions: []cwtypes.Dimension{{Name: aws.String("Stream"), Value: aws.String("cam")}}},
			{MetricName: aws.String("Lag"), Values: []float64{1, 2.5}, Counts: []float64{1, 2}, StorageResolution: aws.Int32(1)},
			{MetricName: aws.String("Size"), StatisticValues: &cwtypes.StatisticSet{Sum: aws.Float64(9), SampleCount: aws.Float64(3),
				Minimum: aws.Float64(2), Maximum: aws.Float64(4)}},
		}})
	must(t, err)
	want := []MetricPoint{
		{Namespace: "KVSEdge", Name: "Frames", Unit: "Count", Dimensions: map[string]string{"Stream": "cam"}, Time: at, Value: 25, Count: 1,
			Minimum: 25, Maximum: 25, Resolution: 60},
		{Namespace: "KVSEdge", Name: "Lag", Dimensions: map[string]string{}, Time: clock.Now(), Value: 6, Count: 3, Minimum: 1, Maximum: 2.5,
			Resolution: 1},
		{Namespace: "KVSEdge", Name: "Size", Dimensions: map[string]string{}, Time: clock.Now(), Value: 9, Count: 3, Minimum: 2, Maximum: 4,
			Resolution: 60},
	}
	if diff := cmp.Diff(want, c.Metrics()); diff != "" {
		t.Error(diff)
	}
	_, err = client.PutMetricData(t.Context(), &cloudwatch.PutMetricDataInput{Namespace: aws.String("Many"), MetricData: manyMetrics(1000)})
	must(t, err) // the SDK compresses what is greater than 10 KiB
	if got := len(c.Metrics()); got != 1003 {
		t.Errorf("%d points", got)
	}
	must(t, c.Close())

	file, err := os.OpenFile(filepath.Join(dir, "state", "metrics.jsonl"), os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = file.WriteString(`{"Namespace":"torn`) // as a kill leaves it
	must(t, err)
	must(t, file.Close())
	clock.advance(15*24*time.Hour - 30*time.Minute) // too late for the first point only
	again := start(t, Options{Dir: dir, Now: clock.Now}).Metrics()
	if len(again) != 1002 || cmp.Diff(want[1:], again[:2]) != "" {
		t.Errorf("after a restart there are %d points, %+v first", len(again), again[0])
	}
}

func manyMetrics(n int) (data []cwtypes.MetricDatum) {
	for i := range n {
		data = append(data, cwtypes.MetricDatum{MetricName: aws.String(fmt.Sprintf("a-metric-with-a-long-name-%04d", i)), Value: aws.Float64(1)})
	}
	return data
}

// metricsRow is a request of PutMetricData and the error that it leads to.
type metricsRow struct {
	namespace string
	data      []cwtypes.MetricDatum
	err       string // "" = it is taken
}

func metricsRows(now time.Time) map[string]metricsRow {
	const invalid, missing, combination = "InvalidParameterValueException", "MissingRequiredParameterException",
		"InvalidParameterCombinationException"
	datum := func(edit func(*cwtypes.MetricDatum)) []cwtypes.MetricDatum {
		d := cwtypes.MetricDatum{MetricName: aws.String("m"), Value: aws.Float64(1)}
		edit(&d)
		return []cwtypes.MetricDatum{d}
	}
	dimensions := func(n int) (list []cwtypes.Dimension) {
		for i := range n {
			list = append(list, cwtypes.Dimension{Name: aws.String(fmt.Sprint("d", i)), Value: aws.String("v")})
		}
		return list
	}
	at := func(ago time.Duration) []cwtypes.MetricDatum {
		return datum(func(d *cwtypes.MetricDatum) { d.Timestamp = aws.Time(now.Add(-ago)) })
	}
	value := func(v float64) []cwtypes.MetricDatum { return datum(func(d *cwtypes.MetricDatum) { d.Value = &v }) }
	return map[string]metricsRow{
		"good":                  {"X", at(13 * 24 * time.Hour), ""},
		"ahead of time":         {"X", at(-119 * time.Minute), ""},
		"30 dimensions":         {"X", datum(func(d *cwtypes.MetricDatum) { d.Dimensions = dimensions(30) }), ""},
		"150 values":            {"X", datum(func(d *cwtypes.MetricDatum) { d.Value, d.Values = nil, make([]float64, 150) }), ""},
		"greatest":              {"X", value(math.Ldexp(1, 360)), ""},
		"AWS's namespace":       {"AWS/EC2", value(1), invalid},
		"namespace with umlaut": {"Ü", value(1), invalid},
		"too many":              {"X", manyMetrics(1001), invalid},
		"no value":              {"X", datum(func(d *cwtypes.MetricDatum) { d.Value = nil }), missing},
		"two kinds of values":   {"X", datum(func(d *cwtypes.MetricDatum) { d.Values = []float64{1} }), combination},
		"31 dimensions":         {"X", datum(func(d *cwtypes.MetricDatum) { d.Dimensions = dimensions(31) }), invalid},
		"a dimension twice":     {"X", datum(func(d *cwtypes.MetricDatum) { d.Dimensions = append(dimensions(1), dimensions(1)...) }), invalid},
		"a blank dimension": {"X", datum(func(d *cwtypes.MetricDatum) {
			d.Dimensions = []cwtypes.Dimension{{Name: aws.String("d"), Value: aws.String(" ")}}
		}), invalid},
		"151 values": {"X", datum(func(d *cwtypes.MetricDatum) { d.Value, d.Values = nil, make([]float64, 151) }), invalid},
		"counts too few": {"X", datum(func(d *cwtypes.MetricDatum) {
			d.Value, d.Values, d.Counts = nil, make([]float64, 2), []float64{1}
		}), invalid},
		"NaN":           {"X", value(math.NaN()), invalid},
		"infinity":      {"X", value(math.Inf(-1)), invalid},
		"too great":     {"X", value(math.Ldexp(1, 361)), invalid},
		"too old":       {"X", at(14*24*time.Hour + time.Minute), invalid},
		"too far ahead": {"X", at(-121 * time.Minute), invalid},
		"unknown unit":  {"X", datum(func(d *cwtypes.MetricDatum) { d.Unit = "Parsec" }), invalid},
		"resolution":    {"X", datum(func(d *cwtypes.MetricDatum) { d.StorageResolution = aws.Int32(5) }), invalid},
		"long name":     {"X", datum(func(d *cwtypes.MetricDatum) { d.MetricName = aws.String(fmt.Sprintf("%0256d", 1)) }), invalid},
		"set without a sum": {"X", datum(func(d *cwtypes.MetricDatum) {
			d.Value, d.StatisticValues = nil, &cwtypes.StatisticSet{SampleCount: aws.Float64(1), Minimum: aws.Float64(1), Maximum: aws.Float64(1),
				Sum: aws.Float64(math.NaN())}
		}), invalid},
	}
}

func TestWhatPutMetricDataRefuses(t *testing.T) {
	t.Parallel()
	clock := newClock()
	c := start(t, Options{Now: clock.Now})
	client := cloudwatch.NewFromConfig(userConfig(t, c))
	for name, row := range metricsRows(clock.Now()) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := client.PutMetricData(t.Context(), &cloudwatch.PutMetricDataInput{Namespace: &row.namespace, MetricData: row.data})
			if row.err == "" {
				must(t, err)
				return
			}
			wantError(t, err, queryCode[row.err], 400)
		})
	}
}

// queryCode is how the SDK names the errors: as before CBOR.
var queryCode = map[string]string{
	"InvalidParameterValueException":       "InvalidParameterValue",
	"MissingRequiredParameterException":    "MissingParameter",
	"InvalidParameterCombinationException": "InvalidParameterCombination",
}

// someMetrics puts three values of a metric at 0, 30 and 60 s of a minute.
func someMetrics(t *testing.T) (client *cloudwatch.Client, minute time.Time) {
	t.Helper()
	clock := newClock()
	c := start(t, Options{Now: clock.Now})
	client = cloudwatch.NewFromConfig(userConfig(t, c))
	minute = clock.Now().Truncate(time.Minute)
	for i, value := range []float64{1, 3, 8} {
		_, err := client.PutMetricData(t.Context(), &cloudwatch.PutMetricDataInput{Namespace: aws.String("N"), MetricData: []cwtypes.MetricDatum{{
			MetricName: aws.String("m"), Value: &value, Timestamp: aws.Time(minute.Add(time.Duration(i) * 30 * time.Second)),
			Dimensions: []cwtypes.Dimension{{Name: aws.String("Stream"), Value: aws.String("cam")}},
		}}})
		must(t, err)
	}
	return client, minute
}

func TestMetricsAreListed(t *testing.T) {
	t.Parallel()
	client, _ := someMetrics(t)
	ctx := t.Context()
	_, err := client.PutMetricData(t.Context(), &cloudwatch.PutMetricDataInput{Namespace: aws.String("Many"), MetricData: manyMetrics(501)})
	must(t, err)

	for name, row := range map[string]struct {
		in   cloudwatch.ListMetricsInput
		want int
	}{
		"all, on two pages": {cloudwatch.ListMetricsInput{}, 502},
		"namespace":         {cloudwatch.ListMetricsInput{Namespace: aws.String("N")}, 1},
		"name":              {cloudwatch.ListMetricsInput{MetricName: aws.String("a-metric-with-a-long-name-0007")}, 1},
		"dimension":         {cloudwatch.ListMetricsInput{Dimensions: []cwtypes.DimensionFilter{{Name: aws.String("Stream")}}}, 1},
		"other value": {cloudwatch.ListMetricsInput{Dimensions: []cwtypes.DimensionFilter{{Name: aws.String("Stream"),
			Value: aws.String("x")}}}, 0},
		"recently": {cloudwatch.ListMetricsInput{Namespace: aws.String("N"), RecentlyActive: cwtypes.RecentlyActivePt3h}, 1},
	} {
		n := 0
		for pages := cloudwatch.NewListMetricsPaginator(client, &row.in); pages.HasMorePages(); {
			page, err := pages.NextPage(ctx)
			must(t, err)
			if n += len(page.Metrics); len(page.Metrics) > 500 {
				t.Errorf("a page has %d metrics", len(page.Metrics))
			}
		}
		if n != row.want {
			t.Errorf("%s: %d metrics, want %d", name, n, row.want)
		}
	}
}

func TestMetricsAreAddedUp(t *testing.T) {
	t.Parallel()
	client, minute := someMetrics(t)
	ctx := t.Context()
	ask := func(edit func(*cloudwatch.GetMetricStatisticsInput)) (*cloudwatch.GetMetricStatisticsOutput, error) {
		in := &cloudwatch.GetMetricStatisticsInput{
			Namespace: aws.String("N"), MetricName: aws.String("m"), Period: aws.Int32(60), StartTime: aws.Time(minute),
			EndTime:    aws.Time(minute.Add(time.Hour)),
			Dimensions: []cwtypes.Dimension{{Name: aws.String("Stream"), Value: aws.String("cam")}},
			Statistics: []cwtypes.Statistic{"SampleCount", "Sum", "Average", "Minimum", "Maximum"},
		}
		edit(in)
		return client.GetMetricStatistics(ctx, in)
	}
	got, err := ask(func(*cloudwatch.GetMetricStatisticsInput) {})
	must(t, err)
	if len(got.Datapoints) != 2 || *got.Label != "m" {
		t.Fatalf("got %+v", got)
	}
	p := got.Datapoints[0]
	if !p.Timestamp.Equal(minute) || *p.SampleCount != 2 || *p.Sum != 4 || *p.Average != 2 || *p.Minimum != 1 || *p.Maximum != 3 ||
		p.Unit != "None" {
		t.Errorf("the first minute is %+v", p)
	}
	for name, row := range map[string]struct {
		edit func(*cloudwatch.GetMetricStatisticsInput)
		want int
		err  string
	}{
		"no dimensions": {func(in *cloudwatch.GetMetricStatisticsInput) { in.Dimensions = nil }, 0, ""},
		"other unit":    {func(in *cloudwatch.GetMetricStatisticsInput) { in.Unit = "Bytes" }, 0, ""},
		"an hour":       {func(in *cloudwatch.GetMetricStatisticsInput) { in.Period = aws.Int32(3600) }, 1, ""},
		"period":        {func(in *cloudwatch.GetMetricStatisticsInput) { in.Period = aws.Int32(61) }, 0, "InvalidParameterValue"},
		"no statistics": {func(in *cloudwatch.GetMetricStatisticsInput) { in.Statistics = nil }, 0, "MissingParameter"},
		"percentile": {func(in *cloudwatch.GetMetricStatisticsInput) { in.ExtendedStatistics = []string{"p99"} }, 0,
			"InvalidParameterValue"},
		"end first": {func(in *cloudwatch.GetMetricStatisticsInput) { in.EndTime = in.StartTime }, 0, "InvalidParameterValue"},
		"too many points": {func(in *cloudwatch.GetMetricStatisticsInput) { in.EndTime = aws.Time(minute.Add(1441 * time.Minute)) }, 0,
			"InvalidParameterCombination"},
	} {
		got, err := ask(row.edit)
		if row.err != "" {
			wantError(t, err, row.err, 400)
			continue
		}
		must(t, err)
		if len(got.Datapoints) != row.want {
			t.Errorf("%s: %+v", name, got.Datapoints)
		}
	}
}
