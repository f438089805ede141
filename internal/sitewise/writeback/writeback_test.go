package writeback

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kvs-edge/kvs-edge-agent/internal/receipt"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// TestTheRowsOfTheConnector has what the edge connector writes, by the numbers of its behaviour, and what the agent does instead.
func TestTheRowsOfTheConnector(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		do       func(h *hub)
		property string
		want     []string
	}{
		"18: without Stream Manager, of a camera without properties nothing": {func(h *hub) {
			h.cameras = []Camera{{Stream: stream, Asset: asset}}
			h.record(time.Minute)
			h.pass(2 * time.Minute)
		}, "recorded", nil},
		"18a: one row of half an hour, which grows in place": {func(h *hub) {
			for range 6 {
				at := h.now
				h.record(5 * time.Minute)
				h.persist(at, h.now)
				h.pass(15 * time.Second)
				h.now = at.Add(5 * time.Minute)
			}
			h.pass(15 * time.Second)
		}, "uploaded", []string{"0 1800.26"}},
		"18a: a range that was asked for has the time of its media": {func(h *hub) {
			h.persist(begin.Add(100*time.Second), begin.Add(130*time.Second))
			h.pass(time.Minute)
		}, "uploaded", []string{"100 130.26"}},
		"18a: fragments in any order": {func(h *hub) {
			h.persist(begin.Add(60*time.Second), begin.Add(90*time.Second))
			h.persist(begin.Add(200*time.Second), begin.Add(230*time.Second))
			h.persist(begin, begin.Add(60*time.Second))
			h.pass(time.Minute)
		}, "uploaded", []string{"0 90.26", "200 230.26"}},
		"18a: the trickle makes no rows": {func(h *hub) {
			for i := range 5 {
				at := begin.Add(time.Duration(i) * time.Minute)
				h.trickle[at] = true
				h.persist(at, at.Add(fragment))
			}
			h.pass(time.Minute)
		}, "uploaded", nil},
		"18a: the trickle within a range that was asked for is part of it": {func(h *hub) {
			at := begin.Add(30 * time.Second)
			h.trickle[at] = true
			h.persist(at, at.Add(fragment))
			h.persist(begin, at)
			h.persist(at.Add(fragment), begin.Add(time.Minute))
			h.pass(time.Minute)
		}, "uploaded", []string{"0 60.26"}},
		"18a: of the trickle in a range only what was asked for": {func(h *hub) {
			for i := range 5 {
				at := begin.Add(time.Duration(i) * time.Minute)
				h.trickle[at] = true
				h.persist(at, at.Add(fragment))
			}
			h.pass(time.Minute)
			delete(h.trickle, begin.Add(time.Minute)) // it is all of what somebody asks for
			h.persist(begin.Add(3*time.Minute).Add(fragment), begin.Add(3*time.Minute+10*time.Second))
			h.pass(time.Minute)
			h.w.close()
			h.start()
			h.pass(time.Minute)
		}, "uploaded", []string{"60 62.26", "180 190.26"}},
		"18b: recorded, with a gap and the file that is being written": {func(h *hub) {
			h.record(7 * time.Minute)
			h.seal()
			h.now = h.now.Add(5 * time.Second)
			h.record(30 * time.Second)
			h.pass(time.Minute)
		}, "recorded", []string{"0 420.26", "425 455.26"}},
		"18c: on the disk in rows of minutes": {func(h *hub) {
			h.record(25 * time.Minute)
			h.pass(time.Minute)
		}, "cached", []string{"0 302.00", "302 604.00", "604 906.00", "906 1208.00", "1208 1500.26"}},
		"19: what is deleted leaves the rows": {func(h *hub) {
			h.record(25 * time.Minute)
			h.pass(time.Minute)
			h.segments = h.segments[3:]
			h.pass(2 * time.Minute)
		}, "recorded", []string{"0 0.00", "906 1500.26"}},
		"20: what is in one second with the heartbeat": {func(h *hub) {
			h.now = begin.Truncate(time.Second)
			h.record(10 * time.Second)
			h.now = begin.Truncate(time.Second).Add(-passEvery)
			h.pass(passEvery)
		}, "cached", []string{"0 9.96"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := hubOf(t)
			row.do(h)
			got := h.rows(row.property)
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Error(diff)
			}
			if n := h.cloud.twice(); n > 0 {
				t.Errorf("%d values were written twice", n)
			}
			if c := h.conditions(); c != nil {
				t.Errorf("conditions %v", c)
			}
		})
	}
}

// TestTheOldestMediaIsWrittenEachMinute: 18c, the heartbeat from now to the oldest media, 0 without any.
func TestTheOldestMediaIsWrittenEachMinute(t *testing.T) {
	t.Parallel()
	h := hubOf(t)
	h.pass(2 * time.Minute)
	h.record(10 * time.Minute)
	h.pass(3 * time.Minute)
	h.segments = nil
	h.pass(time.Minute)
	var got []string
	for at, v := range h.cloud.values[id{asset, "cached"}] {
		if at.Nanosecond() == 0 {
			continue
		}
		line := fmt.Sprintf("%04d 0", at.Unix()-begin.Unix())
		if v != 0 {
			line = fmt.Sprintf("%04d %.1f", at.Unix()-begin.Unix(), v-float64(begin.Unix()))
		}
		got = append(got, line)
	}
	slices.Sort(got)
	want := []string{"0015 0", "0075 0", "0735 120.3", "0795 120.3", "0855 120.3", "0915 0"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestADayWithoutSiteWise: everything is written afterwards, each value once, with bounded memory and few calls meanwhile.
func TestADayWithoutSiteWise(t *testing.T) {
	t.Parallel()
	h := hubOf(t)
	h.recordAndSend(30 * time.Minute)
	h.cloud.fail = errOutage
	before := h.cloud.calls
	h.recordAndSend(24 * time.Hour)
	if got := h.conditions(); !slices.Equal(got, []string{CodeCall}) {
		t.Errorf("in the outage the conditions are %v", got)
	}
	if calls := h.cloud.calls - before; calls > 24*60 {
		t.Errorf("%d calls were made without success", calls)
	}
	for key, s := range h.w.all {
		if len(s.points) > 400 {
			t.Errorf("%s has %d points", key, len(s.points))
		}
	}
	if info, err := os.Stat(filepath.Join(h.dir, File)); err != nil || info.Size() > 200_000 {
		t.Errorf("the journal: %v, %v", info, err)
	}
	waiting, since := h.w.Status().Waiting, h.w.Status().Since
	if age := h.now.Sub(since); age < 24*time.Hour-time.Minute || age > 24*time.Hour+time.Minute {
		t.Errorf("after a day the oldest value waits for %s", age)
	}
	h.cloud.fail = nil
	h.pass(6 * time.Minute)
	if s := h.w.Status(); !s.Since.IsZero() || s.Refused != 0 || h.now.Sub(s.Written) > 2*time.Minute {
		t.Errorf("afterwards the status is %+v at %s", s, h.now)
	}
	if waiting == 0 || h.w.Status().Waiting != 0 || h.conditions() != nil {
		t.Errorf("%d values waited, and %d now; conditions %v", waiting, h.w.Status().Waiting, h.conditions())
	}
	h.check(begin, h.now)
	if n := h.cloud.twice(); n > 0 {
		t.Errorf("%d values were written twice", n)
	}
	if got := len(h.rows("uploaded")); got != 9 { // 24.5 hours in fragments of 2 s
		t.Errorf("what is uploaded has %d rows: %v", got, h.rows("uploaded"))
	}
}

// recordAndSend records and uploads, with a pass each 15 s.
func (h *hub) recordAndSend(d time.Duration) {
	for end := h.now.Add(d); h.now.Before(end); {
		at := h.now
		h.record(14 * time.Second)
		h.persist(at, h.now)
		h.w.pass(context.Background())
	}
}

// TestSiteWiseTakesNothingOld: a hub that keeps ten days. What began more than seven days ago is not written, and stays as it was
// written; it is said until it is over.
func TestSiteWiseTakesNothingOld(t *testing.T) {
	t.Parallel()
	h := hubOf(t)
	for i := range 10 * 24 * 4 {
		at := h.now
		h.record(15 * time.Minute)
		if i%8 == 0 {
			h.persist(at, h.now)
		}
		h.pass(15 * time.Second)
		h.now = at.Add(15 * time.Minute)
	}
	h.pass(2 * time.Minute)
	if c := h.conditions(); c != nil {
		t.Errorf("conditions %v", c)
	}
	h.check(h.now.Add(-5*24*time.Hour), h.now)
	h.segments = h.segments[len(h.segments)-24*12*6:] // a week's fourth day ago
	h.pass(2 * time.Minute)
	if got := h.conditions(); !slices.Equal(got, []string{CodeOld + "/" + stream}) {
		t.Errorf("conditions %v, as a row of 24 hours began more than seven days ago", got)
	}
	h.check(h.now.Add(-5*24*time.Hour), h.now)
	rows := h.rows("uploaded")
	h.persist(begin, begin.Add(time.Minute)) // a request for the first day
	h.pass(2 * time.Minute)
	if diff := cmp.Diff(rows, h.rows("uploaded")); diff != "" {
		t.Errorf("a row of ten days ago: %s", diff)
	}
	if got := h.conditions(); !slices.Contains(got, CodeLate+"/"+stream) {
		t.Errorf("conditions %v, as a range of ten days ago was uploaded", got)
	}
}

// TestARowThatIsTooOldIsNamed: SiteWise was away while a row became too old to be changed.
func TestARowThatIsTooOldIsNamed(t *testing.T) {
	t.Parallel()
	h := hubOf(t)
	h.record(10 * time.Hour)
	h.pass(2 * time.Minute)
	h.now = begin.Add(7*24*time.Hour + time.Hour)
	h.segments = h.segments[12*8:] // the first eight hours are deleted, of which one can be changed no more
	h.pass(2 * time.Minute)
	if got := h.conditions(); !slices.Equal(got, []string{CodeOld + "/" + stream}) || h.w.Status().Frozen == 0 {
		t.Errorf("conditions %v, %d frozen", got, h.w.Status().Frozen)
	}
	h.now = begin.Add(7*24*time.Hour + 12*time.Hour)
	h.segments = nil
	h.pass(2 * time.Minute)
	if got := h.conditions(); got != nil || h.w.Status().Frozen != 0 {
		t.Errorf("when they are over: conditions %v, %d frozen", got, h.w.Status().Frozen)
	}
}

// TestKinesisVideoStreamsDeletes: a row whose media the service has deleted becomes empty, and one of which something is left stays whole.
func TestKinesisVideoStreamsDeletes(t *testing.T) {
	t.Parallel()
	h := hubOf(t)
	h.kept = 2 * time.Hour
	for _, at := range []time.Duration{0, time.Hour, 2 * time.Hour} {
		h.now = begin.Add(at + 20*time.Minute)
		h.w.pass(context.Background())
		h.persist(begin.Add(at), begin.Add(at+10*time.Minute))
		h.persist(begin.Add(at+10*time.Minute), h.now)
	}
	h.pass(time.Minute)
	want := []string{"0 0.00", "3600 4800.26", "7200 8400.26"}
	h.now = begin.Add(3 * time.Hour)
	h.pass(time.Minute)
	if diff := cmp.Diff(want, h.rows("uploaded")); diff != "" {
		t.Error(diff)
	}
}

// TestUnknownReceipts: rows of an earlier run stay when no receipt is left of them.
func TestUnknownReceipts(t *testing.T) {
	t.Parallel()
	h := hubOf(t)
	h.persist(begin, begin.Add(time.Hour))
	h.persist(begin.Add(2*time.Hour), begin.Add(3*time.Hour))
	h.now = begin.Add(4 * time.Hour)
	h.pass(time.Minute)
	want := h.rows("uploaded")
	h.w.close()
	h.acked = slices.DeleteFunc(h.acked, func(r receipt.Receipt) bool { return r.Producer.Before(begin.Add(150 * time.Minute)) })
	h.start()
	h.pass(time.Minute)
	if diff := cmp.Diff(want, h.rows("uploaded")); diff != "" {
		t.Error(diff)
	}
	if n := h.cloud.twice(); n > 0 {
		t.Errorf("%d values were written twice", n)
	}
}

// TestGapsWithinSegments: the gaps that a segment has are gaps of its rows.
func TestGapsWithinSegments(t *testing.T) {
	t.Parallel()
	h := hubOf(t)
	h.record(2 * time.Minute)
	h.segments[0].Gaps = []segment.Gap{{From: begin.Add(30 * time.Second), To: begin.Add(40 * time.Second)}}
	h.pass(time.Minute)
	if diff := cmp.Diff([]string{"0 30.30", "40 120.26"}, h.rows("recorded")); diff != "" {
		t.Error(diff)
	}
}

// check compares what AWS's player shows with what exists, in views of several lengths.
func (h *hub) check(from, to time.Time) {
	h.t.Helper()
	var disk, cloud []shown
	for _, s := range h.segments {
		disk = append(disk, shown{s.StartTime(), s.End})
	}
	asked := []shown(nil) // what somebody asked for
	for _, r := range h.acked {
		cloud = append(cloud, shown{r.Producer, r.Producer.Add(r.Length)})
		if !h.trickle[r.Producer.UTC()] {
			asked = append(asked, cloud[len(cloud)-1])
		}
	}
	// Of the trickle only what is beside something else counts.
	asked = joined(asked, 0)
	cloud = slices.DeleteFunc(joined(cloud, 2*(fragment-frame)), func(s shown) bool {
		i, _ := slices.BinarySearchFunc(asked, s.from, func(one shown, at time.Time) int { return one.from.Compare(at) })
		return i == len(asked) || !asked[i].from.Before(s.to)
	})
	for _, d := range []time.Duration{to.Sub(from), to.Sub(from) / 3} {
		for at := from; at.Add(d).Compare(to) <= 0; at = at.Add(max(d/2, time.Second)) {
			h.same("uploaded", cloud, h.cloud.ranges("uploaded", at, at.Add(d), true), at, at.Add(d))
			if d == to.Sub(from) || at.Equal(from) {
				// Players carry no value of it forward, so that the view begins where no row can reach.
				h.same("cached", joined(disk, leastGap), h.cloud.ranges("cached", from.Add(-11*time.Minute), to, false), from, to)
			}
		}
	}
}

// joined are the stretches of ranges between which there is no gap.
func joined(list []shown, gap time.Duration) (all []shown) {
	slices.SortFunc(list, func(a, b shown) int { return a.from.Compare(b.from) })
	for _, s := range list {
		if n := len(all); n > 0 && s.from.Sub(all[n-1].to) <= gap {
			all[n-1].to = later(all[n-1].to, s.to)
		} else {
			all = append(all, s)
		}
	}
	return all
}

// same compares ranges, and forgives a second at their ends.
func (h *hub) same(what string, exists, shows []shown, from, to time.Time) {
	h.t.Helper()
	const step, slack = time.Second / 2, time.Second
	covers := func(list []shown) func(time.Time) bool {
		slices.SortFunc(list, func(a, b shown) int { return a.from.Compare(b.from) })
		return func(at time.Time) bool {
			i, found := slices.BinarySearchFunc(list, at, func(s shown, t time.Time) int { return s.from.Compare(t) })
			for i = min(i, len(list)-1); i >= 0; i-- {
				if !at.Before(list[i].from) && at.Before(list[i].to) {
					return true
				}
				if !found && at.Sub(list[i].from) > 25*time.Hour {
					break
				}
			}
			return false
		}
	}
	is, has := covers(exists), covers(shows)
	for at := from; at.Before(to); at = at.Add(max(step, to.Sub(from)/20_000)) {
		truth := is(at)
		if truth == has(at) || truth != is(at.Add(-slack)) || truth != is(at.Add(slack)) {
			continue
		}
		h.t.Fatalf("%s in the view from %s to %s: at %s exists is %t and shown is %t", what, from, to, at, truth, has(at))
	}
}
