package uploader

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/queue"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/refused"
)

// pass lets time pass for the store, and returns an option with that clock for the uploader.
func (w *rig) pass(d time.Duration) func(*Options) {
	now := begin
	if before := w.now.Load(); before != nil {
		now = *before
	}
	now = now.Add(d)
	w.now.Store(&now)
	return func(o *Options) { o.Now = func() time.Time { return *w.now.Load() } }
}

// refusing makes the service refuse these fragments, by their index.
func (w *rig) refusing(code int, of ...int) *media.Injected {
	var times []int64
	for _, i := range of {
		times = append(times, w.want[i])
	}
	return w.service.Faults().Inject(door, media.ErrorAt(media.AtFragmentStart, code).Of(times...))
}

func (w *rig) refused() (n int) { return len(w.store.Refused(door)) }

func TestRefusedFragmentsAreSentAgainOnceADayAndThreeTimes(t *testing.T) {
	t.Parallel()
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprint("restart ", restart), func(t *testing.T) {
			t.Parallel()
			w := newRig(t, 24, roomy)
			clock := w.pass(0)
			w.record(2, 3)
			fault := w.refusing(4007, 1, 4)
			u := w.uploader(clock)
			fired := 0
			expect := func(when string, n int) {
				t.Helper()
				w.drain(u)
				if got := fault.Fired() - fired; got != n {
					t.Errorf("%s: %d were sent, want %d", when, got, n)
				}
				fired = fault.Fired()
				w.expectUploaded(2)
				if n := w.number(health.FragmentsRefused); n != 2 {
					t.Errorf("%s: %d fragments are counted as skipped, want each of 2 once", when, n)
				}
				if restart {
					must(t, w.store.Close())
					w.openStore()
					u = w.uploader(clock)
				}
			}
			expect("at first", 2)
			w.pass(23 * time.Hour)
			expect("within a day", 0)
			w.pass(2 * time.Hour)
			for day := range 5 {
				expect(fmt.Sprint("day ", day), map[bool]int{true: 2}[day < refused.MaxTries])
				w.pass(time.Hour)
				expect(fmt.Sprint("an hour later, day ", day), 0)
				w.pass(24 * time.Hour)
			}
			w.expectAll(w.want[1], w.want[4])
		})
	}
}

func TestOneThatIsTakenAfterAllFreesThoseOfItsCode(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	clock := w.pass(0)
	w.record(4, 3)
	times, other := w.refusing(4007, 1, 4, 5, 9), w.refusing(4010, 7)
	u := w.uploader(clock)
	w.drain(u)
	if w.refused() != 5 {
		t.Fatalf("%d are refused", w.refused())
	}
	// None of them is due any more by itself.
	for range refused.MaxTries {
		w.pass(25 * time.Hour)
		w.drain(u)
	}
	times.Clear()
	w.pass(25 * time.Hour)
	w.drain(u)
	if w.refused() != 5 {
		t.Fatalf("%d are refused", w.refused())
	}
	w.record(1, 1)
	w.refusing(4007, 12)
	w.drain(u)
	w.service.Faults().Clear()
	w.pass(25 * time.Hour)
	w.drain(u)
	w.expectAll(w.want[7])
	if got := w.store.Refused(door); len(got) != 1 || !segment.SameCode(got[0].Code, "4010") || other.Fired() != 1+refused.MaxTries {
		t.Errorf("refused are %+v", got)
	}
}

func TestAtMostAHundredADay(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	clock := w.pass(0)
	const all = 130
	w.record(13, 10)
	list := make([]int, all)
	for i := range list {
		list[i] = i
	}
	fault := w.refusing(4007, list...)
	u := w.uploader(clock)
	w.drain(u)
	for day, want := range []int{refused.MaxADay, refused.MaxADay, refused.MaxADay, 3*all - 3*refused.MaxADay, 0} {
		before := fault.Fired()
		w.pass(25 * time.Hour)
		w.drain(u)
		w.pass(time.Hour)
		if day%2 == 0 {
			must(t, w.store.Close())
			w.openStore()
			u = w.uploader(clock)
		}
		w.drain(u)
		if got := fault.Fired() - before; got != want {
			t.Errorf("day %d: %d were sent again, want %d", day, got, want)
		}
	}
	if w.refused() != all {
		t.Errorf("%d are refused", w.refused())
	}
}

// What is live goes first, always: nothing refused is queued while anything else is pending.
func TestRefusedFragmentsNeverGoBesideLive(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	clock := w.pass(0)
	w.record(1, 8)
	fault := w.refusing(4007, 0, 1, 2, 3, 4, 5, 6, 7)
	w.drain(w.uploader(clock))
	w.pass(25 * time.Hour)
	writer := w.create(640)
	for range 5 {
		w.fragment(writer, 2*time.Second, 300)
	}
	store := &jealous{watchedStore: w.store, t: t}
	// A refusal that was known must not delay the newest fragments.
	w.runLive(w.uploader(clock, func(o *Options) { o.Store, o.Retry = store, backoff.Policy{Min: time.Hour, Max: time.Hour} }))
	must(t, fault.Await(w.context(), 16))
	w.fragment(writer, 2*time.Second, 300)
	w.await(8 + 8 + 6) // refused twice, and live
	must(t, writer.Seal())
}

// jealous fails when something refused is queued while other media is pending.
type jealous struct {
	*watchedStore
	t *testing.T
}

func (j *jealous) Requeue(k segment.Key, starts []time.Duration, counted bool) error {
	if u := j.Usage(door); u.PendingDuration > 0 {
		j.t.Errorf("%v of media are pending", u.PendingDuration)
	}
	return j.watchedStore.Requeue(k, starts, counted)
}

// stubborn is a disk that does not queue the refused fragments of some segments.
type stubborn struct {
	*watchedStore
	mu    sync.Mutex
	fails map[segment.Key]bool // guarded by mu
	asked int                  // for these; guarded by mu
}

func (s *stubborn) Requeue(k segment.Key, starts []time.Duration, counted bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fails[k] {
		s.asked++
		return syscall.EIO
	}
	return s.watchedStore.Requeue(k, starts, counted)
}

func (s *stubborn) mends() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fails = nil
}

func (s *stubborn) expectAsked(t *testing.T, when string, n int) {
	t.Helper()
	if got := s.count(); got != n {
		t.Errorf("%s: it was asked %d times, want %d", when, got, n)
	}
}

func (s *stubborn) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func TestARefusedFragmentThatCannotBeQueuedHoldsUpNoSession(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	clock := w.pass(0)
	w.record(1, 2)
	w.refusing(4007, 0)
	w.drain(w.uploader(clock))
	w.service.Faults().Clear()
	w.pass(25 * time.Hour)
	store := &stubborn{watchedStore: w.store, fails: map[segment.Key]bool{w.store.Refused(door)[0].Key: true}}
	stop := w.run(w.uploader(clock, func(o *Options) { o.Store = store }))
	testtools.Eventually(t, patience, func() error { // nothing else is pending
		if store.count() == 0 {
			return errors.New("the refused fragment is not asked for")
		}
		return nil
	})
	before := w.service.Stats(door).Sessions
	writer := w.create(640)
	for n := range 10 {
		w.fragment(writer, 2*time.Second, 300)
		w.await(2 + n + 1)
	}
	if n := w.service.Stats(door).Sessions - before; n > 2 {
		t.Errorf("%d sessions for what is recorded", n)
	}
	store.expectAsked(t, "within a minute", 1)
	if !w.reports(codeStore) {
		t.Errorf("status says %+v", w.health.Snapshot())
	}
	store.mends()
	w.pass(queue.UnreadableFor + refused.LookEvery)
	w.fragment(writer, 2*time.Second, 300)
	w.await(2 + 10 + 2)
	testtools.Eventually(t, patience, func() error {
		if w.reports(codeStore) {
			return fmt.Errorf("status says %+v", w.health.Snapshot())
		}
		return nil
	})
	stop()
	must(t, writer.Seal())
	w.expectAll()
	if w.refused() != 0 || w.reports(codeStore) {
		t.Errorf("%d are refused; status says %+v", w.refused(), w.health.Snapshot())
	}
}

func TestARefusedFragmentThatCannotBeQueuedHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	clock := w.pass(0)
	w.record(3, 1)
	w.refusing(4007, 0, 1, 2)
	w.drain(w.uploader(clock))
	w.service.Faults().Clear()
	w.pass(25 * time.Hour)
	list := w.store.Refused(door)
	store := &stubborn{watchedStore: w.store, fails: map[segment.Key]bool{list[0].Key: true, list[1].Key: true}}
	u := w.uploader(clock, func(o *Options) { o.Store = store })
	for minute, asked := range []int{1, 2, 2, 2} {
		w.drain(u)
		store.expectAsked(t, fmt.Sprint("minute ", minute), asked)
		w.pass(refused.LookEvery)
	}
	w.expectAll(w.want[:2]...)
	w.pass(queue.UnreadableFor)
	w.drain(u)
	store.expectAsked(t, "later", 3)
	if !w.reports(codeStore) {
		t.Errorf("status says %+v", w.health.Snapshot())
	}
	// Those of a segment that was deleted are nobody's concern.
	must(t, w.store.Delete(list[0].Key))
	store.mends()
	w.pass(queue.UnreadableFor)
	w.drain(u)
	w.expectAll(w.want[0])
	if w.refused() != 0 || w.reports(codeStore) {
		t.Errorf("%d are refused; status says %+v", w.refused(), w.health.Snapshot())
	}
}

func TestRefusedFragmentsAreSentOnDemand(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	clock := w.pass(0)
	w.record(3, 3)
	w.refusing(4007, 1, 7)
	still := w.refusing(4010, 5)
	w.drain(w.uploader(clock))
	if w.refused() != 3 {
		t.Fatalf("%d are refused", w.refused())
	}
	w.service.Faults().Clear()
	w.refusing(4010, 5)
	w.record(2, 2) // is not asked for
	u := w.uploader(clock)
	var first, last Progress
	must(t, u.Refused(w.context(), func(p Progress) {
		if last = p; first.Total == 0 {
			first = p
		}
	}))
	if want := (Progress{Total: 3, Done: 3, Refused: 1, Finished: true}); fragmentsOf(t, last) != want || first.Total != 3 || first.Done != 0 {
		t.Errorf("it begins with %+v and ends with %+v, want %+v", first, last, want)
	}
	w.expectAll(append([]int64{w.want[5]}, w.want[9:]...)...)
	if w.refused() != 1 || still.Fired() != 1 {
		t.Errorf("refused are %+v", w.store.Refused(door))
	}
	must(t, u.Refused(w.context(), func(p Progress) { last = p }))
	w.service.Faults().Clear()
	must(t, u.Refused(w.context(), func(p Progress) { last = p }))
	must(t, u.Refused(w.context(), func(p Progress) { last = p }))
	if want := (Progress{Finished: true}); fragmentsOf(t, last) != want {
		t.Errorf("with nothing left it ends with %+v", last)
	}
	// An upload on demand of refused fragments reports them as refused.
	w.refusing(4007, 9)
	for range 2 {
		must(t, u.Range(w.context(), begin, begin.Add(time.Hour), func(p Progress) { last = p }))
		if last.Refused != 1 || last.Done != len(w.want) {
			t.Errorf("it ends with %+v", last)
		}
	}
}

// An ERROR that follows another one in a session does not count by itself: no fragment is refused for it,
// and no tags are left out.
func TestAnErrorBehindAnotherIsNoVerdict(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	w.record(2, 3)
	w.service.Faults().Inject(door, media.ErrorAt(media.AtFragmentStart, 4011).Of(w.want[2]).Then(4006))
	u := w.uploader()
	must(t, u.SetTags(someTags))
	w.drain(u)
	w.expectAll(w.want[2])
	w.expectTags(someTags)
	w.expectUploaded(1)
	if got := w.store.Refused(door); len(got) != 1 || got[0].Code != "4011 FRAMES_MISSING_FOR_TRACK" {
		t.Errorf("refused are %+v", got)
	}
	if w.sawCondition(codeTags, health.SystemError) {
		t.Error("tags were left out")
	}
}

// A hub without a free file descriptor, or a disk that fails once, costs seconds.
func TestASegmentThatCannotBeOpenedOnceIsTriedAgainInSeconds(t *testing.T) {
	t.Parallel()
	for name, run := range map[string]func(w *rig, u *Uploader) (stop func()){
		"live":   func(w *rig, u *Uploader) func() { return w.runLive(u) },
		"window": func(w *rig, u *Uploader) func() { return w.run(u) },
		"hourly": func(w *rig, u *Uploader) func() { w.drain(u); return func() {} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newRig(t, 24, roomy)
			w.record(3, 2)
			store := &fickle{watchedStore: w.store, segment: w.store.Segments(door, time.Time{}, time.Time{})[1].Key, opened: 1}
			watch := testtools.Stopwatch(t)
			stop := run(w, w.uploader(func(o *Options) { o.Store = store }))
			w.await(6)
			stop()
			w.expectAll()
			if took := watch(); took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// A service that repeats that a fragment is coming in, and never says that it is there, holds no session for ever.
func TestAServiceThatRepeatsItselfIsLeft(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	w.record(1, 3)
	var babbled atomic.Int32
	data := w.server.Config.Handler
	w.server.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/putMedia" || babbled.Add(1) > 2 {
			data.ServeHTTP(rw, r)
			return
		}
		controller := http.NewResponseController(rw)
		_ = controller.EnableFullDuplex()
		go func() { _, _ = io.Copy(io.Discard, r.Body) }()
		for r.Context().Err() == nil {
			fmt.Fprintf(rw, "{\"EventType\":\"BUFFERING\",\"FragmentTimecode\":%d,\"FragmentNumber\":\"1\"}\n", w.want[0])
			if controller.Flush() != nil {
				return
			}
			select {
			case <-time.After(10 * time.Millisecond):
			case <-r.Context().Done():
			}
		}
	})
	w.drain(w.uploader(func(o *Options) { o.StallTimeout = 200 * time.Millisecond }))
	w.expectOnce()
	if !w.sawCondition(codeUpload, health.SystemError) {
		t.Error("it is not reported")
	}
}
