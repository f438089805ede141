package uploader

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/pace"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/poison"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/queue"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/refused"
)

func TestEverythingArrivesOnceAndInOrderInOneSession(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	w.record(4, 5)
	w.drain(w.uploader())
	w.expectOnce()
	w.expectUploaded(0)
	stats := w.service.Stats(door)
	if stats.Sessions != 1 || stats.Errors != 0 || stats.Torn != 0 {
		t.Errorf("the service saw %+v, want one session without a fault", stats)
	}
	if n := w.number(health.FragmentsPersisted); n != 20 {
		t.Errorf("%d fragments are counted, want 20", n)
	}
	if got, want := w.number(health.BytesUploaded), stats.Bytes; got != want {
		t.Errorf("%d bytes are counted, the service has %d", got, want)
	}
	if last := w.number(health.LastPersistedMedia); last != w.want[19]+1600 {
		t.Errorf("the newest persisted frame is at %d, want %d", last, w.want[19]+1600)
	}
}

func TestFollowsTheSegmentBeingWritten(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	stop := w.run(w.uploader())
	for range 2 {
		writer := w.create(640)
		for range 3 {
			w.fragment(writer, 2*time.Second, 300)
			w.await(len(w.want))
		}
		must(t, writer.Seal())
	}
	stop()
	w.expectOnce()
	if state := w.health.Component(door, health.JobUploader).Snapshot().State; state != stateStopped {
		t.Errorf("the state is %q after the end", state)
	}
	w.drain(w.uploader())
	w.expectUploaded(0)
	w.expectOnce()
}

func TestRestartGoesOnBehindWhatWasAcknowledged(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	w.record(2, 4)
	w.service.Faults().Inject(door, media.BlackHoleAt(media.AtFragmentStart).Skip(5))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- w.uploader(oneByOne).Drain(ctx) }()
	w.await(5)
	cancel()
	if err := <-done; err == nil {
		t.Error("a Drain that was cut short must say so")
	}
	must(t, w.store.Close())
	w.service.Faults().Clear()
	w.openStore()
	w.drain(w.uploader())
	w.expectAll()
	w.expectUploaded(0)
	for _, at := range w.stored()[5:] { // the black hole may give up what it has swallowed
		if at <= w.want[4] {
			t.Errorf("the fragment at %v was acknowledged and sent again", w.relative([]int64{at}))
		}
	}
}

// oneByOne keeps one fragment in flight. A reset takes acknowledgements along that are on their
// way; so it can only be those of the fragment it strikes.
func oneByOne(o *Options) { o.MaxInFlight = 1 }

func TestResetsLoseNothingAndRepeatNothingThatWasAcknowledged(t *testing.T) {
	t.Parallel()
	for _, at := range []media.Point{media.BeforeResponse, media.BeforeBody, media.AtFragmentStart, media.MidFragment, media.AfterReceived,
		media.AfterStored} {
		t.Run(at.String(), func(t *testing.T) {
			t.Parallel()
			w := newRig(t, 24, roomy)
			w.record(2, 4)
			skip := 2
			if at <= media.BeforeBody {
				skip = 0
			}
			w.service.Faults().Inject(door, media.ResetAt(at).Skip(skip).Times(2))
			w.drain(w.uploader(oneByOne))
			w.expectUploaded(0)
			if at == media.AfterStored {
				w.expectAll() // stored, but not acknowledged: it must be sent again
			} else {
				w.expectOnce()
			}
			if n := w.number(health.FragmentsPersisted); n != 8 {
				t.Errorf("%d fragments are counted, want 8", n)
			}
		})
	}
}

func TestAStallEndsTheSession(t *testing.T) {
	t.Parallel()
	for _, at := range []media.Point{media.BeforeBody, media.AtFragmentStart, media.MidFragment, media.AfterReceived} {
		t.Run(at.String(), func(t *testing.T) {
			t.Parallel()
			w := newRig(t, 24, roomy)
			w.record(1, 5)
			fault := w.service.Faults().Inject(door, media.BlackHoleAt(at).Times(1))
			w.drain(w.uploader(func(o *Options) { o.StallTimeout = 300 * time.Millisecond }))
			if fault.Fired() != 1 {
				t.Error("the black hole was not met")
			}
			w.expectOnce()
			if !w.sawCondition(codeUpload, health.SystemError) {
				t.Error("the stall is not reported")
			}
		})
	}
}

func TestPatienceGrowsUntilASlowServiceGetsThrough(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	w.record(1, 4)
	w.service.Faults().Inject(door, media.Slow(8_000)) // 0.2 s a fragment
	w.drain(w.uploader(func(o *Options) { o.StallTimeout = 50 * time.Millisecond }))
	w.expectAll()
	w.expectUploaded(0)
	if n := w.number(health.FragmentsRefused); n != 0 {
		t.Errorf("%d fragments were skipped, but the service was only slow", n)
	}
}

func TestLateAndMissingAcknowledgements(t *testing.T) {
	t.Parallel()
	t.Run("late", func(t *testing.T) {
		t.Parallel()
		w := newRig(t, 24, roomy)
		w.record(2, 4)
		w.service.Faults().Inject(door, media.DelayPersisted(300*time.Millisecond))
		w.drain(w.uploader())
		w.expectOnce()
	})
	for _, event := range []media.EventType{media.EventBuffering, media.EventReceived} {
		t.Run("no "+string(event), func(t *testing.T) {
			t.Parallel()
			w := newRig(t, 24, roomy)
			w.record(1, 4)
			w.service.Faults().Inject(door, media.Drop(event))
			w.drain(w.uploader())
			w.expectOnce()
		})
	}
	t.Run("one PERSISTED lost", func(t *testing.T) {
		t.Parallel()
		w := newRig(t, 24, roomy)
		w.record(1, 5)
		w.service.Faults().Inject(door, media.Drop(media.EventPersisted).Skip(1).Times(1))
		// The window is full with it and the next, which is acknowledged when the session ends.
		w.drain(w.uploader(func(o *Options) { o.IdleTimeout = 200 * time.Millisecond }))
		want := append(slices.Clone(w.want), w.want[1])
		slices.Sort(want)
		if got := slices.Sorted(slices.Values(w.stored())); !slices.Equal(got, want) {
			t.Errorf("the service has %v, want only the fragment without acknowledgement again: %v", w.relative(got), w.relative(want))
		}
		w.expectUploaded(0)
	})
	t.Run("one PERSISTED lost while more is recorded", func(t *testing.T) {
		t.Parallel()
		w := newRig(t, 24, roomy)
		w.service.Faults().Inject(door, media.Drop(media.EventPersisted).Times(1))
		writer := w.create(640)
		w.fragment(writer, 2*time.Second, 300)
		w.run(w.uploader(func(o *Options) { o.StallTimeout = 100 * time.Millisecond }))
		w.await(1)
		must(t, writer.Seal())
	})
}

func TestSessionsChangeWithoutGapOrRepeat(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	w.record(2, 6)
	u := w.uploader(func(o *Options) { o.MaxSession = 150 * time.Millisecond })
	u.pace = pace.New(pace.Options{Fragments: 20, FragmentBurst: 1, Sessions: 1e6})
	w.drain(u)
	w.expectOnce()
	stats := w.service.Stats(door)
	if stats.Sessions < 3 || stats.Displaced != 0 || stats.Torn != 0 || stats.Errors != 0 {
		t.Errorf("the service saw %+v, want several sessions that ended in good order", stats)
	}
}

func TestOtherTracksNeedAnotherSession(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	for _, width := range []int{640, 640, 1280} {
		writer := w.create(width)
		w.fragment(writer, 2*time.Second, 300)
		w.fragment(writer, 2*time.Second, 300)
		must(t, writer.Seal())
	}
	w.drain(w.uploader())
	w.expectOnce()
	if stats := w.service.Stats(door); stats.Sessions != 2 || stats.Errors != 0 {
		t.Errorf("the service saw %+v, want 2 sessions", stats)
	}
}

func TestAShortFragmentIsTheLastOfItsSession(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	for range 2 {
		writer := w.create(640)
		w.fragment(writer, 2*time.Second, 300)
		w.fragment(writer, 800*time.Millisecond, 300)
		must(t, writer.Seal())
	}
	w.drain(w.uploader())
	w.expectOnce()
	if stats := w.service.Stats(door); stats.Sessions != 2 || stats.Errors != 0 {
		t.Errorf("the service saw %+v, want 2 sessions and no error", stats)
	}
}

func TestAnIdleSessionEndsAndAnotherBegins(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	stop := w.run(w.uploader(func(o *Options) { o.IdleTimeout = 100 * time.Millisecond }))
	writer := w.create(640)
	for range 2 {
		w.fragment(writer, 2*time.Second, 300)
		w.await(len(w.want))
		must(t, w.service.AwaitSession(w.context(), door, false))
	}
	must(t, writer.Seal())
	stop()
	w.expectOnce()
	if stats := w.service.Stats(door); stats.Sessions != 2 {
		t.Errorf("the service saw %d sessions, want 2", stats.Sessions)
	}
	if w.sawCondition(codeUpload, health.SystemError) {
		t.Error("a session that was not needed was reported as a fault")
	}
}

func TestAStreamWithoutRetentionIsDoneAtReceived(t *testing.T) {
	t.Parallel()
	w := newRig(t, 0, roomy)
	w.record(2, 3)
	w.drain(w.uploader())
	w.expectOnce()
	w.expectUploaded(0)
}

// Something on the route breaks the connection whenever a certain fragment passes: the others are uploaded, and it is
// tried until it gets through.
func TestAFragmentThatBreaksTheLineDoesNotBlockThoseBehindIt(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	w.record(3, 6)
	bad := w.want[4]
	mark := binary.BigEndian.AppendUint64([]byte{0xE7, 0x88}, uint64(bad))
	const most = 20
	hits := 0
	w.filter = func(r io.Reader) io.Reader {
		if hits == most {
			return r
		}
		return &poisonedBody{src: r, marks: [][]byte{mark}, hit: func() { hits++ }}
	}
	u := w.uploader()
	must(t, u.SetTags(someTags))
	stop := w.run(u)
	w.await(len(w.want) - 1)
	w.expectAll(bad)
	w.await(len(w.want))
	stop()
	w.drain(u)
	w.expectAll()
	if got := w.stored(); len(got) != len(w.want) {
		t.Errorf("fragments came twice: %v", w.relative(got))
	}
	w.expectUploaded(0)
	if n := w.number(health.FragmentsRefused); n != 0 || hits != most {
		t.Errorf("%d fragments were skipped after %d attempts", n, hits)
	}
	if !w.sawCondition(codeBreaks, health.SystemError) || w.reports(codeBreaks) {
		t.Errorf("which fragment does not get through was not said, or is said at the end: %+v", w.health.Snapshot())
	}
}

// The service repeatedly fails with a fragment, and accepts the others.
func TestAFragmentThatTheServiceFailsWithIsRefused(t *testing.T) {
	t.Parallel()
	for _, id := range []int{4321, 5000, 5001} {
		w := newRig(t, 24, roomy)
		w.record(2, 6)
		fault := w.service.Faults().Inject(door, media.ErrorAt(media.AfterReceived, id).Of(w.want[4]))
		w.drain(w.uploader())
		w.expectUploaded(1)
		if n := w.number(health.FragmentsRefused); n != 1 || fault.Fired() < poison.RefusedAfter {
			t.Errorf("%d: %d fragments were skipped after %d attempts, want 1 after at least %d", id, n, fault.Fired(), poison.RefusedAfter)
		}
		if !w.sawCondition(codeRefused, health.SystemError) {
			t.Error("the refused fragment is not reported")
		}
	}
}

func TestSuspectsThatWereDeletedAreForgotten(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	w.record(1, 1)
	u := w.uploader()
	k := w.store.Segments(door, time.Time{}, time.Time{})[0].Key
	for range poison.SplitAfter {
		u.poison.Failed(queue.Fragment{Key: k}, true, false, 0)
	}
	must(t, w.store.Delete(k))
	w.drain(u)
	if n := u.poison.Len(); n != 0 {
		t.Errorf("%d fragments are suspected, and none is there", n)
	}
}

func TestABrokenNetworkBlamesNoFragment(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	w.record(2, 4)
	w.service.Faults().Inject(door, media.ResetAt(media.MidFragment).Times(40))
	w.drain(w.uploader())
	w.expectAll()
	w.expectUploaded(0)
	if n := w.number(health.FragmentsRefused); n != 0 {
		t.Errorf("%d fragments were skipped, but the network was to blame", n)
	}
}

func TestTheEndpointMoves(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	w.record(1, 4)
	gone := httptest.NewTLSServer(http.NotFoundHandler())
	old := gone.URL
	gone.Close()
	moved := false
	data := w.server.Config.Handler
	w.server.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/getDataEndpoint" && !moved {
			moved = true
			fmt.Fprintf(rw, `{"DataEndpoint":%q}`, old)
			return
		}
		data.ServeHTTP(rw, r)
	})
	w.drain(w.uploader())
	w.expectOnce()
	if endpoints, _ := w.cloud.counts(); endpoints == 0 {
		t.Error("the endpoint was not asked for again")
	}
}

func TestTheEndWaitsForAcknowledgementsButNotForLong(t *testing.T) {
	t.Parallel()
	t.Run("they come", func(t *testing.T) {
		t.Parallel()
		w := newRig(t, 24, roomy)
		w.record(1, 3)
		w.service.Faults().Inject(door, media.DelayPersisted(500*time.Millisecond))
		stop := w.run(w.uploader())
		must(t, w.service.AwaitFragments(w.context(), door, 3))
		stop()
		if n := w.number(health.FragmentsPersisted); n != 3 {
			t.Errorf("%d fragments were noted before the end, want 3", n)
		}
	})
	t.Run("they do not come", func(t *testing.T) {
		t.Parallel()
		w := newRig(t, 24, roomy)
		w.record(1, 3)
		fault := w.service.Faults().Inject(door, media.BlackHoleAt(media.MidFragment))
		stop := w.run(w.uploader())
		must(t, fault.Await(w.context(), 1))
		watch := testtools.Stopwatch(t)
		stop()
		if took := watch(); took > shutdownTime+2*time.Second {
			t.Errorf("the end took %v", took)
		}
	})
}

func TestThePaceStaysBelowTheLimits(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, media.Limits{})
	w.record(2, 8)
	u := w.uploader()
	u.pace = pace.New(pace.Options{})
	w.drain(u)
	w.expectOnce()
	if stats := w.service.Stats(door); stats.Throttled != 0 || stats.Refused != 0 {
		t.Errorf("the service had to hold us back: %+v", stats)
	}
}

// newRigWithAnUnreadableSegment has three segments, of which the second is cut off.
func newRigWithAnUnreadableSegment(t *testing.T) *rig {
	t.Helper()
	w := newRig(t, 24, roomy)
	w.record(3, 2)
	w.corrupt(1)
	return w
}

// corrupt makes a segment unreadable, and returns its file with what was in it.
func (w *rig) corrupt(n int) (path string, whole []byte) {
	w.t.Helper()
	files, err := filepath.Glob(filepath.Join(w.dir, door, "*.sealed.mkv"))
	must(w.t, err)
	whole, err = os.ReadFile(files[n])
	must(w.t, err)
	must(w.t, os.Truncate(files[n], 3))
	return files[n], whole
}

func TestAnUnreadableSegmentIsPassedOver(t *testing.T) {
	t.Parallel()
	w := newRigWithAnUnreadableSegment(t)
	w.drain(w.uploader())
	w.expectAll(w.want[2], w.want[3])
	if !w.sawCondition(codeStore, health.SystemError) {
		t.Error("the unreadable segment is not reported")
	}
	if s := w.store.Segments(door, time.Time{}, time.Time{})[1]; s.State != segment.Sealed {
		t.Errorf("the unreadable segment is %v: it must never count as uploaded", s.State)
	}
}

// TestAPauseEndsForAllThatItsModeUploads waits after an upload on demand of another range, which must not put the next try off.
func TestAPauseEndsForAllThatItsModeUploads(t *testing.T) {
	t.Parallel()
	w := newRigWithAnUnreadableSegment(t)
	u := w.uploader()
	w.drain(u)
	first := w.store.Segments(door, time.Time{}, time.Time{})[0]
	u.queue.Restrict(time.Time{}, time.UnixMilli(first.Start+1000), nil)
	if _, ok := u.queue.NextRetry(queue.UnreadableFor); ok {
		t.Fatal("the range has the unreadable segment")
	}
	changed := make(chan struct{}, 1)
	changed <- struct{}{}
	u.await(t.Context(), mode{}, changed)
	if _, ok := u.queue.NextRetry(queue.UnreadableFor); !ok {
		t.Error("the pause does not end for the unreadable segment")
	}
}

// TestNobodyWaitsForWhatIsNotTriedAgain: neither for a segment outside the range, nor for one that is gone. Who did would look again each
// millisecond, for ever.
func TestNobodyWaitsForWhatIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	w := newRigWithAnUnreadableSegment(t)
	u := w.uploader()
	w.drain(u)
	list := w.store.Segments(door, time.Time{}, time.Time{})
	begin := list[1].StartTime()
	expect := func(what string, from, to time.Time, want bool) {
		t.Helper()
		u.aim(mode{from: from, to: to})
		if at, ok := u.queue.NextRetry(queue.UnreadableFor); ok != want {
			t.Errorf("%s: a next try at %v: %v, want %v", what, at, ok, want)
		}
	}
	never := time.Time{}
	expect("all", never, never, true)
	expect("a range within", begin.Add(time.Millisecond), begin.Add(time.Second), true)
	expect("a range before it", list[0].StartTime(), begin, false)
	expect("a range after it", list[2].StartTime(), list[2].End, false)
	expect("all after it", list[2].StartTime(), never, false)
	must(t, w.store.Delete(list[1].Key))
	expect("all, once it is deleted", never, never, false)
}

func TestADiskThatServesAgainIsNoLongerReported(t *testing.T) {
	t.Parallel()
	reported := func(w *rig) bool { return w.reports(codeStore) }
	t.Run("segment", func(t *testing.T) {
		t.Parallel()
		w := newRigWithAnUnreadableSegment(t)
		u := w.uploader()
		w.drain(u)
		if !reported(w) {
			t.Error("it is not reported while the segment is there")
		}
		must(t, w.store.Delete(w.store.Segments(door, time.Time{}, time.Time{})[1].Key))
		w.drain(u)
		if reported(w) {
			t.Error("it is reported of a segment that is gone")
		}
	})
	t.Run("progress", func(t *testing.T) {
		t.Parallel()
		w := newRig(t, 24, roomy)
		w.record(1, 2)
		store := &forgetful{watchedStore: w.store, reported: func() bool { return reported(w) }}
		w.drain(w.uploader(func(o *Options) { o.Store = store }))
		if want := []bool{false, true}; !slices.Equal(store.seen, want) || reported(w) {
			t.Errorf("reported before each note: %v, want %v; and at the end: %v", store.seen, want, reported(w))
		}
	})
}

// TestADiskThatServesAgainIsNoLongerReportedAtRest has an upload that could not read a recording, and no other after it.
func TestADiskThatServesAgainIsNoLongerReportedAtRest(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		upload func(u *Uploader, ctx context.Context) error
		fails  bool
		after  func(u *Uploader)
	}{
		"on request": {
			func(u *Uploader, ctx context.Context) error {
				return u.Range(ctx, time.Time{}, time.Time{}, func(Progress) {})
			},
			true, func(u *Uploader) { u.rested(t.Context()) },
		},
		"in windows": {(*Uploader).Drain, false, func(u *Uploader) { _ = u.betweenWindows(t.Context()) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newRig(t, 24, roomy)
			w.record(3, 2)
			path, whole := w.corrupt(1)
			var ahead atomic.Int64
			u := w.uploader(func(o *Options) { o.clock = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) } })
			if err := row.upload(u, w.context()); (err != nil) != row.fails || !w.reports(codeStore) {
				t.Fatalf("an upload that cannot read a recording: %v, reported: %v", err, w.reports(codeStore))
			}
			for _, step := range []struct {
				what     string
				content  []byte
				after    time.Duration
				reported bool
			}{
				{"the file as it was, and not due", whole[:3], 0, true},
				{"the file as it was, and due", whole[:3], queue.UnreadableFor, true},
				{"the whole file, and not due", whole, 0, true},
				{"the whole file, and due", whole, queue.UnreadableFor, false},
			} {
				must(t, os.WriteFile(path, step.content, 0o600))
				ahead.Add(int64(step.after))
				if row.after(u); w.reports(codeStore) != step.reported {
					t.Errorf("%s: reported: %v, want %v", step.what, w.reports(codeStore), step.reported)
				}
			}
			w.expectAll(w.want[2], w.want[3]) // nothing is uploaded at rest
		})
	}
}

// TestWhatCannotBeReadIsTriedAgainBetweenWindows has a window that could not read a recording, and none after it.
func TestWhatCannotBeReadIsTriedAgainBetweenWindows(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	w.record(3, 2)
	path, whole := w.corrupt(1)
	var later time.Time // than the window
	u := w.uploader(func(o *Options) { o.clock = func() time.Time { return cmp.Or(later, time.Now()) } })
	must(t, u.Drain(w.context()))
	must(t, os.WriteFile(path, whole, 0o600))
	later = time.Now().Add(queue.UnreadableFor)
	synctest.Test(t, func(t *testing.T) {
		ctx, end := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			done <- u.RunInWindows(ctx, func(ctx context.Context) error {
				<-ctx.Done() // no window opens
				return nil
			})
		}()
		time.Sleep(refused.LookEvery + time.Second)
		if w.reports(codeStore) {
			t.Error("a disk that has recovered is reported until the next window")
		}
		end()
		must(t, <-done)
	})
}

func TestWhatIsNoLongerThereIsNoLongerReported(t *testing.T) {
	t.Parallel()
	t.Run("not uploaded", func(t *testing.T) {
		t.Parallel()
		w := newRig(t, 24, roomy)
		w.record(1, 1)
		w.network.breakDown(func(context.Context) (net.Conn, error) { return nil, syscall.ENETUNREACH })
		ctx, cancel := context.WithCancel(w.context())
		w.cloud.trouble(1, 0, cancel, nil)
		u := w.uploader()
		if err := u.Drain(ctx); err == nil || !w.reports(codeUpload) {
			t.Errorf("Drain without a network: %v, reported: %v", err, w.reports(codeUpload))
		}
		must(t, w.store.Delete(w.store.Segments(door, time.Time{}, time.Time{})[0].Key))
		w.drain(u)
		if w.reports(codeUpload) {
			t.Error("it is reported that nothing gets through, and nothing is left")
		}
	})
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		w := newRig(t, 24, roomy)
		w.record(1, 1)
		w.service.Faults().Inject(door, media.ErrorAt(media.AtFragmentStart, 4001).Times(1))
		now := begin
		w.health = health.NewRegistry(func() time.Time { return now }) // whose clock ends an event
		u := w.uploader(func(o *Options) { o.Now = func() time.Time { return now } })
		w.drain(u)
		if !w.reports(codeRefused) {
			t.Error("the refused fragment is not reported")
		}
		now = now.Add(rememberRefused + time.Second)
		w.drain(u)
		if w.reports(codeRefused) {
			t.Error("it is still reported after a day")
		}
	})
}

func TestASegmentThatCannotBeMovedIsTriedAgainInTime(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	w.record(3, 2)
	store := &immovable{watchedStore: w.store, oldest: w.store.Segments(door, time.Time{}, time.Time{})[0].Key}
	u := w.uploader(func(o *Options) { o.Store = store })
	w.drain(u)
	if store.refused != 1 || !w.sawCondition(codeStore, health.SystemError) {
		t.Errorf("the disk was asked %d times, want once, and to have it reported", store.refused)
	}
	w.waited.Store(int64(queue.UnreadableFor))
	store.repaired = true
	w.drain(u)
	w.expectOnce()
	w.expectUploaded(0)
	if list := w.health.Component(door, health.JobUploader).Snapshot().Conditions; len(list) != 0 {
		t.Errorf("still reported: %+v", list)
	}
}

// TestASegmentThatCannotBeMovedIsReportedUntilItIs has a disk that can be read and not written between two windows.
func TestASegmentThatCannotBeMovedIsReportedUntilItIs(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	w.record(3, 2)
	store := &immovable{watchedStore: w.store, oldest: w.store.Segments(door, time.Time{}, time.Time{})[0].Key}
	u := w.uploader(func(o *Options) { o.Store = store })
	w.drain(u)
	w.waited.Store(int64(queue.UnreadableFor))
	if err := u.betweenWindows(t.Context()); err != nil || store.refused != 2 || !w.reports(codeStore) {
		t.Errorf("the disk was asked %d times, want twice; reported: %v, %v", store.refused, w.reports(codeStore), err)
	}
	w.waited.Store(int64(2*queue.UnreadableFor) + int64(time.Second))
	store.repaired = true
	if err := u.betweenWindows(t.Context()); err != nil || w.reports(codeStore) {
		t.Errorf("still reported, or %v", err)
	}
	w.expectUploaded(0)
}

// immovable is a store whose disk refuses to move the oldest segment to uploaded until it is repaired.
type immovable struct {
	*watchedStore
	oldest   segment.Key
	refused  int
	repaired bool
}

func (s *immovable) MarkUploaded(k segment.Key) error {
	if k == s.oldest && !s.repaired {
		s.refused++
		return errors.New("read-only file system")
	}
	return s.watchedStore.MarkUploaded(k)
}

// forgetful is a store whose disk refuses the first note of an acknowledgement.
type forgetful struct {
	*watchedStore
	reported func() bool
	seen     []bool // what reported said before each note
}

// NotesPending is true from the note that was not taken to the next one.
func (s *forgetful) NotesPending(string) bool { return len(s.seen) == 1 }

func (s *forgetful) MarkPersisted(k segment.Key, f mkv.Fragment) error {
	s.seen = append(s.seen, s.reported())
	err := s.watchedStore.MarkPersisted(k, f)
	if len(s.seen) == 1 {
		return errors.New("input/output error")
	}
	return err
}

func TestWhatIsInFlightIsBounded(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	w.record(1, 12)
	w.service.Faults().Inject(door, media.DelayPersisted(200*time.Millisecond))
	stop := w.run(w.uploader(func(o *Options) { o.MaxInFlight = 3 }))
	for n := range 12 {
		w.await(n + 1)
		if ahead := len(w.stored()) - len(w.store.done()); ahead > 3 {
			t.Fatalf("%d fragments are stored beyond what is acknowledged, want at most 3", ahead)
		}
	}
	stop()
	w.expectOnce()
}

func (s *watchedStore) done() []int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.marked)
}

// Whatever on the way swallows a certain fragment: it is tried until it gets through.
func TestAFragmentThatStallsTheLineIsNeverGivenUp(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	w.record(2, 4)
	fault := w.service.Faults().Inject(door, media.BlackHoleAt(media.MidFragment).Of(w.want[2]).Times(poison.RefusedAfter+4))
	w.drain(w.uploader(func(o *Options) { o.StallTimeout = 20 * time.Millisecond }))
	w.expectAll()
	w.expectUploaded(0)
	if n := w.number(health.FragmentsRefused); n != 0 || fault.Fired() != poison.RefusedAfter+4 {
		t.Errorf("%d fragments were skipped after %d attempts", n, fault.Fired())
	}
}

func TestAnErrorWithoutTimecodeIsProvenBeforeItRefuses(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	w.record(1, 4)
	w.service.Faults().Inject(door, media.ErrorAt(media.BeforeBody, 4006).Times(2))
	w.drain(w.uploader())
	w.expectAll(w.want[0])
	w.expectUploaded(1)
}
