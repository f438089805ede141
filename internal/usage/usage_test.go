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

// refuse marks the fragments of a segment from the n-th on as refused.
func refuse(t *testing.T, store *segment.Store, k segment.Key, n int) {
	t.Helper()
	r, err := store.OpenSegment(k)
	must(t, err)
	list, _, err := r.Fragments()
	must(t, errors.Join(err, r.Close()))
	for _, f := range list[n:] {
		must(t, store.MarkRefused(k, f, "4006 INVALID_MKV_DATA"))
	}
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
	return planned(t, store, counted, usage.Plan{}, days)
}

// planned is of for a stream that is uploaded in some way.
func planned(t *testing.T, store *segment.Store, counted usage.Counted, plan usage.Plan, days int) usage.Stream {
	t.Helper()
	source := usage.Source{Store: store, Counted: counted, Plan: func(string) usage.Plan { return plan }}
	u, err := source.Of(t.Context(), "door", midnight, midnight.Add(time.Duration(days)*day))
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
		"refused": {func(t *testing.T, store *segment.Store, counted *tally.Tally) {
			k := record(t, store, midnight.Add(time.Hour), 10, 2*time.Second)
			refuse(t, store, k, 7)
			count(counted, k, upload(t, store, k, 10)[:7])
		}, 7, 0, 14},
		"refused by an earlier version": {func(t *testing.T, store *segment.Store, _ *tally.Tally) {
			k := record(t, store, midnight.Add(time.Hour), 10, 2*time.Second)
			refuse(t, store, k, 7)
			upload(t, store, k, 10)
		}, 7, 0, 14},
		"received twice": {func(t *testing.T, store *segment.Store, counted *tally.Tally) {
			k := record(t, store, midnight.Add(time.Hour), 10, 2*time.Second)
			list := upload(t, store, k, 10)
			count(counted, k, list[:4])
			count(counted, k, list)
		}, 14, 0, 28},
		"the count was lost in a kill": {func(t *testing.T, store *segment.Store, counted *tally.Tally) {
			k := record(t, store, midnight.Add(time.Hour), 200, 2*time.Second)
			count(counted, k, upload(t, store, k, 200)[:197])
		}, 200, 0, 400},
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
	if _, err := (usage.Source{Store: store}).Of(ctx, "door", midnight, midnight.Add(day)); !errors.Is(err, context.Canceled) {
		t.Errorf("it ends with %v", err)
	}
}

// TestWhatIsUploadedOnRequestWaitsForNothing, but what was requested counts.
func TestWhatIsUploadedOnRequestWaitsForNothing(t *testing.T) {
	t.Parallel()
	store, counted := openStore(t), newTally(t)
	k := record(t, store, midnight.Add(time.Hour), 10, 2*time.Second)
	count(counted, k, upload(t, store, k, 4))
	if u := planned(t, store, counted, usage.Plan{OnRequest: true}, 1); u.Fragments != 4 || u.WaitingFragments != 0 || !u.OnRequest {
		t.Errorf("it is %+v", u)
	}
}

// TestDaysThatAreNoLongerKeptAreNotPartOfTheSpan: else the month would be reckoned from less than was uploaded in it.
func TestDaysThatAreNoLongerKeptAreNotPartOfTheSpan(t *testing.T) {
	t.Parallel()
	const days, fragments = 100, 24
	now := midnight
	counted := tally.Open(tally.Options{
		Dir: statefile.At(filepath.Join(t.TempDir(), "state"), atomicfile.OS{}), Now: func() time.Time { return now },
	})
	for range days {
		for range fragments {
			counted.Stream("door").Persisted(now, now.Add(time.Second), 1000)
			now = now.Add(time.Hour)
		}
	}
	source := usage.Source{Store: openStore(t), Counted: counted}
	u, err := source.Of(t.Context(), "door", midnight, now)
	must(t, err)
	if perDay := float64(u.Fragments) / (u.To.Sub(u.From).Hours() / 24); math.Abs(perDay-fragments) > 0.01*fragments {
		t.Errorf("%.2f fragments a day from %v on, want %d", perDay, u.From, fragments)
	}
}

// TestAudioThatIsNotSentDoesNotCount, unless it is sent.
func TestAudioThatIsNotSentDoesNotCount(t *testing.T) {
	t.Parallel()
	// A WAVEFORMATEX of one channel at 8 kHz (RFC 2361).
	muLaw := mkv.Track{Number: 2, Kind: mkv.Audio, CodecID: mkv.CodecACM, SampleRate: 8000, Channels: 1, BitDepth: 8,
		CodecPrivate: []byte{7, 0, 1, 0, 0x40, 0x1F, 0, 0, 0x40, 0x1F, 0, 0, 1, 0, 8, 0, 0, 0}}
	store := openStore(t)
	const fragments = 10
	tracks := []mkv.Track{{Number: 1, Kind: mkv.Video, CodecID: mkv.CodecAVC, CodecPrivate: []byte("sps"), Width: 16, Height: 16}, muLaw}
	w, err := store.Create("door", mkv.Header{Start: midnight, Title: "door", Tracks: tracks})
	must(t, err)
	video := 0
	for i := range fragments {
		start := time.Duration(i) * 2 * time.Second
		must(t, w.BeginFragment(start, true))
		for n := range 100 { // a frame of video has more or fewer bytes
			at := start + time.Duration(n)*20*time.Millisecond
			size := 300 + 17*(i+n)%100
			video += size + 11
			must(t, errors.Join(w.WriteFrame(1, at, n == 0, [][]byte{make([]byte, size)}), w.WriteFrame(2, at, true, [][]byte{make([]byte, 160)})))
		}
		_, err := w.EndFragment()
		must(t, err)
	}
	must(t, w.Seal())
	near := func(what string, got, want int64) {
		if math.Abs(float64(got-want)) > 0.01*float64(want) {
			t.Errorf("%s: %d bytes, want %d", what, got, want)
		}
	}
	near("without audio", of(t, store, nil, 1).Bytes, int64(video+22*fragments))
	near("with audio", planned(t, store, nil, usage.Plan{AllAudio: true}, 1).Bytes, int64(video+22*fragments+fragments*100*167))
}

// TestTheDistanceOfKeyframes is that within fragments.
func TestTheDistanceOfKeyframes(t *testing.T) {
	t.Parallel()
	store := openStore(t)
	w, err := store.Create("door", mkv.Header{Start: midnight, Title: "door", Tracks: []mkv.Track{
		{Number: 1, Kind: mkv.Video, CodecID: mkv.CodecAVC, CodecPrivate: []byte("sps"), Width: 16, Height: 16},
	}})
	must(t, err)
	for i := range 3 {
		start := time.Duration(i) * 8 * time.Second
		must(t, w.BeginFragment(start, true))
		for n := range 16 { // two frames a second, keyframes at 0, 3 and 4 s
			must(t, w.WriteFrame(1, start+time.Duration(n)*500*time.Millisecond, n == 0 || n == 6 || n == 8, [][]byte{{1}}))
		}
		_, err := w.EndFragment()
		must(t, err)
	}
	must(t, w.Seal())
	if u := of(t, store, nil, 1); math.Abs(u.KeyframeSeconds-8./3) > 0.01 || u.LongestGOPSeconds != 4 {
		t.Errorf("keyframes are %v s apart, at most %v", u.KeyframeSeconds, u.LongestGOPSeconds)
	}
	if u := of(t, openStore(t), nil, 1); u.KeyframeSeconds != 0 || u.LongestGOPSeconds != 0 {
		t.Errorf("without recordings they are %v s apart", u.KeyframeSeconds)
	}
}

// watched counts the segments that are opened.
type watched struct {
	*segment.Store
	opened int
}

func (w *watched) OpenSegmentWhile(ctx context.Context, k segment.Key) (*segment.Reader, error) {
	w.opened++
	return w.Store.OpenSegmentWhile(ctx, k)
}

// TestWhatWasCountedIsNotRead from the disk, but for a few keyframes: a hub with many streams would take minutes.
func TestWhatWasCountedIsNotRead(t *testing.T) {
	t.Parallel()
	store, counted := &watched{Store: openStore(t)}, newTally(t)
	const segments, most = 100, 20
	var last segment.Key
	for i := range segments {
		last = record(t, store.Store, midnight.Add(time.Duration(i)*time.Minute), 3, 10*time.Second)
		list := upload(t, store.Store, last, 3)
		for n, f := range list {
			start := last.StartTime().Add(f.Start)
			if n == 0 {
				start = start.Add(time.Millisecond) // a millisecond more or less does not matter
			}
			counted.Stream("door").Persisted(start, last.StartTime().Add(f.Last), f.Size)
		}
	}
	record(t, store.Store, midnight.Add(3*time.Hour), 3, 10*time.Second)
	usageOf := func(counted usage.Counted) usage.Stream {
		store.opened = 0
		u, err := usage.Source{Store: store, Counted: counted}.Of(t.Context(), "door", midnight, midnight.Add(day))
		must(t, err)
		return u
	}
	if u := usageOf(counted); store.opened > most || u.Fragments != 3*segments+3 || u.WaitingFragments != 3 || u.KeyframeSeconds < 9 {
		t.Errorf("%d segments are read, at most %d are needed: %+v", store.opened, most, u)
	}
	if u := usageOf(newTally(t)); store.opened <= segments || u.Fragments != 3*segments+3 || u.WaitingFragments != 3 {
		t.Errorf("without a count %d segments are read: %+v", store.opened, u)
	}
}
