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
		st := &stream{name: fmt.Sprintf("camera-%02d", camera)}
		st.dir = filepath.Join(dir, st.name)
		if err := os.Mkdir(st.dir, 0o750); err != nil {
			tb.Fatal(err)
		}
		for i := range (n + benchCameras - 1 - camera) / benchCameras {
			e := entry{id: id{start: begin.Add(time.Duration(i) * segmentEvery).UnixMilli()}, length: 299_960, state: Uploaded}
			if i%3 == 0 {
				e.state = Sealed
			}
			f, err := os.OpenFile(filepath.Join(st.dir, e.name()), os.O_CREATE|os.O_EXCL, 0o600)
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

func TestAnIndexStaysSmall(t *testing.T) {
	t.Parallel()
	const n = 100_000
	var x index
	for i := range n {
		x.insert(entry{id: id{start: int64(i) * 300_000}, length: 299_960, state: Uploaded})
	}
	if held := cap(x.entries) * 32; held > 100*n {
		t.Errorf("%d bytes for a segment, want at most 100", held/n)
	}
}

// The sums and the shortcuts of an index must be what counting finds, whatever happened to it.
func TestAnIndexAgreesWithCounting(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	var x index
	for range 20_000 {
		switch n := len(x.entries); {
		case n == 0 || random.IntN(3) == 0 && n < 60:
			e := entry{id: someID(random), bytes: random.Int64N(100), length: uint32(random.IntN(10)), state: State(random.IntN(3))}
			e.refused = e.state == Uploaded && random.IntN(2) == 0
			if _, there := x.find(e.id); !there {
				x.insert(e)
			}
		case random.IntN(2) == 0:
			x.remove(random.IntN(n))
		default:
			i := random.IntN(n)
			e := x.entries[i]
			e.state, e.refused = State(random.IntN(3)), false
			x.replace(i, e)
		}
		checkIndex(t, &x, someID(random))
		if t.Failed() {
			return
		}
	}
}

func someID(random *rand.Rand) id {
	return id{start: int64(random.IntN(1000)) * 10, epoch: uint32(random.IntN(3))}
}

func checkIndex(t *testing.T, x *index, from id) {
	t.Helper()
	if !slices.IsSortedFunc(x.entries, func(a, b entry) int { return a.compare(b.id) }) {
		t.Error("the index is not in order")
	}
	var bytes, pendingBytes, pendingMillis int64
	var counts [kinds]int
	for _, e := range x.entries {
		bytes += e.bytes
		counts[e.kind()]++
		if e.pends() {
			pendingBytes += e.bytes
			pendingMillis += int64(e.length)
		}
	}
	if bytes != x.bytes || pendingBytes != x.pendingBytes || pendingMillis != x.pendingMillis {
		t.Errorf("the sums are %d %d %d, want %d %d %d", x.bytes, x.pendingBytes, x.pendingMillis, bytes, pendingBytes, pendingMillis)
	}
	for k := range kinds {
		want := slices.IndexFunc(x.entries, func(e entry) bool { return e.kind() == k && !e.before(from) })
		got, ok := x.next(k, from)
		if ok != (want >= 0) || ok && got != want || counts[k] != x.kinds[k].count {
			t.Errorf("next of kind %d from %s is %d %v, want %d", k, from, got, ok, want)
		}
		if from.start%7 == 0 { // so that the shortcut moves as well
			x.next(k, first)
		}
	}
}

// onlyIndexed is a store of one stream with such segments, without files.
func onlyIndexed(entries ...entry) *Store {
	s := newStore(Options{})
	st := s.stream("camera")
	for _, e := range entries {
		st.index.insert(e)
	}
	return s
}

func TestNextPendingAgreesWithLookingAtAll(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(5, 6))
	for range 2_000 {
		var entries []entry
		for k := (id{}); len(entries) < random.IntN(30); k.start += 10 {
			if random.IntN(10) == 0 {
				k = id{epoch: k.epoch + 1, start: random.Int64N(100)}
			}
			entries = append(entries, entry{id: k, length: uint32(random.IntN(10)), state: State(random.IntN(3))})
		}
		s := onlyIndexed(entries...)
		after := id{start: random.Int64N(320) - 10, epoch: uint32(random.IntN(3))}
		from := time.UnixMilli(random.Int64N(320) - 10)
		want := slices.IndexFunc(entries, func(e entry) bool { return e.state != Uploaded && after.before(e.id) && e.end() >= from.UnixMilli() })
		got, ok := s.NextPending(Key{Stream: "camera", Epoch: after.epoch, Start: after.start}, from, time.Time{})
		if ok != (want >= 0) || ok && got != (Key{Stream: "camera", Epoch: entries[want].epoch, Start: entries[want].start}) {
			t.Fatalf("after %s from %s it gives %v %v, want number %d of %v", after, from, got, ok, want, entries)
		}
	}
	if _, ok := onlyIndexed().NextPending(Before("nobody"), time.Time{}, time.Time{}); ok {
		t.Error("a stream that does not exist has something pending")
	}
}

// The worst case: a year of media is uploaded, and what is pending comes last.
func BenchmarkNextPending(b *testing.B) {
	sizes(b, func(b *testing.B, n int) {
		entries := make([]entry, n)
		for i := range entries {
			entries[i] = entry{id: id{start: int64(i) * 300_000}, length: 299_960, state: Uploaded}
		}
		entries[n-1].state = Sealed
		s := onlyIndexed(entries...)
		for b.Loop() {
			if key, ok := s.NextPending(Before("camera"), time.Time{}, time.Time{}); !ok || key.Start != entries[n-1].start {
				b.Fatal("nothing found")
			}
		}
	})
}

// A hundred epochs, each of which is followed by one whose times overlap with it.
func BenchmarkQueryOfEpochs(b *testing.B) {
	sizes(b, func(b *testing.B, n int) {
		const epochs = 100
		var entries []entry
		var notes []clockNote
		at := begin
		for epoch := range uint32(epochs) {
			if epoch > 0 {
				notes = append(notes, clockNote{Epoch: epoch, Begin: at.UnixMilli()})
			}
			notes = append(notes, clockNote{Epoch: epoch, From: at.Add(2 * time.Hour).UnixMilli(), AddMS: -2 * time.Hour.Milliseconds(), Ahead: true})
			for range n / epochs {
				entries = append(entries, entry{id: id{start: at.Add(2 * time.Hour).UnixMilli(), epoch: epoch}, length: 299_960, state: Uploaded})
				at = at.Add(segmentEvery)
			}
		}
		s := onlyIndexed(entries...)
		s.streams["camera"].setClock(notes)
		random := rand.New(rand.NewPCG(1, 1))
		for b.Loop() {
			from := begin.Add(time.Duration(random.IntN(len(entries))) * segmentEvery)
			if list := s.Segments("camera", from, from.Add(time.Minute)); len(list) == 0 || len(list) > 2 {
				b.Fatalf("%d found", len(list))
			}
		}
	})
}
