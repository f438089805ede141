package uploader

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/cost"
	localkvs "github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
	"github.com/kvs-edge/kvs-edge-agent/internal/tally"
	"github.com/kvs-edge/kvs-edge-agent/internal/usage"
)

const (
	billDay       = 24 * time.Hour
	billRetention = 168 // hours
)

// recordDay records a day in segments of 5 minutes and fragments of 10 s, with a frame a second.
func (w *rig) recordDay() {
	w.t.Helper()
	end := w.next.Add(billDay)
	for w.next.Before(end) {
		writer := w.create(640)
		for range 30 {
			at := w.next.Sub(time.UnixMilli(writer.Key().Start))
			must(w.t, writer.BeginFragment(at, true))
			for i := range 10 {
				nal := bytes.Repeat([]byte{byte(i)}, 1000)
				if nal[0] = 0x41; i == 0 {
					nal[0] = 0x65
				}
				must(w.t, writer.WriteFrame(1, at+time.Duration(i)*time.Second, i == 0, [][]byte{nal}))
			}
			_, err := writer.EndFragment()
			must(w.t, err)
			w.next = w.next.Add(10 * time.Second)
		}
		must(w.t, writer.Seal())
	}
}

// billOf is what the service charges for what it has, had the stream always been in a tier, after a month.
func (w *rig) billOf(tier string) localkvs.Bill {
	w.t.Helper()
	var streams localkvs.Streams
	must(w.t, json.Unmarshal(fmt.Appendf(nil,
		`{"door":{"name":"door","retention_hours":%d,"tiers":[{"tier":%q,"since":"2000-01-01T00:00:00Z"}]}}`, billRetention, tier), &streams))
	bill, err := streams.Bill(door, w.service.Fragments(door), time.Now().Add(31*billDay))
	must(w.t, err)
	return bill
}

// byHand reads a table of numbers with their names.
func byHand(t *testing.T, path string) map[string]float64 {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	table := make(map[string]float64)
	for _, line := range strings.Split(string(text), "\n") {
		var name string
		var value float64
		if _, err := fmt.Sscan(line, &name, &value); err == nil && !strings.HasPrefix(line, "#") {
			table[name] = value
		}
	}
	return table
}

// TestTheBillOfADay uploads a day, and reckons a month from it: while it waits, when it is uploaded, and when it is deleted.
// The service's own bill, and a table that was computed by hand, say the same within 1 %.
func TestTheBillOfADay(t *testing.T) {
	t.Parallel()
	w := newRig(t, billRetention, roomy)
	w.next = begin.Truncate(billDay)
	from := w.next
	w.recordDay()
	counted := tally.Open(tally.Options{Dir: statefile.At(filepath.Join(t.TempDir(), "state"), atomicfile.OS{}), Now: w.time})
	hand := byHand(t, "testdata/bill-of-a-day.txt")
	reckon := func(when string) {
		t.Helper()
		u, err := usage.Source{Store: w.store.Store, Counted: counted}.Of(t.Context(), door, from, from.Add(billDay))
		must(t, err)
		e := cost.Of(cost.Usage{
			Span: u.To.Sub(u.From), Media: time.Duration(u.MediaSeconds * float64(time.Second)), Bytes: u.Bytes,
			Fragments: u.Fragments, Calls: u.Calls,
		}, billRetention*time.Hour, cost.Embedded())
		got := map[string]float64{
			"gb": e.GB, "fragments": e.Fragments, "HOT-ingest": e.Bill.Hot.Ingest, "HOT-storage": e.Bill.Hot.Storage,
			"WARM-ingest": e.Bill.Warm.Ingest, "WARM-storage": e.Bill.Warm.Storage,
		}
		same(t, when+", by hand", got, hand)
		for _, l := range e.Lengths {
			if l.Seconds == 10 && !l.Present {
				same(t, when+", as another length", map[string]float64{"WARM-ingest": l.Warm.Ingest}, map[string]float64{"WARM-ingest": 2.592})
			}
		}
		if waiting := when == "waiting"; waiting != (u.WaitingFragments == u.Fragments) || !waiting && u.WaitingFragments > 0 {
			t.Errorf("%s: %d of %d fragments wait", when, u.WaitingFragments, u.Fragments)
		}
		if when == "waiting" {
			return
		}
		if u.Calls < 1 || int(u.Calls) != w.service.Stats(door).Sessions {
			t.Errorf("%s: %d calls are counted, the service had %d", when, u.Calls, w.service.Stats(door).Sessions)
		}
		hot, warm := w.billOf(localkvs.TierHot), w.billOf(localkvs.TierWarm)
		const days = 30
		same(t, when+", by the service", got, map[string]float64{
			"gb": float64(hot.Bytes) / (1 << 30) * days, "fragments": float64(warm.Fragments) * days,
			"HOT-ingest": hot.Hot.Ingestion * days, "HOT-storage": hot.Hot.Storage * days,
			"WARM-ingest": warm.Warm.Ingestion * days, "WARM-storage": warm.Warm.Storage * days,
		})
	}
	reckon("waiting")
	must(t, w.uploader(func(o *Options) { o.Counted = counted.Stream(door) }).Drain(t.Context())) // as long as it takes
	reckon("uploaded")
	must(t, w.store.DeleteStream(t.Context(), door))
	reckon("deleted")
}

// time is that of the day's media, to which calls are counted.
func (w *rig) time() time.Time { return begin }

// same compares numbers within 1 %.
func same(t *testing.T, what string, got, want map[string]float64) {
	t.Helper()
	if len(want) == 0 {
		t.Errorf("%s: there is nothing to compare with", what)
	}
	for name, value := range want {
		if math.Abs(got[name]-value) > 0.01*value {
			t.Errorf("%s: %s is %f, want %f", what, name, got[name], value)
		}
	}
}

// TestWhatTheServiceReceivesTwiceIsCountedTwice: when connections break after fragments were stored, they are sent again, and
// both are charged. What it refuses is not.
func TestWhatTheServiceReceivesTwiceIsCountedTwice(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		fault   media.Fault
		stored  int // at least, of which some are repeated
		refused int
	}{
		"breaks, persisted": {media.ResetAt(media.AfterStored).Skip(3).Times(2), 32, 0},
		"silence":           {media.BlackHoleAt(media.AfterStored).Skip(3).Times(2), 32, 0},
		"breaks, torn":      {media.ResetAt(media.MidFragment).Skip(3).Times(2), 30, 0},
		"refused":           {media.ErrorAt(media.AtFragmentStart, 4006).Of(begin.Add(10 * time.Second).UnixMilli()), 29, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newRig(t, billRetention, roomy)
			w.record(3, 10)
			w.service.Faults().Inject(door, row.fault)
			counted := tally.Open(tally.Options{Dir: statefile.At(filepath.Join(t.TempDir(), "state"), atomicfile.OS{}), Now: w.time})
			w.drain(w.uploader(func(o *Options) { o.Counted, o.StallTimeout = counted.Stream(door), 400*time.Millisecond }))
			days, _ := counted.Days(door)
			day, stored := days[begin.Format(time.DateOnly)], w.service.Fragments(door)
			var bytes int64
			for _, f := range stored {
				bytes += f.Bytes
			}
			if len(stored) < row.stored || w.refused() != row.refused {
				t.Errorf("%d are stored, and %d refused: the test does not do what it is for", len(stored), w.refused())
			}
			if day.Fragments != int64(len(stored)) || day.Bytes != bytes {
				t.Errorf("%d fragments of %d bytes are counted; the service has %d of %d", day.Fragments, day.Bytes, len(stored), bytes)
			}
		})
	}
}
