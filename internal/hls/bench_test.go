package hls_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kvs-edge/kvs-edge-agent/internal/hls"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/filmed"
)

// indexed is how many segments the store of BenchmarkSeek has, and recorded how many of them hold media: there the seeks go.
const (
	indexed  = 138_000
	recorded = 200
)

// BenchmarkSeek measures what a player waits for at a seek: the playlists of 2 minutes from a time on, the description of the tracks, and
// the first media segment. The caches of the disk and of the player are empty, and the other segments are empty files.
func BenchmarkSeek(b *testing.B) {
	testtools.Need(b, "ffmpeg")
	dir := b.TempDir()
	film := filmed.Read(b, filmed.Encode(b, 60, h264+" -bf 0 -b:v 2M -minrate 2M"+aac))
	store, err := segment.Open(segment.Options{Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 1))
	const every = 5 * time.Minute
	slots := random.Perm(indexed)[:recorded]
	slices.Sort(slots)
	for _, slot := range slots {
		film.Record(b, store, "door", begin.Add(time.Duration(slot)*every), 10)
	}
	if err := store.Close(); err != nil {
		b.Fatal(err)
	}
	for slot, next := 0, 0; slot < indexed; slot++ {
		if next < len(slots) && slots[next] == slot {
			next++
			continue
		}
		id := layout.ID{Start: begin.Add(time.Duration(slot) * every).UnixMilli()}
		path := filepath.Join(dir, "door", layout.FinishedName(id, 60_000, layout.UploadedSuffix))
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	if store, err = segment.OpenReadOnly(segment.Options{Dir: dir}); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = store.Close() })
	var took, used []time.Duration
	for b.Loop() {
		b.StopTimer()
		slot := slots[random.IntN(len(slots))]
		from := begin.Add(time.Duration(slot)*every + time.Duration(random.IntN(50))*time.Second)
		dropCache(b, store, from)
		player := hls.New(store, time.Now)
		b.StartTimer()
		start, before := time.Now(), processor()
		firstPicture(b, player, hls.Span{Stream: "door", From: from, To: from.Add(2 * time.Minute)})
		took, used = append(took, time.Since(start)), append(used, processor()-before)
	}
	for _, list := range [][]time.Duration{took, used} {
		slices.Sort(list)
	}
	at := func(list []time.Duration, share int) float64 { return list[(len(list)-1)*share/100].Seconds() * 1000 }
	b.ReportMetric(at(took, 50), "p50-ms")
	b.ReportMetric(at(took, 95), "p95-ms")
	b.ReportMetric(at(used, 95), "p95-cpu-ms")
}

// firstPicture asks for what a player asks for until it shows a picture.
func firstPicture(b *testing.B, player *hls.Player, s hls.Span) {
	b.Helper()
	if _, err := player.Master(b.Context(), s); err != nil {
		b.Fatal(err)
	}
	playlist, err := player.Media(b.Context(), s)
	if err != nil {
		b.Fatal(err)
	}
	var name string
	var start, end int64
	for _, line := range slices.Backward(splitLines(string(playlist.Text))) {
		_, _ = fmt.Sscanf(line, hls.NamePart+"?end=%d&segment=%20s&start=%d", &end, &name, &start)
	}
	id, ok := layout.ParseID(name)
	if !ok {
		b.Fatalf("%q in\n%s", name, playlist.Text)
	}
	for _, of := range []func(context.Context) (*hls.Resource, error){
		func(ctx context.Context) (*hls.Resource, error) {
			return player.Init(ctx, hls.Span{Stream: s.Stream}, id, "")
		},
		func(ctx context.Context) (*hls.Resource, error) {
			return player.Part(ctx, hls.Span{Stream: s.Stream}, id, time.Duration(start)*time.Millisecond, time.Duration(end)*time.Millisecond)
		},
	} {
		m, err := of(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if n, err := m.WriteTo(discard{}); err != nil || n != m.Size || n < 500 {
			b.Fatal(n, err)
		}
		_ = m.Close()
	}
}

// discard takes what is written.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// dropCache has the kernel forget the file that was recorded at a time.
func dropCache(b *testing.B, store *segment.Store, at time.Time) {
	b.Helper()
	for _, info := range store.Segments("door", at, at.Add(time.Second)) {
		f, err := os.Open(store.Path(info.Key))
		if err != nil {
			b.Fatal(err)
		}
		if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
			b.Fatal(err)
		}
		_ = f.Close()
	}
}

// processor is how much of the processor this program has used.
func processor() time.Duration {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
