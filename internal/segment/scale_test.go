package segment

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment/catalog"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/streams"
)

// benchCameras is how many streams share the segments of a benchmark.
const benchCameras = 16

// segmentEvery is the distance of segments in these tests.
const segmentEvery = 5 * time.Minute

// populate makes a directory as 16 cameras leave it, with n segments of 5 minutes. The files are
// empty: an index reads names and sizes only.
func populate(tb testing.TB, dir string, n int) {
	tb.Helper()
	for camera := range benchCameras {
		st := &streams.Stream{Name: fmt.Sprintf("camera-%02d", camera)}
		st.Dir = filepath.Join(dir, st.Name)
		if err := os.Mkdir(st.Dir, 0o750); err != nil {
			tb.Fatal(err)
		}
		for i := range (n + benchCameras - 1 - camera) / benchCameras {
			e := catalog.Entry{ID: layout.ID{Start: begin.Add(time.Duration(i) * segmentEvery).UnixMilli()}, Length: 299_960, State: Uploaded}
			if i%3 == 0 {
				e.State = Sealed
			}
			f, err := os.OpenFile(filepath.Join(st.Dir, e.Name()), os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				tb.Fatal(err)
			}
			_ = f.Close()
		}
	}
}

// populated keeps one directory for each size, for all benchmarks.
var populated struct {
	sync.Mutex
	dirs map[int]string
}

func benchDirectory(b *testing.B, n int) string {
	b.Helper()
	populated.Lock()
	defer populated.Unlock()
	if dir, ok := populated.dirs[n]; ok {
		return dir
	}
	dir, err := os.MkdirTemp("", "segments")
	if err != nil {
		b.Fatal(err)
	}
	populate(b, dir, n)
	if populated.dirs == nil {
		populated.dirs = make(map[int]string)
	}
	populated.dirs[n] = dir
	return dir
}

func removePopulated() {
	for _, dir := range populated.dirs {
		_ = os.RemoveAll(dir)
	}
}

var benchSizes = []int{1_000, 10_000, 138_000, 1_000_000}

func sizes(b *testing.B, bench func(b *testing.B, n int)) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) { bench(b, n) })
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func BenchmarkIndex(b *testing.B) {
	sizes(b, func(b *testing.B, n int) {
		dir := benchDirectory(b, n)
		before := heap()
		var s *Store
		for b.Loop() {
			var err error
			if s, err = OpenReadOnly(Options{Dir: dir}); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(heap()-before)/float64(n), "held-B/segment")
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/segment")
		runtime.KeepAlive(s)
	})
}

func BenchmarkQuery(b *testing.B) {
	sizes(b, func(b *testing.B, n int) {
		s, err := OpenReadOnly(Options{Dir: benchDirectory(b, n)})
		if err != nil {
			b.Fatal(err)
		}
		random := rand.New(rand.NewPCG(1, 1))
		perStream := n / benchCameras
		for b.Loop() {
			at := begin.Add(time.Duration(random.IntN(perStream)) * segmentEvery)
			if list := s.Segments("camera-03", at, at.Add(time.Minute)); len(list) == 0 {
				b.Fatal("nothing found")
			}
		}
	})
}

func BenchmarkUsage(b *testing.B) {
	sizes(b, func(b *testing.B, n int) {
		s, err := OpenReadOnly(Options{Dir: benchDirectory(b, n)})
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if s.Usage("camera-03").Segments == 0 {
				b.Fatal("nothing found")
			}
		}
	})
}

// onlyIndexed is a store of one stream with such segments, without files.
func onlyIndexed(entries ...catalog.Entry) *Store {
	s := newStore(Options{})
	st := s.stream("camera")
	for _, e := range entries {
		st.Catalog.Insert(e)
	}
	return s
}

func TestNextPendingAgreesWithLookingAtAll(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(5, 6))
	for range 2_000 {
		var entries []catalog.Entry
		for k := (layout.ID{}); len(entries) < random.IntN(30); k.Start += 10 {
			if random.IntN(10) == 0 {
				k = layout.ID{Epoch: k.Epoch + 1, Start: random.Int64N(100)}
			}
			entries = append(entries, catalog.Entry{ID: k, Length: uint32(random.IntN(10)), State: State(random.IntN(3))})
		}
		s := onlyIndexed(entries...)
		after := layout.ID{Start: random.Int64N(320) - 10, Epoch: uint32(random.IntN(3))}
		from := time.UnixMilli(random.Int64N(320) - 10)
		want := slices.IndexFunc(entries, func(e catalog.Entry) bool {
			return e.State != Uploaded && after.Before(e.ID) && e.End() >= from.UnixMilli()
		})
		got, ok := s.NextPending(Key{Stream: "camera", Epoch: after.Epoch, Start: after.Start}, from, time.Time{})
		if ok != (want >= 0) || ok && got != (Key{Stream: "camera", Epoch: entries[want].Epoch, Start: entries[want].Start}) {
			t.Fatalf("after %s from %s it returns %v %v, want number %d of %v", after, from, got, ok, want, entries)
		}
	}
	if _, ok := onlyIndexed().NextPending(Before("nobody"), time.Time{}, time.Time{}); ok {
		t.Error("a stream that does not exist has something pending")
	}
}

// The worst case: a year of media is uploaded, and what is pending comes last.
func BenchmarkNextPending(b *testing.B) {
	sizes(b, func(b *testing.B, n int) {
		entries := make([]catalog.Entry, n)
		for i := range entries {
			entries[i] = catalog.Entry{ID: layout.ID{Start: int64(i) * 300_000}, Length: 299_960, State: Uploaded}
		}
		entries[n-1].State = Sealed
		s := onlyIndexed(entries...)
		for b.Loop() {
			if key, ok := s.NextPending(Before("camera"), time.Time{}, time.Time{}); !ok || key.Start != entries[n-1].Start {
				b.Fatal("nothing found")
			}
		}
	})
}

// A hundred epochs, each of which is followed by one whose times overlap with it.
func BenchmarkQueryOfEpochs(b *testing.B) {
	sizes(b, func(b *testing.B, n int) {
		const epochs = 100
		var entries []catalog.Entry
		var notes []layout.ClockNote
		at := begin
		for epoch := range uint32(epochs) {
			if epoch > 0 {
				notes = append(notes, layout.ClockNote{Epoch: epoch, Begin: at.UnixMilli()})
			}
			notes = append(
				notes,
				layout.ClockNote{Epoch: epoch, From: at.Add(2 * time.Hour).UnixMilli(), AddMS: -2 * time.Hour.Milliseconds(), Ahead: true},
			)
			for range n / epochs {
				entries = append(
					entries,
					catalog.Entry{ID: layout.ID{Start: at.Add(2 * time.Hour).UnixMilli(), Epoch: epoch}, Length: 299_960, State: Uploaded},
				)
				at = at.Add(segmentEvery)
			}
		}
		s := onlyIndexed(entries...)
		s.streams["camera"].Catalog.SetClock(notes)
		random := rand.New(rand.NewPCG(1, 1))
		for b.Loop() {
			from := begin.Add(time.Duration(random.IntN(len(entries))) * segmentEvery)
			if list := s.Segments("camera", from, from.Add(time.Minute)); len(list) == 0 || len(list) > 2 {
				b.Fatalf("%d found", len(list))
			}
		}
	})
}
