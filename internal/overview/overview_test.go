package overview_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/overview"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

var begin = time.Date(2026, 11, 21, 4, 20, 48, 123e6, time.UTC)

// kept is a recording of the test, as the name of its file says.
type kept struct {
	from, length int64 // ms
	suffix       string
}

// store is a read-only store of one stream with these recordings, whose files are empty.
func store(tb testing.TB, list []kept) *segment.Store {
	tb.Helper()
	dir := tb.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "door"), 0o750); err != nil {
		tb.Fatal(err)
	}
	for _, k := range list {
		name := layout.FinishedName(layout.ID{Start: k.from}, k.length, k.suffix)
		f, err := os.OpenFile(filepath.Join(dir, "door", name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			tb.Fatal(err)
		}
		_ = f.Close()
	}
	s, err := segment.OpenReadOnly(segment.Options{Dir: dir})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

// TestTheColumnsAreThoseOfEachMillisecond compares random recordings with a count of each millisecond.
func TestTheColumnsAreThoseOfEachMillisecond(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 1))
		var list []kept
		at := begin.UnixMilli()
		for range 1 + random.IntN(40) {
			at += 41 + random.Int64N(5000)
			k := kept{at, random.Int64N(20_000), []string{layout.SealedSuffix, layout.UploadedSuffix}[random.IntN(2)]}
			list = append(list, k)
			at += k.length
		}
		s := store(t, list)
		from := begin.Add(time.Duration(random.IntN(100_000)-20_000) * time.Millisecond)
		to := from.Add(time.Duration(1+random.IntN(300_000)) * time.Millisecond)
		columns := 1 + random.IntN(300)
		got, err := overview.Of(t.Context(), s, overview.Request{Stream: "door", From: from, To: to, Columns: columns}, begin)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Recorded) > columns || int64(len(got.Recorded))*got.ColumnMS < to.Sub(from).Milliseconds() {
			t.Fatalf("%d columns of %d ms for %v", len(got.Recorded), got.ColumnMS, to.Sub(from))
		}
		recorded, uploaded := make([]int, len(got.Recorded)), make([]int, len(got.Recorded))
		for _, k := range list {
			for ms := max(k.from, from.UnixMilli()); ms < min(k.from+k.length+40, to.UnixMilli()); ms++ {
				i := (ms - from.UnixMilli()) / got.ColumnMS
				recorded[i]++
				if k.suffix == layout.UploadedSuffix {
					uploaded[i]++
				}
			}
		}
		for i := range recorded {
			for what, pair := range map[string][2]int{"recorded": {got.Recorded[i], recorded[i]}, "uploaded": {got.Uploaded[i], uploaded[i]}} {
				want := pair[1] * 100 / int(got.ColumnMS)
				if want == 0 && pair[1] > 0 {
					want = 1
				}
				if pair[0] != want {
					t.Fatalf("seed %d, column %d: %d %% %s, want %d %%", seed, i, pair[0], what, want)
				}
			}
		}
		var gaps []overview.Gap
		for i := 1; i < len(list); i++ {
			a, b := time.UnixMilli(list[i-1].from+list[i-1].length).UTC(), time.UnixMilli(list[i].from).UTC()
			if a.Before(from) {
				a = from
			}
			if b.After(to) {
				b = to
			}
			// One that ends outside is not seen by what is in the range.
			if in := list[i].from < to.UnixMilli() && list[i].from+list[i].length >= from.UnixMilli(); in && b.Sub(a) > segment.GapAfter {
				gaps = append(gaps, overview.Gap{From: a, To: b})
			}
		}
		if fmt.Sprint(gaps) != fmt.Sprint(append([]overview.Gap(nil), got.Gaps...)) {
			t.Fatalf("seed %d: gaps %v, want %v", seed, got.Gaps, gaps)
		}
	}
}

// TestWhatIsWrittenUploadedAndHeld of a store that records.
func TestWhatIsWrittenUploadedAndHeld(t *testing.T) {
	t.Parallel()
	s, err := segment.Open(segment.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	write := func(start time.Time, seconds ...int) *segment.Writer {
		w, err := s.Create("door", mkv.Header{Start: start, Title: "door", Tracks: []mkv.Track{{Number: 1, Kind: mkv.Video, CodecID: mkv.CodecAVC,
			CodecPrivate: []byte{1, 2, 3}, Width: 16, Height: 16}}})
		for _, at := range seconds {
			if err == nil {
				err = w.BeginFragment(time.Duration(at)*time.Second, true)
			}
			for i := range 25 {
				if err == nil {
					frame := time.Duration(at)*time.Second + time.Duration(i)*40*time.Millisecond
					err = w.WriteFrame(1, frame, i == 0, [][]byte{bytes.Repeat([]byte{1}, 100)})
				}
			}
			if err == nil {
				_, err = w.EndFragment()
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	first := write(begin, 0, 1, 2, 3, 6, 7, 8, 9) // a gap from 3.96 to 6 s
	if err := first.Seal(); err != nil {
		t.Fatal(err)
	}
	r, err := s.OpenSegment(first.Key())
	if err != nil {
		t.Fatal(err)
	}
	fragments, _, _ := r.Fragments()
	for _, f := range fragments[:4] {
		if err := s.MarkPersisted(first.Key(), f); err != nil {
			t.Fatal(err)
		}
	}
	_ = r.Close()
	w := write(begin.Add(10*time.Second), 0, 1)
	defer func() { _ = w.Seal() }()
	got, err := overview.Of(t.Context(), s, overview.Request{Stream: "door", From: begin, To: begin.Add(20 * time.Second), Columns: 10}, begin)
	if err != nil {
		t.Fatal(err)
	}
	if want := "[100 100 0 100 100 100 0 0 0 0]"; fmt.Sprint(got.Recorded) != want {
		t.Errorf("recorded %v, want %s", got.Recorded, want)
	}
	for i, n := range got.Uploaded { // half of the bytes, spread over the segment
		if want := []int{50, 50, 0, 50, 50, 0, 0, 0, 0, 0}[i]; n > want+3 || n < want-8 {
			t.Errorf("uploaded %v", got.Uploaded)
		}
	}
	if len(got.Gaps) != 1 || !got.Gaps[0].From.Equal(begin.Add(3960*time.Millisecond)) || !got.Gaps[0].To.Equal(begin.Add(6*time.Second)) {
		t.Errorf("gaps %v", got.Gaps)
	}
	if got.Held != nil || got.Refused != nil || got.Epochs != nil {
		t.Errorf("%+v", got)
	}
}

// many are the recordings of 480 days of one camera, in each 100th of which nothing was recorded for 10 minutes.
func many() (list []kept) {
	at := begin.UnixMilli()
	for i := range 138_000 {
		suffix := layout.UploadedSuffix
		if i%3 == 0 {
			suffix = layout.SealedSuffix
		}
		list = append(list, kept{at, 299_960, suffix})
		if at += 300_000; i%100 == 0 {
			at += 600_000
		}
	}
	return list
}

// TestAnOverviewOfMuchIsSmall: at most 100 kB, also with as many columns and gaps as there may be.
func TestAnOverviewOfMuchIsSmall(t *testing.T) {
	t.Parallel()
	s := store(t, many()[:30_000])
	got, err := overview.Of(t.Context(), s, overview.Request{Stream: "door", Columns: overview.MaxColumns}, begin.AddDate(0, 3, 0))
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(got)
	if err != nil || len(data) > 100_000 || len(got.Gaps) != overview.MaxGaps || got.MoreGaps == 0 {
		t.Errorf("%d bytes, %d gaps and %d more: %v", len(data), len(got.Gaps), got.MoreGaps, err)
	}
}

// cpu is how much of the processor this program has used, in ms.
func cpu() float64 {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return float64(r.Utime.Nano()+r.Stime.Nano()) / 1e6
}

func BenchmarkOverview(b *testing.B) {
	s := store(b, many())
	for _, days := range []int{1, 30, 480} {
		b.Run(fmt.Sprint(days, " days"), func(b *testing.B) {
			to := begin.AddDate(0, 0, 490)
			before, n := cpu(), 0
			for b.Loop() {
				n++
				if _, err := overview.Of(b.Context(), s, overview.Request{Stream: "door", From: to.AddDate(0, 0, -days-10), To: to,
					Columns: overview.MaxColumns}, to); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric((cpu()-before)/float64(n), "cpu-ms/op") // on a busy machine too
		})
	}
}
