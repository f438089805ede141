package localcloud

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iotsitewise"
	"github.com/aws/aws-sdk-go-v2/service/iotsitewise/types"
)

// The start of a history is exclusive and its end inclusive; a page continues where the previous one ended.
func TestHistories(t *testing.T) {
	t.Parallel()
	s := newSiteWise(t, Options{})
	const p = "VideoUploadedTimeRange"
	for i := range 5 {
		_, err := s.put(false, s.entry(p, s.value(time.Duration(i-4)*time.Minute, double(float64(i)))))
		must(t, err)
	}
	at := func(minutes int) *time.Time { return aws.Time(s.clock.Now().Add(time.Duration(minutes) * time.Minute)) }
	for name, row := range map[string]struct {
		in   iotsitewise.GetAssetPropertyValueHistoryInput
		want string
	}{
		"all":     {iotsitewise.GetAssetPropertyValueHistoryInput{}, "0 1 2 3 4"},
		"from":    {iotsitewise.GetAssetPropertyValueHistoryInput{StartDate: at(-3)}, "2 3 4"},
		"to":      {iotsitewise.GetAssetPropertyValueHistoryInput{EndDate: at(-3)}, "0 1"},
		"between": {iotsitewise.GetAssetPropertyValueHistoryInput{StartDate: at(-4), EndDate: at(-1)}, "1 2 3"},
		"nothing": {iotsitewise.GetAssetPropertyValueHistoryInput{StartDate: at(-1), EndDate: at(-1)}, ""},
		"descending": {iotsitewise.GetAssetPropertyValueHistoryInput{TimeOrdering: types.TimeOrderingDescending, EndDate: at(-1)},
			"3 2 1 0"},
		"of another quality": {iotsitewise.GetAssetPropertyValueHistoryInput{Qualities: []types.Quality{types.QualityBad}}, ""},
	} {
		for _, size := range []int32{0, 1, 2} {
			in := row.in
			in.AssetId, in.PropertyId = &s.camera, aws.String(s.props[p])
			if size > 0 {
				in.MaxResults = &size
			}
			var got []string
			for pages := iotsitewise.NewGetAssetPropertyValueHistoryPaginator(s.client, &in); pages.HasMorePages(); {
				out, err := pages.NextPage(t.Context())
				must(t, err)
				for _, v := range out.AssetPropertyValueHistory {
					got = append(got, fmt.Sprint(*v.Value.DoubleValue))
				}
			}
			if strings.Join(got, " ") != row.want {
				t.Errorf("%s in pages of %d: %q, want %q", name, size, got, row.want)
			}
		}
	}
	for name, in := range map[string]iotsitewise.GetAssetPropertyValueHistoryInput{
		"end before start":   {AssetId: &s.camera, PropertyId: aws.String(s.props[p]), StartDate: at(0), EndDate: at(-1)},
		"too many":           {AssetId: &s.camera, PropertyId: aws.String(s.props[p]), MaxResults: aws.Int32(20_001)},
		"an asset alone":     {AssetId: &s.camera},
		"no token of a page": {AssetId: &s.camera, PropertyId: aws.String(s.props[p]), NextToken: aws.String("abc=")},
	} {
		_, err := s.client.GetAssetPropertyValueHistory(t.Context(), &in)
		t.Log(name)
		wantError(t, err, "InvalidRequestException", http.StatusBadRequest)
	}
}

// Batches answer for each entry, and pages of histories skip the entries of earlier ones.
func TestBatchesOfReads(t *testing.T) {
	t.Parallel()
	s := newSiteWise(t, Options{})
	names := []string{"VideoUploadedTimeRange", "VideoRecordedTimeRange", "CachedVideoAgeOutOnEdge"}
	for _, name := range names[:2] {
		for i := range 3 {
			_, err := s.put(false, s.entry(name, s.value(time.Duration(i-3)*time.Minute, double(float64(i)))))
			must(t, err)
		}
	}
	var latest []types.BatchGetAssetPropertyValueEntry
	var histories []types.BatchGetAssetPropertyValueHistoryEntry
	for _, name := range append(slices.Clone(names), "Nothing") {
		id := cmp.Or(s.props[name], "99999999-2222-4333-8444-555555555555")
		latest = append(latest, types.BatchGetAssetPropertyValueEntry{EntryId: aws.String(name), AssetId: &s.camera, PropertyId: &id})
		histories = append(histories, types.BatchGetAssetPropertyValueHistoryEntry{EntryId: aws.String(name), AssetId: &s.camera, PropertyId: &id,
			TimeOrdering: types.TimeOrderingDescending})
	}
	out, err := s.client.BatchGetAssetPropertyValue(t.Context(), &iotsitewise.BatchGetAssetPropertyValueInput{Entries: latest})
	must(t, err)
	if len(out.SuccessEntries) != 3 || out.SuccessEntries[2].AssetPropertyValue != nil ||
		*out.SuccessEntries[0].AssetPropertyValue.Value.DoubleValue != 2 ||
		len(out.ErrorEntries) != 1 || out.ErrorEntries[0].ErrorCode != types.BatchGetAssetPropertyValueErrorCodeResourceNotFoundException {
		t.Errorf("the current values are %+v", out)
	}
	var got []string
	pages := iotsitewise.NewBatchGetAssetPropertyValueHistoryPaginator(s.client, &iotsitewise.BatchGetAssetPropertyValueHistoryInput{
		Entries: histories, MaxResults: aws.Int32(2)})
	for pages.HasMorePages() {
		out, err := pages.NextPage(t.Context())
		must(t, err)
		line := fmt.Sprint("skipped ", len(out.SkippedEntries), ", failed ", len(out.ErrorEntries))
		for _, e := range out.SuccessEntries {
			line += ", " + (*e.EntryId)[:13] + ":"
			for _, v := range e.AssetPropertyValueHistory {
				line += fmt.Sprint(" ", *v.Value.DoubleValue)
			}
		}
		got = append(got, line)
	}
	want := []string{
		"skipped 0, failed 0, VideoUploaded: 2 1",
		"skipped 0, failed 0, VideoUploaded: 0, VideoRecorded: 2",
		"skipped 1, failed 1, VideoRecorded: 1 0, CachedVideoAg:",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the pages are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	_, err = s.client.BatchGetAssetPropertyValueHistory(t.Context(),
		&iotsitewise.BatchGetAssetPropertyValueHistoryInput{Entries: make17(histories[0])})
	wantError(t, err, "InvalidRequestException", http.StatusBadRequest)
}

func make17(e types.BatchGetAssetPropertyValueHistoryEntry) (list []types.BatchGetAssetPropertyValueHistoryEntry) {
	for i := range 17 {
		e.EntryId = aws.String(fmt.Sprint("e", i))
		list = append(list, e)
	}
	return list
}

// AWS's player asks for the last value before a time, however old it is.
func TestTheLastValueIsCarriedForward(t *testing.T) {
	t.Parallel()
	s := newSiteWise(t, Options{})
	const p = "VideoUploadedTimeRange"
	ask := func(start, end time.Duration, interval int64) (got []string) {
		in := iotsitewise.GetInterpolatedAssetPropertyValuesInput{AssetId: &s.camera, PropertyId: aws.String(s.props[p]),
			StartTimeInSeconds: aws.Int64(s.clock.Now().Add(start).Unix()), EndTimeInSeconds: aws.Int64(s.clock.Now().Add(end).Unix()),
			IntervalInSeconds: &interval, Quality: types.QualityGood, Type: aws.String("LOCF_INTERPOLATION"), MaxResults: aws.Int32(2)}
		for pages := iotsitewise.NewGetInterpolatedAssetPropertyValuesPaginator(s.client, &in); pages.HasMorePages(); {
			out, err := pages.NextPage(t.Context())
			must(t, err)
			for _, v := range out.InterpolatedAssetPropertyValues {
				got = append(got, fmt.Sprintf("%+d %g", *v.Timestamp.TimeInSeconds-s.clock.Now().Unix(), *v.Value.DoubleValue))
			}
		}
		return got
	}
	if got := ask(-1000*time.Hour, 0, 1); got != nil {
		t.Errorf("before the first value there are %q", got)
	}
	_, err := s.put(false, s.entry(p, s.value(-time.Hour, double(10)), s.value(-25*time.Second, double(20))))
	must(t, err)
	for _, row := range []struct {
		start, end time.Duration
		interval   int64
		want       []string
	}{
		{-time.Second, 0, 1, []string{"+0 20"}},
		{-time.Minute, -59 * time.Second, 1, []string{"-59 10"}},
		{-50 * time.Second, 0, 10, []string{"-40 10", "-30 10", "-20 20", "-10 20", "+0 20"}},
		{-100000 * time.Hour, -time.Hour + 2*time.Second, 1, []string{"-3600 10", "-3599 10", "-3598 10"}},
	} {
		if got := ask(row.start, row.end, row.interval); !slices.Equal(got, row.want) {
			t.Errorf("from %v to %v every %d s: %q, want %q", row.start, row.end, row.interval, got, row.want)
		}
	}
}
