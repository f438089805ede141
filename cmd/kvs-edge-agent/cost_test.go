package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/kvs-edge/kvs-edge-agent/internal/cost"
	"github.com/kvs-edge/kvs-edge-agent/internal/usage"
)

// pageReport is the report that docs/cost.md shows: 4 Mbit/s around the clock, with fragments of a second, in WARM.
func pageReport() *costReport {
	to := time.Date(2026, 11, 28, 9, 30, 0, 0, time.UTC)
	from := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	hours := 168
	seconds := to.Sub(from).Seconds()
	r := newCostReport(7, cost.Embedded())
	r.From, r.To = from, to
	r.add(usage.Stream{
		Stream: "front-door", From: from, To: to, MediaSeconds: seconds, Bytes: int64(seconds * 500_000), Fragments: int64(seconds), Calls: 262,
		StorageTier: cost.Warm, RetentionHours: &hours, KeyframeSeconds: 1, LongestGOPSeconds: 1,
	}, assumedHours, retentionAssumed)
	return r
}

func costPage(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(repository, "docs", "cost.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// TestTheCostPageShowsWhatCostPrints, and the prices and members that there are.
func TestTheCostPageShowsWhatCostPrints(t *testing.T) {
	t.Parallel()
	page := costPage(t)
	var b strings.Builder
	if err := pageReport().write(&b); err != nil {
		t.Fatal(err)
	}
	if want := "```text\n$ sudo kvs-edge-agent cost\n" + b.String() + "```\n"; !strings.Contains(page, want) {
		t.Errorf("docs/cost.md does not show what cost prints now:\n%s", want)
	}
	_, block, _ := strings.Cut(page, "```json\n")
	block, _, _ = strings.Cut(block, "```")
	if prices, err := cost.ReadPrices(strings.NewReader(block)); err != nil || prices != cost.Embedded() {
		t.Errorf("its prices are %+v, %v", prices, err)
	}
	text, err := json.Marshal(pageReport())
	if err != nil {
		t.Fatal(err)
	}
	for _, member := range regexp.MustCompile(`"(\w+)":`).FindAllStringSubmatch(string(text), -1) {
		if !strings.Contains(page, member[1]) {
			t.Errorf("docs/cost.md does not name the member %s", member[1])
		}
	}
}

func TestTheReportIsAtMost100ColumnsWide(t *testing.T) {
	t.Parallel()
	r := pageReport()
	r.Prices.Currency, r.Prices.Source = "EUR", strings.Repeat("long", 75)
	r.Prices.Hot.StoragePerGBMonth, r.Prices.Warm.StoragePerGBMonth, r.Prices.Hot.IngestPerGB = 1e6, 1e6, 1e6
	for _, tier := range []string{cost.Hot, cost.Warm, ""} {
		u := r.Streams[0].Stream
		u.Stream, u.StorageTier, u.RetentionHours, u.Live = strings.Repeat("long-name", 28), tier, nil, tier == cost.Warm
		u.FragmentTag = strings.Repeat("1", len(tier)*30)
		u.Bytes, u.Fragments, u.Calls, u.WaitingFragments = u.Bytes*1000, u.Fragments/7*10, u.Calls*1000, u.Fragments/2
		r.add(u, assumedHours, retentionAssumed)
	}
	var b strings.Builder
	if err := r.write(&b); err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(b.String(), "\n") {
		if utf8.RuneCountInString(line) > costWidth {
			t.Errorf("a line has %d columns: %s", utf8.RuneCountInString(line), line)
		}
	}
	if !strings.Contains(b.String(), "All 4 streams") {
		t.Errorf("there is no total:\n%s", b.String())
	}
}

func TestTheDaysOfCost(t *testing.T) {
	t.Parallel()
	at := func(text string) time.Time {
		parsed, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	now := at("2026-11-28T09:30:00Z")
	for _, row := range []struct {
		days        int
		to          time.Time
		from, until string
	}{
		{7, time.Time{}, "2026-11-21T00:00:00Z", "2026-11-28T09:30:00Z"},
		{1, time.Time{}, "2026-11-27T00:00:00Z", "2026-11-28T09:30:00Z"},
		{1, at("2026-11-28T08:00:00Z"), "2026-11-27T00:00:00Z", "2026-11-28T09:30:00Z"},
		{1, at("2026-11-29T00:00:00Z"), "2026-11-27T00:00:00Z", "2026-11-28T09:30:00Z"},
		{1, at("2026-11-22T00:00:00Z"), "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"},
		{1, at("2026-11-21T04:30:00Z"), "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"},
		{30, at("2026-11-21T04:30:00Z"), "2026-10-23T00:00:00Z", "2026-11-22T00:00:00Z"},
	} {
		from, until := costSpan(row.days, row.to, now)
		if !from.Equal(at(row.from)) || !until.Equal(at(row.until)) {
			t.Errorf("%d days to %v are %v to %v, want %s to %s", row.days, row.to, from, until, row.from, row.until)
		}
	}
	if from, until := costSpan(1, at("2027-11-28T08:00:00Z"), now); from.Before(until) {
		t.Errorf("in a year it is %v to %v", from, until)
	}
}

// TestTheSentenceOfTheCheapest names what to change, and nothing else.
func TestTheSentenceOfTheCheapest(t *testing.T) {
	t.Parallel()
	day := 24 * time.Hour
	const byTier = "`aws kinesisvideo update-stream-storage-configuration` changes the tier"
	const byLength = "AWS_KVS_EDGE_FRAGMENT_DURATION=19s for all streams, or the tag kvs-edge:fragment=19s of this one, sets the length"
	for name, row := range map[string]struct {
		length, retention time.Duration
		u                 usage.Stream
		want              string
	}{
		"nothing to change": {time.Second, day, usage.Stream{StorageTier: cost.Hot},
			"The cheapest is what it is now, the HOT tier with fragments of 1 s: $11.18 a month."},
		"the tier": {time.Second, day, usage.Stream{StorageTier: cost.Warm},
			"The cheapest is the HOT tier with fragments as they are: $11.18 a month, $29.82 less than now; " + byTier + "."},
		"the length": {time.Second, 7 * day, usage.Stream{StorageTier: cost.Warm},
			"The cheapest is the WARM tier with fragments of 19 s: $16.45 a month, $24.56 less than now; " + byLength + "."},
		"both": {time.Second, 30 * day, usage.Stream{StorageTier: cost.Hot},
			"The cheapest is the WARM tier with fragments of 19 s: $16.45 a month, $21.57 less than now; " + byTier + ", and " + byLength + "."},
		"the tier is not known": {time.Second, day, usage.Stream{}, "The cheapest is the HOT tier with fragments as they are: $11.18 a month."},
		"live": {time.Second, 7 * day, usage.Stream{StorageTier: cost.Warm, Plan: usage.Plan{Live: true}},
			"The cheapest is the WARM tier with fragments of 19 s: $16.45 a month, $24.56 less than now; " + byLength + ". The upload is live: a " +
				"fragment is sent when it is complete, so viewers then see the video up to 19 s later."},
		"a tag takes precedence": {time.Second, 7 * day, usage.Stream{StorageTier: cost.Warm, Plan: usage.Plan{FragmentTag: "1s"}},
			"The cheapest is the WARM tier with fragments of 19 s: $16.45 a month, $24.56 less than now; the stream's tag kvs-edge:fragment=19s " +
				"(now 1s) sets the length."},
		"keyframes each 4 s": {4 * time.Second, 30 * day, usage.Stream{StorageTier: cost.Warm, KeyframeSeconds: 4, LongestGOPSeconds: 4},
			"The cheapest is the WARM tier with fragments of 16 s (keyframes are 4 s apart): $16.71 a month, $4.86 less than now; " +
				byLength + "."},
		"keyframes each 10 s": {10 * time.Second, 30 * day, usage.Stream{StorageTier: cost.Warm, KeyframeSeconds: 10, LongestGOPSeconds: 10},
			"The cheapest is what it is now, the WARM tier with fragments of 10 s: $17.68 a month."},
		"the service refuses longer ones": {time.Second, 30 * day, usage.Stream{StorageTier: cost.Warm, Plan: usage.Plan{ShortOnly: true}},
			"The cheapest is the HOT tier with fragments as they are: $38.02 a month, $2.99 less than now; " + byTier + "."},
	} {
		report := newCostReport(1, cost.Embedded())
		row.u.To = row.u.From.Add(day)
		row.u.MediaSeconds, row.u.Bytes, row.u.Fragments = day.Seconds(), 43.2e9, int64(day/row.length)
		report.add(row.u, int(row.retention/time.Hour), retentionOfFlag)
		if got := report.Streams[0].Cheapest; got != row.want {
			t.Errorf("%s: %s\nwant %s", name, got, row.want)
		}
	}
}

// TestAReportOfNothingIsAListAllTheSame, for programs.
func TestAReportOfNothingIsAListAllTheSame(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(newCostReport(1, cost.Embedded()))
	if err != nil || !strings.Contains(string(text), `"streams":[]`) {
		t.Errorf("it is %s, %v", text, err)
	}
}

func TestAmounts(t *testing.T) {
	t.Parallel()
	got := []string{money(0, "USD"), money(0.00123, "USD"), money(0.25, "EUR"), money(1234.567, "USD"), money(1.469e14, "EUR"), grouped(0),
		grouped(999), grouped(1000), grouped(1234567), seconds(19), seconds(1.0004), seconds(1.26), gigabytes(0.5), gigabytes(12.34)}
	want := []string{"$0.00", "$0.0012", "0.25 EUR", "$1234.57", "1.47e+14 EUR", "0", "999", "1,000",
		"1,234,567", "19 s", "1.0 s", "1.3 s", "0.5000 GB", "12.3 GB"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("they are %q, want %q", got, want)
	}
}
