package retention

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// BenchmarkPass shows that a pass costs what it deletes, ten segments here, and not what exists.
func BenchmarkPass(b *testing.B) {
	const deleted = 10
	for _, n := range []int{1_000, 10_000, 138_000, 1_000_000} {
		policies := []Policy{{MaxAge: time.Duration(n) * time.Minute}, {DeleteAfterUpload: true}}
		for i, name := range []string{"age", "upload"} {
			policy := policies[i]
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				dir := b.TempDir()
				fill(b, filepath.Join(dir, "door"), n)
				store, err := segment.Open(segment.Options{Dir: dir})
				if err != nil {
					b.Fatal(err)
				}
				defer func() { _ = store.Close() }()
				now := begin.Add(time.Duration(n) * time.Minute)
				registry := health.NewRegistry(time.Now)
				k := New(Options{
					Store: store, Health: registry, Now: func() time.Time { return now },
					MinFree: func(uint64) uint64 { return 0 }, Uptime: func() time.Duration { return now.Sub(begin) },
				})
				k.SetPolicy("door", policy)
				k.pass(b.Context())
				count := registry.Component("door", health.JobRetention).Counter(health.SegmentsDeleted)
				for b.Loop() {
					b.StopTimer()
					for range deleted {
						now = now.Add(time.Minute)
						record(b, store, now, policy.DeleteAfterUpload)
					}
					before := count.Load()
					b.StartTimer()
					k.pass(b.Context())
					if got := count.Load() - before; got != deleted {
						b.Fatalf("%d deleted", got)
					}
				}
			})
		}
	}
}

// fill makes n sealed segments of a minute.
func fill(b *testing.B, dir string, n int) {
	b.Helper()
	if err := os.Mkdir(dir, 0o750); err != nil {
		b.Fatal(err)
	}
	for i := range n {
		name := begin.Add(time.Duration(i)*time.Minute).Format("20060102T150405.000Z") + "+59000.sealed.mkv"
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			b.Fatal(err)
		}
		_ = f.Close()
	}
}

// record adds a segment.
func record(b *testing.B, store *segment.Store, at time.Time, uploaded bool) {
	b.Helper()
	w, err := store.Create("door", mkv.Header{Start: at, Tracks: []mkv.Track{{Number: 1, Kind: mkv.Video, CodecID: mkv.CodecAVC}}})
	if err != nil {
		b.Fatal(err)
	}
	err = errors.Join(w.BeginFragment(0, true), w.WriteFrame(1, 0, true, [][]byte{{1}}))
	f, endErr := w.EndFragment()
	err = errors.Join(err, endErr, w.Seal())
	if err == nil && uploaded {
		err = errors.Join(store.MarkPersisted(w.Key(), f), store.MarkUploaded(w.Key()))
	}
	if err != nil {
		b.Fatal(err)
	}
}
