package usage_test

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
	"github.com/kvs-edge/kvs-edge-agent/internal/tally"
	"github.com/kvs-edge/kvs-edge-agent/internal/usage"
)

const day = 24 * time.Hour

var midnight = time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func openStore(t *testing.T) *segment.Store {
	t.Helper()
	store, err := segment.Open(segment.Options{Dir: t.TempDir()})
	must(t, err)
	t.Cleanup(func() { must(t, store.Close()) })
	return store
}

// record writes a sealed segment of fragments of a length, with a frame each half second.
func record(t *testing.T, store *segment.Store, at time.Time, fragments int, length time.Duration) segment.Key {
	t.Helper()
	w, err := store.Create("door", mkv.Header{Start: at, Title: "door", Tracks: []mkv.Track{
		{Number: 1, Kind: mkv.Video, CodecID: mkv.CodecAVC, CodecPrivate: []byte("sps"), Width: 16, Height: 16},
	}})
	must(t, err)
	for i := range fragments {
		start := time.Duration(i) * length
		must(t, w.BeginFragment(start, true))
		for frame := time.Duration(0); frame < length; frame += 500 * time.Millisecond {
			must(t, w.WriteFrame(1, start+frame, frame == 0, [][]byte{make([]byte, 200)}))
		}
		_, err := w.EndFragment()
		must(t, err)
	}
	must(t, w.Seal())
	return w.Key()
}

// upload marks the first n fragments of a segment as persisted and, when those are all, the segment as uploaded.
func upload(t *testing.T, store *segment.Store, k segment.Key, n int) (list []mkv.Fragment) {
	t.Helper()
	r, err := store.OpenSegment(k)
	must(t, err)
	list, _, err = r.Fragments()
	must(t, errors.Join(err, r.Close()))
	for _, f := range list[:n] {
		must(t, store.MarkPersisted(k, f))
	}
	if n == len(list) {
		must(t, store.MarkUploaded(k))
	}
	return list[:n]
}

func newTally(t *testing.T) *tally.Tally {
	t.Helper()
	return tally.Open(tally.Options{
		Dir: statefile.At(filepath.Join(t.TempDir(), "state"), atomicfile.OS{}), Now: func() time.Time { return midnight.Add(day) },
	})
}

func count(counted *tally.Tally, k segment.Key, list []mkv.Fragment) {
	for _, f := range list {
		counted.Stream("door").Persisted(k.StartTime().Add(f.Start), k.StartTime().Add(f.Last), f.Size)
	}
}

func of(t *testing.T, store *segment.Store, counted usage.Counted, days int) usage.Stream {
	t.Helper()
	u, err := usage.Of(t.Context(), store, counted, "door", midnight, midnight.Add(time.Duration(days)*day))
	must(t, err)
	return u
}

// TestWhatIsCountedAndWhatWaits are added, whatever became of the recordings and of the count.
func TestWhatIsCountedAndWhatWaits(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		prepare            func(t *testing.T, store *segment.Store, counted *tally.Tally)
		fragments, waiting int64
		seconds            float64
	}{
		"nothing": {func(*testing.T, *segment.Store, *tally.Tally) {}, 0, 0, 0},
		"never uploaded": {func(t *testing.T, store *segment.Store, _ *tally.Tally) {
			record(t, store, midnight.Add(time.Hour), 10, 2*time.Second)
		}, 10, 10, 20},
		"uploaded and counted": {func(t *testing.T, store *segment.Store, counted *tally.Tally) {
			k := record(t, store, midnight.Add(time.Hour), 10, 2*time.Second)
			count(counted, k, upload(t, store, k, 10))
		}, 10, 0, 20},
		"uploaded in part": {func(t *testing.T, store *segment.Store, counted *tally.Tally) {
			k := record(t, store, midnight.Add(time.Hour), 10, 2*time.Second)
			count(counted, k, upload(t, store, k, 4))
		}, 10, 6, 20},
		"uploaded and deleted": {func(t *testing.T, store *segment.Store, counted *tally.Tally) {
			k := record(t, store, midnight.Add(time.Hour), 10, 2*time.Second)
			count(counted, k, upload(t, store, k, 10))
			must(t, store.Delete(k))
		}, 10, 0, 20},
		"uploaded by an earlier version": {func(t *testing.T, store *segment.Store, _ *tally.Tally) {
			upload(t, store, record(t, store, midnight.Add(time.Hour), 10, 2*time.Second), 10)
		}, 10, 0, 20},
		"of another day": {func(t *testing.T, store *segment.Store, counted *tally.Tally) {
			k := record(t, store, midnight.Add(-time.Hour), 10, 2*time.Second)
			count(counted, k, upload(t, store, k, 10))
			record(t, store, midnight.Add(4*day), 10, 2*time.Second)
		}, 0, 0, 0},
		"over midnight": {func(t *testing.T, store *segment.Store, _ *tally.Tally) {
			record(t, store, midnight.Add(-10*time.Second), 10, 2*time.Second)
		}, 5, 5, 10},
		"with gaps": {func(t *testing.T, store *segment.Store, counted *tally.Tally) {
			for i := range 3 {
				k := record(t, store, midnight.Add(time.Duration(i)*time.Hour), 2, 2*time.Second)
				count(counted, k, upload(t, store, k, 2))
			}
		}, 6, 0, 12},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, counted := openStore(t), newTally(t)
			row.prepare(t, store, counted)
			u := of(t, store, counted, 2)
			if u.Fragments != row.fragments || u.WaitingFragments != row.waiting || math.Abs(u.MediaSeconds-row.seconds) > 2 {
				t.Errorf("it is %+v, want %d fragments, of which %d wait, %v s", u, row.fragments, row.waiting, row.seconds)
			}
			if bytes := float64(row.fragments) * (4*211 + 22); math.Abs(float64(u.Bytes)-bytes) > bytes/50 {
				t.Errorf("%d bytes, want about %.0f", u.Bytes, bytes)
			}
		})
	}
}

// TestASlowCamera has a frame each 2 s: its fragments are continuous all the same, on the disk and in the count, and the two
// limits are the same.
func TestASlowCamera(t *testing.T) {
	t.Parallel()
	store, counted := openStore(t), newTally(t)
	w, err := store.Create("door", mkv.Header{Start: midnight, Title: "door", Tracks: []mkv.Track{
		{Number: 1, Kind: mkv.Video, CodecID: mkv.CodecAVC, CodecPrivate: []byte("sps"), Width: 16, Height: 16},
	}})
	must(t, err)
	for i := range 10 {
		start := time.Duration(i) * 2 * segment.GapAfter
		must(t, errors.Join(w.BeginFragment(start, true), w.WriteFrame(1, start, true, [][]byte{{1}}),
			w.WriteFrame(1, start+segment.GapAfter, false, [][]byte{{1}})))
		_, err := w.EndFragment()
		must(t, err)
	}
	must(t, w.Seal())
	want := (20 * segment.GapAfter).Seconds()
	if u := of(t, store, nil, 1); u.MediaSeconds != want {
		t.Errorf("on the disk are %v s, want %v", u.MediaSeconds, want)
	}
	count(counted, w.Key(), upload(t, store, w.Key(), 10))
	if u := of(t, store, counted, 1); math.Abs(u.MediaSeconds-want) > segment.GapAfter.Seconds() { // the last frame is not over
		t.Errorf("counted are %v s, want %v", u.MediaSeconds, want)
	}
}

// TestTheSpanBeginsWithTheFirstMedia, also when that is deleted.
func TestTheSpanBeginsWithTheFirstMedia(t *testing.T) {
	t.Parallel()
	store, counted := openStore(t), newTally(t)
	if u := of(t, store, nil, 2); !u.From.Equal(midnight) {
		t.Errorf("without media it begins at %v", u.From)
	}
	k := record(t, store, midnight.Add(5*time.Hour), 2, time.Second)
	if u := of(t, store, nil, 2); !u.From.Equal(midnight.Add(5*time.Hour)) || !u.To.Equal(midnight.Add(2*day)) {
		t.Errorf("it is from %v to %v", u.From, u.To)
	}
	count(counted, k, upload(t, store, k, 2))
	must(t, store.Delete(k))
	record(t, store, midnight.Add(9*time.Hour), 2, time.Second)
	if u := of(t, store, counted, 2); !u.From.Equal(midnight.Add(5 * time.Hour)) {
		t.Errorf("when the first media is deleted it begins at %v", u.From)
	}
	old := openStore(t)
	record(t, old, midnight.Add(-day), 2, time.Second)
	if u := of(t, old, counted, 2); !u.From.Equal(midnight) {
		t.Errorf("with older media it begins at %v", u.From)
	}
}

// TestManySegmentsAreReckoned within 1 %, of which a part is uploaded.
func TestManySegmentsAreReckoned(t *testing.T) {
	t.Parallel()
	store := openStore(t)
	const segments = 1000
	for i := range segments {
		k := record(t, store, midnight.Add(time.Duration(i)*time.Minute), 3, time.Duration(1+i%3)*time.Second)
		if i < segments/2 {
			upload(t, store, k, 3)
		}
	}
	u := of(t, store, nil, 1)
	near := func(what string, got, want float64) {
		if math.Abs(got-want) > 0.01*want {
			t.Errorf("%s: %.0f, want %.0f", what, got, want)
		}
	}
	near("fragments", float64(u.Fragments), 3*segments)
	near("waiting", float64(u.WaitingFragments), 3*segments/2)
	near("seconds", u.MediaSeconds, 6*segments)
	near("bytes", float64(u.Bytes), 3*segments*(4*211+22))
}

func TestAReaderThatLeavesIsNotServed(t *testing.T) {
	t.Parallel()
	store := openStore(t)
	record(t, store, midnight, 2, time.Second)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := usage.Of(ctx, store, nil, "door", midnight, midnight.Add(day)); !errors.Is(err, context.Canceled) {
		t.Errorf("it ends with %v", err)
	}
}
