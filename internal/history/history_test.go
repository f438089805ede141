package history

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kvs-edge/kvs-edge-agent/internal/cost"
	"github.com/kvs-edge/kvs-edge-agent/internal/tally"
)

var begin = time.Date(2026, 11, 21, 4, 20, 0, 0, time.UTC)

// at is a sample with numbers that follow from its time, in minutes since begin.
func at(minute int) Sample {
	n := int64(minute)
	return Sample{Time: begin.Add(time.Duration(minute) * time.Minute), DiskUsed: 1000 + n, DiskTotal: 5000, LineSent: 10 * n, LineReceived: n,
		HasLine: true, BacklogBytes: map[string]int64{"door": n % 60}, UsedBytes: map[string]int64{"door": 2 * n}}
}

func TestAHistoryOfHours(t *testing.T) {
	t.Parallel()
	h := New(Options{})
	for m := range 5 {
		h.Add(at(m))
	}
	got := h.Since(time.Time{})
	want := Series{Since: begin, StepSeconds: 120, DiskTotalBytes: 5000,
		Times:    []int64{begin.Add(2 * time.Minute).UnixMilli(), begin.Add(4 * time.Minute).UnixMilli(), begin.Add(6 * time.Minute).UnixMilli()},
		DiskUsed: []int64{1001, 1003, 1004}, LineSent: []int64{10, 20, 10}, LineReceived: []int64{1, 2, 1},
		Streams: []Stream{{"door", []int64{1, 3, 4}, []int64{2, 6, 8}}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if later := h.Since(begin.Add(2 * time.Minute)); len(later.Times) != 2 || len(later.Streams[0].Used) != 2 {
		t.Errorf("later: %+v", later)
	}
	if none := h.Since(begin.Add(time.Hour)); len(none.Times) != 0 || len(none.Streams[0].Used) != 0 {
		t.Errorf("none: %+v", none)
	}
}

// TestTenDays are remembered for seven, in hours, and the last six hours of them in more detail.
func TestTenDays(t *testing.T) {
	t.Parallel()
	h := New(Options{})
	const last = 10 * 24 * 60
	for m := range last + 1 {
		s := at(m)
		if m >= last-90 { // a stream is new, and another one is gone
			s.UsedBytes = map[string]int64{"door": 2 * int64(m), "yard": 7}
			s.BacklogBytes["yard"] = 3
		} else if m < last-3000 {
			s.UsedBytes["old"] = 1
		}
		h.Add(s)
	}
	days := h.Since(time.Time{})
	if days.StepSeconds != 3600 || len(days.Times) != coarsePoints || days.Streams[0].Name != "door" || len(days.Streams) != 2 {
		t.Fatalf("the days have steps of %d s, %d points, streams %+v", days.StepSeconds, len(days.Times), days.Streams)
	}
	for i, sent := range days.LineSent[:coarsePoints-1] {
		if sent != 600 || days.Streams[0].Backlog[i] != 59 || days.Times[i]%3600_000 != 0 {
			t.Errorf("hour %d: %d sent, backlog %d, ends at %d", i, sent, days.Streams[0].Backlog[i], days.Times[i])
		}
	}
	if yard := days.Streams[1]; len(yard.Used) != 2 || yard.Used[1] != 7 || yard.Backlog[1] != 3 {
		t.Errorf("the new stream has %+v", yard)
	}
	hours := h.Since(at(last - 60).Time)
	if hours.StepSeconds != 120 || len(hours.Times) != 31 || hours.DiskUsed[30] != 1000+last {
		t.Errorf("the last hour has steps of %d s, %d points, %v", hours.StepSeconds, len(hours.Times), hours.DiskUsed)
	}
	if n := len(h.fine.times); n != finePoints {
		t.Errorf("%d fine points", n)
	}
}

// TestAClockThatIsPutBack ends what came after.
func TestAClockThatIsPutBack(t *testing.T) {
	t.Parallel()
	h := New(Options{})
	for _, m := range []int{0, 2, 4, 500, 502, 6, 8} {
		h.Add(at(m))
	}
	got := h.Since(time.Time{})
	if len(got.Times) != 5 || got.Times[4] != at(10).Time.UnixMilli() || got.DiskUsed[4] != 1008 || len(got.Streams[0].Used) != 5 {
		t.Errorf("%+v", got)
	}
	h.Add(at(-1000)) // before anything was
	if got = h.Since(time.Time{}); len(got.Times) != 1 || !got.Since.Equal(at(-1000).Time) || len(got.Streams[0].Used) != 1 {
		t.Errorf("%+v", got)
	}
}

func TestSamplesAreTakenUntilTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := New(Options{Sample: func() Sample { return Sample{Time: time.Now(), DiskTotal: 1} }})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- h.Run(ctx) }()
		time.Sleep(time.Hour + time.Minute)
		synctest.Wait()
		if got := h.Since(time.Time{}); len(got.Times) != 31 || got.LineSent != nil {
			t.Errorf("after an hour: %d points, %v", len(got.Times), got.LineSent)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

type counted map[string]map[string]tally.Day

func (c counted) Streams() []string { return []string{"door", "yard", "idle"} }

func (c counted) Days(stream string) (map[string]tally.Day, time.Time) { return c[stream], time.Time{} }

func TestCostsOfDays(t *testing.T) {
	t.Parallel()
	p := cost.Prices{Region: "r", Date: "2026-11", Currency: "EUR", BytesPerGB: 1000, Hot: cost.TierPrices{IngestPerGB: 2},
		Warm: cost.TierPrices{IngestPerThousandFragments: 5}}
	tier := func(stream string) string { return map[string]string{"door": cost.Warm}[stream] }
	got := CostsOf(counted{
		"door": {"2026-11-21": {Bytes: 4000, Fragments: 2000, Calls: 3}, "2026-10-22": {Bytes: 9, Fragments: 9}},
		"yard": {"2026-11-21": {Bytes: 1000, Fragments: 7, Calls: 1}, "2026-10-23": {Bytes: 3000, Fragments: 1}},
	}, tier, p, begin)
	want := Costs{Currency: "EUR", Region: "r", Date: "2026-11", TierAssumed: []string{"yard"}}
	for i := range CostDays {
		want.Days = append(want.Days, CostDay{Date: begin.AddDate(0, 0, i-CostDays+1).Format(time.DateOnly)})
	}
	want.Days[CostDays-1] = CostDay{"2026-11-21", 5000, 2007, 4, 10 + 2}
	want.Days[0] = CostDay{"2026-10-23", 3000, 1, 0, 6}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if none := CostsOf(nil, tier, p, begin); len(none.Days) != CostDays {
		t.Errorf("nothing counted: %+v", none)
	}
}
