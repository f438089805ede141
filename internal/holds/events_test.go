package holds

import (
	"context"
	"errors"
	"math"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/kvs-edge/kvs-edge-agent/internal/event"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/hold"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/holding"
)

var begin = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// rig has holds of a store with ten segments of a second of the stream door, one each ten seconds.
type rig struct {
	t     *testing.T
	store *segment.Store
	holds *Holds
	logs  *observer.ObservedLogs
	most  atomic.Int64
	now   time.Time
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, now: begin.Add(100 * time.Second)}
	r.most.Store(1 << 40)
	store, err := segment.Open(segment.Options{Dir: t.TempDir(), HoldMost: func(uint64) int64 { return r.most.Load() }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	r.store = store
	track := mkv.Track{Number: 1, Kind: mkv.Video, CodecID: mkv.CodecAVC}
	frame := [][]byte{{1}}
	for i := range 10 {
		w, err := store.Create("door", mkv.Header{Start: begin.Add(time.Duration(i) * 10 * time.Second), Tracks: []mkv.Track{track}})
		if err != nil {
			t.Fatal(err)
		}
		err = errors.Join(w.BeginFragment(0, true), w.WriteFrame(1, 0, true, frame), w.WriteFrame(1, time.Second, false, frame), w.Flush(),
			w.Seal())
		if err != nil {
			t.Fatal(err)
		}
	}
	core, logs := observer.New(zap.InfoLevel)
	r.logs = logs
	r.holds = New(Options{
		Book: store.Holding(), Streams: store.Streams, Changed: func() {}, Now: func() time.Time { return r.now }, Log: zap.New(core),
	})
	return r
}

// deleteAll deletes what nothing holds, and returns when the rest starts, in seconds.
func (r *rig) deleteAll() (left []int) {
	r.t.Helper()
	for _, s := range r.store.Segments("door", time.Time{}, time.Time{}) {
		if err := r.store.Delete(s.Key); err != nil && !errors.Is(err, hold.ErrHeld) {
			r.t.Fatal(err)
		}
	}
	for _, s := range r.store.Segments("door", time.Time{}, time.Time{}) {
		left = append(left, int(s.StartTime().Sub(begin).Seconds()))
	}
	return left
}

func equal(a []int, b ...int) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func bell() *event.Event {
	return &event.Event{ID: "bell", Streams: []string{"door"}, Reason: "door 4", From: begin.Add(20 * time.Second),
		To: begin.Add(35 * time.Second), Hold: 90 * 24 * time.Hour, Triggers: 1}
}

func TestTheMediaOfAnEventIsHeldAndOfItsExtension(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	e := bell()
	for range 2 { // a message may come twice
		r.holds.Ensure(t.Context(), e, "user ada (uid 1000)", true)
	}
	id, until, why := r.holds.Of(e, "door")
	if id == "" || !until.Equal(e.To.Add(e.Hold)) || why != "" {
		t.Fatalf("%q %v %q", id, until, why)
	}
	longer := *e
	longer.To, longer.Triggers = begin.Add(45*time.Second), 2
	r.holds.Ensure(t.Context(), &longer, "user eve (uid 1001)", false)
	list := r.store.Holding().List("door")
	if len(list) != 1 || list[0].ID != id || list[0].Source != "user ada (uid 1000)" || list[0].Reason != "event bell: door 4" ||
		!list[0].From.Equal(e.From) || !list[0].To.Equal(longer.To) || !list[0].Until.Equal(longer.To.Add(e.Hold)) || list[0].Segments != 3 {
		t.Errorf("%+v", list)
	}
	var shown localapi.EventStream
	shown.Stream = "door"
	r.holds.Show(&longer, &shown)
	if shown.Hold != id || !shown.HeldUntil.Equal(longer.To.Add(e.Hold)) || shown.NotHeld != "" {
		t.Errorf("%+v", shown)
	}
	if left := r.deleteAll(); !equal(left, 20, 30, 40) {
		t.Errorf("left are %v", left)
	}
	r.store.ExpireHolds(longer.To.Add(e.Hold))
	r.now = longer.To.Add(e.Hold)
	if id, _, why := r.holds.Of(&longer, "door"); id != "" || why != "" {
		t.Errorf("after its time: %q %q", id, why)
	}
	if left := r.deleteAll(); len(left) != 0 {
		t.Errorf("left after its time are %v", left)
	}
}

func TestAHoldOfAnEventThatDoesNotFitIsSaid(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.most.Store(1)
	e := bell()
	for range 2 {
		r.holds.Ensure(t.Context(), e, "x", true)
	}
	says := func(when string) {
		t.Helper()
		if why := r.holds.NotHeld(e); !strings.Contains(why, "does not fit: it needs ") ||
			!strings.Contains(why, " kB are held already, and all holds together may have 1 kB") {
			t.Errorf("%s: %q", when, why)
		}
	}
	says("refused")
	if n := r.logs.FilterField(zap.String("event", "bell")).Len(); n != 1 {
		t.Errorf("it is logged %d times", n)
	}
	r.most.Store(1 << 40)
	r.holds.Ensure(t.Context(), e, "x", false) // the next trigger
	if why := r.holds.NotHeld(e); why != "" || len(r.store.Holding().List("door")) != 1 {
		t.Errorf("with room: %q", why)
	}
	r.most.Store(1)
	longer := *e
	longer.To = begin.Add(65 * time.Second)
	e = &longer
	r.holds.Ensure(t.Context(), e, "x", true)
	says("of an extension")
	if left := r.deleteAll(); !equal(left, 20, 30) {
		t.Errorf("left are %v", left)
	}
}

func TestAHoldOfAnEventThatSomebodyRemovedIsOnlyAddedWhenAskedFor(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	e := bell()
	e.Streams = []string{"door", "yard"} // nothing is recorded of the second
	r.holds.Ensure(t.Context(), e, "x", true)
	if why := r.holds.NotHeld(e); !strings.Contains(why, "Nothing is recorded of a stream yard yet") {
		t.Errorf("%q", why)
	}
	id, _, _ := r.holds.Of(e, "door")
	if _, err := r.holds.RemoveForPeer(id, "user ada (uid 1000)"); err != nil {
		t.Fatal(err)
	}
	r.holds.Ensure(t.Context(), e, "x", false)
	if again, _, why := r.holds.Of(e, "door"); again != "" || !strings.Contains(why, "or somebody removed it") {
		t.Errorf("%q %q", again, why)
	}
	r.holds.Ensure(t.Context(), e, "x", true)
	if again, _, _ := r.holds.Of(e, "door"); again != id {
		t.Errorf("asked for again it is %q", again)
	}
}

func TestTheHoldOfEachEventAndStreamHasItsOwnID(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	long := strings.Repeat("x", event.MaxID-1)
	for _, id := range []string{"a", long + "1", long + "2"} {
		for _, stream := range []string{"door", "yard"} {
			h := ofEvent(&event.Event{ID: id, From: begin, To: begin.Add(time.Second), Hold: time.Hour}, stream, "x")
			if _, err := hold.Complete(h, begin); err != nil || seen[h.ID] {
				t.Errorf("%s: %v", h.ID, err)
			}
			seen[h.ID] = true
		}
	}
}

// badDisk is a book on a disk that fails for one stream.
type badDisk struct {
	Book
	stream string
	err    error
}

func (b badDisk) Extend(ctx context.Context, h hold.Hold) (holding.Kept, error) {
	if h.Stream == b.stream {
		return holding.Kept{}, b.err
	}
	return b.Book.Extend(ctx, h)
}

func TestAHoldThatTheDiskRefusedIsNotSettled(t *testing.T) {
	t.Parallel()
	disk := health.SystemFault("disk", errors.New("EIO"), "The disk has read or write errors.")
	for name, c := range map[string]struct {
		change  func(*event.Event, *rig)
		err     error // of the stream door
		settled bool
		says    string // of the streams, why they are not held
	}{
		"held":         {settled: true},
		"not to be":    {change: func(e *event.Event, _ *rig) { e.Hold = 0 }, err: disk, settled: true},
		"less than no": {change: func(e *event.Event, _ *rig) { e.Hold = -1 }, err: disk, settled: true},
		"no room":      {change: func(_ *event.Event, r *rig) { r.most.Store(1) }, settled: true, says: "does not fit"},
		"disk":         {err: disk, says: disk.Text},
		"disk of the first": {
			change: func(e *event.Event, _ *rig) { e.Streams = []string{"door", "yard"} }, err: disk, says: disk.Text},
		"disk of the last": {
			change: func(e *event.Event, _ *rig) { e.Streams = []string{"yard", "door"} }, err: disk, says: "Nothing is recorded of a stream yard"},
		"broken off": {err: context.Canceled, says: "The hold was broken off; trigger the event again"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			changed := 0
			r.holds.o.Changed = func() { changed++ }
			if c.err != nil {
				r.holds.o.Book = badDisk{Book: r.holds.o.Book, stream: "door", err: c.err}
			}
			e := bell()
			if c.change != nil {
				c.change(e, r)
			}
			if got := r.holds.Ensure(t.Context(), e, "x", true); got != c.settled {
				t.Errorf("it is settled: %v, want %v", got, c.settled)
			}
			why := r.holds.NotHeld(e)
			if (c.says == "") != (why == "") || !strings.Contains(why, c.says) {
				t.Errorf("it says %q, want %q", why, c.says)
			}
			if want := min(1, max(0, int(e.Hold))); changed != want {
				t.Errorf("it was said %d times that something changed, want %d", changed, want)
			}
			if id, until, _ := r.holds.Of(e, "door"); (id != "") != (e.Hold > 0 && why == "") || until.IsZero() != (id == "") {
				t.Errorf("the hold is %q until %v", id, until)
			}
		})
	}
}

func TestARefusalIsLoggedOnceUntilItEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	e := bell()
	for step, c := range []struct {
		most int64
		logs int
	}{{1 << 40, 0}, {1, 0}, {1, 0}} { // held; what is held stays so
		r.most.Store(c.most)
		r.holds.Ensure(t.Context(), e, "x", true)
		if n := r.logs.Len(); n != c.logs {
			t.Errorf("step %d: %d lines", step, n)
		}
	}
	longer := *e
	longer.To = begin.Add(65 * time.Second)
	for step, c := range []struct {
		most int64
		logs int
	}{{1, 1}, {1, 1}, {1 << 40, 1}} {
		r.most.Store(c.most)
		r.holds.Ensure(t.Context(), &longer, "x", true)
		if n := r.logs.Len(); n != c.logs {
			t.Errorf("step %d of the extension: %d lines", step, n)
		}
	}
	longer.To = begin.Add(95 * time.Second)
	r.most.Store(1)
	r.holds.Ensure(t.Context(), &longer, "x", true)
	if n := r.logs.Len(); n != 2 {
		t.Errorf("refused again: %d lines", n)
	}
}

func TestReasonsOfRefusalsAreBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.most.Store(1)
	r.holds.Ensure(t.Context(), bell(), "x", true)
	for n := range maxRefused {
		r.holds.note(strconv.Itoa(n), context.Canceled)
	}
	if n := len(r.holds.refused); n != maxRefused {
		t.Errorf("%d are kept, want %d", n, maxRefused)
	}
	r.holds.note("0", nil) // it is held
	r.holds.note("one more", context.Canceled)
	if n := len(r.holds.refused); n != maxRefused || r.holds.refusal("one more") == "" || r.holds.refusal("0") != "" {
		t.Errorf("%d are kept, want %d", n, maxRefused)
	}
	e := bell()
	e.ID = "late"
	r.holds.Ensure(t.Context(), e, "x", true)
	if why := r.holds.NotHeld(e); !strings.Contains(why, "was refused, or somebody removed it; the log says which") {
		t.Errorf("of one more: %q", why)
	}
}

// The cloud may have configured the stream just before it asks for the hold.
func TestAHoldOfTheCloudWaitsForWhatItSaidBefore(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	settled := false
	r.holds.o.Streams = func() []string {
		if !settled {
			return nil
		}
		return []string{"door"}
	}
	ask := r.holds.ForCloud(func(ctx context.Context) { settled = ctx == t.Context() })
	wanted := hold.Hold{ID: "theft", Stream: "door", From: begin, To: begin.Add(15 * time.Second), Reason: "x", Source: "cloud"}
	segments, bytes, err := ask(t.Context(), wanted)
	if err != nil || segments != 2 || bytes == 0 {
		t.Errorf("%d segments, %d bytes, %v", segments, bytes, err)
	}
	if !r.holds.Known("theft") || r.holds.Known("fire") {
		t.Error("which holds there are is not known")
	}
	if _, err := r.holds.Remove("theft", "x"); err != nil || r.holds.Known("theft") {
		t.Errorf("removed: %v, known %v", err, r.holds.Known("theft"))
	}
}

func TestATriggerThatCameTooLateForAHoldIsTold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		asked, has time.Duration
		late       bool
	}{{0, 0, false}, {time.Hour, time.Hour, false}, {0, time.Hour, false}, {time.Hour, 0, true}} {
		if got := Late(event.Trigger{Hold: c.asked}, event.Event{Hold: c.has}); (got != "") != c.late {
			t.Errorf("asked for %s, has %s: %q", c.asked, c.has, got)
		}
	}
}

func TestDurationsOfHolds(t *testing.T) {
	t.Parallel()
	for seconds, want := range map[float64]time.Duration{
		0: 0, 1.5: 1500 * time.Millisecond, event.MaxHold.Seconds(): event.MaxHold,
	} {
		if got, err := Duration(seconds); err != nil || got != want {
			t.Errorf("%v: %v, %v", seconds, got, err)
		}
	}
	for _, seconds := range []float64{-1, -0.001, math.NaN(), math.Inf(1), 1e300, event.MaxHold.Seconds() + 1} {
		if _, err := Duration(seconds); err == nil {
			t.Errorf("%v seconds are taken", seconds)
		}
	}
}
