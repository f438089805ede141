package eventjob

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/event"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/holds"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/receipt"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/giveway"
)

// newJobs returns the events of a hub with the stream door, which is not uploaded, and what its receipts say.
func newJobs(t *testing.T, state string, receipts *[]receipt.Receipt) (*Jobs, *segment.Store) {
	t.Helper()
	registry := health.NewRegistry(time.Now)
	store, err := segment.Open(segment.Options{
		Dir: filepath.Join(t.TempDir(), "recordings"), Log: zap.NewNop(), Health: registry.Component("", health.JobStore),
		HoldMost: func(uint64) int64 { return math.MaxInt64 },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	kept := holds.New(holds.Options{
		Book: store.Holding(), Streams: func() []string { return []string{"door"} }, Changed: func() {}, Now: time.Now, Log: zap.NewNop(),
	})
	return Open(Options{
		Dir: state, Media: store, Line: new(giveway.Line), Holds: func() *holds.Holds { return kept }, Log: zap.NewNop(), Health: registry,
		Receipts: func(_ string, _, _ time.Time, each func(receipt.Receipt)) error {
			for _, r := range *receipts {
				each(r)
			}
			return nil
		},
		Streams: func() []string { return []string{"door"} }, Relatives: func(string) []string { return nil },
		Uploads: func(string) bool { return false }, NoCloud: func() bool { return true }, CloudBy: func() string { return "the cloud" },
	}), store
}

func TestWhatIsWrongWithARequestIsSaid(t *testing.T) {
	t.Parallel()
	j, _ := newJobs(t, t.TempDir(), new([]receipt.Receipt))
	number := func(x float64) *float64 { return &x }
	for says, r := range map[string]localapi.EventRequest{
		"no stream yard that":                  {Stream: "yard"},
		"a name that no stream can":            {Streams: []string{"door", ""}},
		"needs a stream":                       {},
		"both must be from 0s to 1h":           {Stream: "door", Pre: number(1e300)},
		"The pre-roll is -5s":                  {Stream: "door", Pre: number(-5)},
		"it must be from 1970-01-01 on":        {Stream: "door", Time: time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)},
		"which is still to come":               {Stream: "door", Time: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)},
		"The id of an event has":               {Stream: "door", ID: "a b"},
		"is a number of seconds from 0 to":     {Stream: "door", Hold: 1e300},
		"is a number of seconds from 0 to 316": {Stream: "door", Hold: -1},
	} {
		if _, err := j.ForPeer(t.Context(), r, "a test"); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v is answered with %v, want %q", r, err, says)
		}
	}
	done, err := j.ForPeer(t.Context(), localapi.EventRequest{Stream: "door", Source: "\x00",
		Reason: "a\x1b[31m\nb" + strings.Repeat("c", 500)}, "")
	if err != nil || strings.ContainsAny(done.Event.Reason+done.Event.Source, "\x00\x1b\n") || len(done.Event.Reason) > 210 {
		t.Errorf("%+v %v", done, err)
	}
}

// A hold that was wanted when the agent was killed is added at the next start, and one that somebody removed is not.
func TestAHoldIsAddedAfterAKill(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	trigger := event.Trigger{ID: "a", Streams: []string{"door"}, Post: time.Minute, Hold: time.Hour, Source: "api", By: "a person"}
	before := event.Open(event.Options{Dir: state})
	if _, _, err := before.Trigger(trigger); err != nil { // and that is all that was done
		t.Fatal(err)
	}
	var none []receipt.Receipt
	j, store := newJobs(t, state, &none)
	track, frame := mkv.Track{Number: 1, Kind: mkv.Video, CodecID: mkv.CodecAVC}, [][]byte{{1}}
	w, err := store.Create("door", mkv.Header{Start: time.Now().Add(-time.Minute).Truncate(time.Millisecond), Tracks: []mkv.Track{track}})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.BeginFragment(0, true), w.WriteFrame(1, 0, true, frame), w.Flush(), w.Seal()); err != nil {
		t.Fatal(err)
	}
	run := func() {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_ = j.store.EndUnserved(ctx, event.Unserved{Fragments: j.known, HoldsDue: func(_ context.Context, list []*event.Event) {
			for _, e := range list {
				j.hold(t.Context(), e, e.HoldBy, true)
			}
		}})
	}
	run()
	list := store.Holding().List("door")
	if len(list) != 1 || list[0].Source != "a person" || !strings.HasPrefix(list[0].ID, "event:a:") {
		e, _ := j.store.Get("a")
		t.Fatalf("%+v is held: %s, %q", list, j.o.Holds().NotHeld(&e), e.HoldBy)
	}
	if _, err := store.Holding().Remove(list[0].ID, "a person", time.Now()); err != nil {
		t.Fatal(err)
	}
	j.store = event.Open(event.Options{Dir: state})
	run()
	if list := store.Holding().List("door"); len(list) != 0 {
		t.Errorf("%+v is held, though somebody removed it", list)
	}
}

// What the cloud has by the receipts counts, once, although the hub has deleted it.
func TestReceiptsCount(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC().Truncate(time.Millisecond)
	list := []receipt.Receipt{
		{Producer: now.Add(-5 * time.Second), Length: time.Second, Bytes: 10},
		{Producer: now.Add(-5 * time.Second), Length: time.Second, Bytes: 10},
		{Producer: now.Add(-20 * time.Second), Length: 11 * time.Second, Bytes: 20},
		{Producer: now.Add(-20 * time.Second), Length: time.Second},
	}
	j, _ := newJobs(t, t.TempDir(), &list)
	done, err := j.ForPeer(t.Context(), localapi.EventRequest{Stream: "door"}, "a test")
	if err != nil {
		t.Fatal(err)
	}
	if s := done.Event.Streams[0]; s.Recorded != 2 || s.Uploaded != 2 || s.Bytes != 30 || s.OnHub {
		t.Errorf("%+v", s)
	}
}

// TestAnEventAsksForWhatIsInTheCloud, so that what nobody had asked for before is somebody's from then on.
func TestAnEventAsksForWhatIsInTheCloud(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC().Truncate(time.Millisecond)
	list := []receipt.Receipt{{Producer: now.Add(-time.Hour), Length: 20 * time.Second, Bytes: 10}}
	j, _ := newJobs(t, t.TempDir(), &list)
	asked := make(chan event.Span, 1)
	j.o.Asked = func(stream string, from, to time.Time) {
		if stream == "door" {
			select {
			case asked <- event.Span{From: from, To: to}:
			default:
			}
		}
	}
	at, pre := now.Add(-time.Hour+8*time.Second), 3.0
	if _, err := j.ForPeer(t.Context(), localapi.EventRequest{Stream: "door", Time: at, Pre: &pre, Post: &pre}, "a test"); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	run := j.With("door", &uploader.Uploader{}, new(event.Sent), zap.NewNop(), func(ctx context.Context) error {
		<-ctx.Done()
		return nil
	})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = run(ctx)
	}()
	span := <-asked
	stop()
	<-ended
	if first := list[0]; span.From.Before(first.Producer) || span.To.After(first.Producer.Add(first.Length)) || !span.From.Before(span.To) {
		t.Errorf("%+v was asked for, of an event within %+v", span, first)
	}
}
