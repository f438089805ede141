package holds

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/kvs-edge/kvs-edge-agent/internal/event"
	"github.com/kvs-edge/kvs-edge-agent/internal/hold"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
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
	for _, seconds := range []float64{-1, 1e300, event.MaxHold.Seconds() + 1} {
		if _, err := Duration(seconds); err == nil {
			t.Errorf("%v seconds are taken", seconds)
		}
	}
}
