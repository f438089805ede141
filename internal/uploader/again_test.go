package uploader

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/meter"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/giveway"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/refused"
)

const refusal = "4007 INVALID_PRODUCER_TIMESTAMP"

// expectRefused checks that these fragments are refused, with their code, and that no try of them counts.
func (w *rig) expectRefused(of ...int) {
	w.t.Helper()
	list := w.store.Refused(door)
	if len(list) != len(of) {
		w.t.Fatalf("refused are %+v, want %d", list, len(of))
	}
	for i, r := range list {
		if at := r.Key.Start + r.Fragment.Start.Milliseconds(); at != w.want[of[i]] || r.Code != refusal || r.Tries != 0 {
			w.t.Errorf("refused is %+v", r)
		}
	}
}

// awaitRefusedAgain waits until these fragments are refused as they were.
func (w *rig) awaitRefusedAgain(of ...int) {
	w.t.Helper()
	testtools.Eventually(w.t, patience, func() error {
		if n := w.refused(); n != len(of) {
			return fmt.Errorf("%d fragments are refused", n)
		}
		return nil
	})
	w.expectRefused(of...)
}

// TestRefusedFragmentsOfAnUploadThatIsBrokenOff stay refused: no other upload sends them on request. The next request finds them, however
// soon it comes.
func TestRefusedFragmentsOfAnUploadThatIsBrokenOff(t *testing.T) {
	t.Parallel()
	for _, atOnce := range []bool{false, true} {
		w := newRig(t, 24, roomy)
		w.record(2, 3)
		moves := &counting{watchedStore: w.store}
		u := w.uploader(func(o *Options) { o.Store = moves })
		for _, i := range []int{1, 2, 4} {
			f := w.fragments()[i]
			must(t, w.store.MarkRefused(f.Key, f.Stored, refusal))
		}
		w.runOnRequest(u)
		w.network.breakDown(func(context.Context) (net.Conn, error) { return nil, errors.New("no network") })
		ctx, abandon := context.WithCancel(w.context())
		ended := make(chan error)
		go func() { ended <- u.Refused(ctx, func(Progress) {}) }()
		testtools.Eventually(t, patience, func() error {
			if !w.reports(codeUpload) {
				return errors.New("no problem yet")
			}
			return nil
		})
		moves.n.Store(0)
		abandon()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("it ends with %v", err)
		}
		if !atOnce {
			w.awaitRefusedAgain(1, 2, 4)
			w.rests()
			if n := moves.n.Load(); n != 2 {
				t.Errorf("%d segments were read to move them, of 2", n)
			}
		}
		w.network.breakDown(nil)
		var last Progress
		must(t, u.Refused(w.context(), func(p Progress) { last = p }))
		if last.Total != 3 || last.Done != 3 || last.Refused != 0 {
			t.Errorf("at once %v: it ends with %+v", atOnce, last)
		}
		w.expectAll(w.want[0], w.want[3], w.want[5])
	}
}

// counting counts how often a segment is to be moved.
type counting struct {
	*watchedStore
	n atomic.Int32
}

func (s *counting) MarkUploaded(k segment.Key) error {
	s.n.Add(1)
	return s.watchedStore.MarkUploaded(k)
}

// TestAnAbandonedRequestEndsAtOnce, also where another has the connection: what it leaves is refused again behind that.
func TestAnAbandonedRequestEndsAtOnce(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	w.record(1, 3)
	f := w.fragments()[1]
	must(t, w.store.MarkRefused(f.Key, f.Stored, refusal))
	line := new(giveway.Line)
	u := w.uploader(func(o *Options) { o.Line = line })
	w.runOnRequest(u)
	line.Set("yard", giveway.Now)
	ctx, abandon := context.WithCancel(w.context())
	ended := make(chan error)
	go func() { ended <- u.Refused(ctx, func(Progress) {}) }()
	w.awaitState(stateMadeWay)
	must(t, u.lock.lock(w.context())) // for hours
	abandon()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("it ends with %v", err)
	}
	if n := u.lock.open.Load(); n != 0 {
		t.Errorf("%d requests are open", n)
	}
	u.lock.unlock()
	u.lock.ended.Set()
	w.awaitRefusedAgain(1)
}

// leftOver has these fragments refused, and pending again, as an upload leaves them that is killed.
func (w *rig) leftOver(of ...int) {
	w.t.Helper()
	list := w.fragments()
	for _, i := range of {
		must(w.t, w.store.MarkRefused(list[i].Key, list[i].Stored, refusal))
	}
	for _, i := range of {
		must(w.t, w.store.Requeue(list[i].Key, []time.Duration{list[i].Stored.Start}, false))
	}
}

// TestRefusedFragmentsAmongOthers that were never sent are refused again too, after an upload that was killed.
func TestRefusedFragmentsAmongOthers(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	w.record(2, 4)
	w.leftOver(1, 2, 7)
	must(t, w.store.Close())
	w.openStore()
	w.runOnRequest(w.uploader())
	w.expectRefused(1, 2, 7)
	if got := w.states(); got[0] != segment.Sealed || got[1] != segment.Sealed {
		t.Errorf("the segments are %v", got)
	}
}

// runLiveSince runs the uploader beside the test, from a fragment on.
func (w *rig) runLiveSince(u *Uploader, from int) {
	ctx, cancel := context.WithCancel(w.context())
	var running sync.WaitGroup
	running.Go(func() { _ = u.RunLiveSince(ctx, time.UnixMilli(w.want[from])) })
	w.t.Cleanup(func() { cancel(); running.Wait() })
}

// TestRefusedFragmentsBesideAnOpenRequest are refused again once that has ended, whatever it is for.
func TestRefusedFragmentsBesideAnOpenRequest(t *testing.T) {
	t.Parallel()
	for name, run := range map[string]func(*rig, *Uploader){
		"on request": func(w *rig, u *Uploader) {
			ctx, cancel := context.WithCancel(w.context())
			var running sync.WaitGroup
			running.Go(func() { _ = u.RunOnRequest(ctx) })
			w.t.Cleanup(func() { cancel(); running.Wait() })
		},
		"live since": func(w *rig, u *Uploader) { w.runLiveSince(u, 2) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newRig(t, 24, roomy)
			w.record(2, 2)
			w.leftOver(0)
			line := new(giveway.Line)
			line.Set("yard", giveway.Now)
			u := w.uploader(func(o *Options) { o.Line = line })
			ended := make(chan error)
			go func() { ended <- u.Range(w.context(), time.UnixMilli(w.want[2]), w.next, func(Progress) {}) }()
			w.awaitState(stateMadeWay)
			run(w, u)
			line.Set("yard", giveway.Nothing)
			must(t, <-ended)
			w.awaitRefusedAgain(0)
			w.expectAll(w.want[:2]...)
		})
	}
}

// TestRefusedFragmentsWhoseNotesAreUnread at the start are refused again once they are read.
func TestRefusedFragmentsWhoseNotesAreUnread(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		run  func(*rig, *Uploader)
		next func(*rig, *Uploader) // something happens on the stream
	}{
		"on request": {
			func(w *rig, u *Uploader) { w.runOnRequest(u) },
			func(w *rig, u *Uploader) { w.request(u, 2, 3) },
		},
		"live since": {
			func(w *rig, u *Uploader) { w.runLiveSince(u, 2); w.await(2) },
			func(w *rig, _ *Uploader) {
				w.waited.Add(int64(refused.LookEvery))
				w.record(1, 1)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newRig(t, 24, roomy)
			w.record(2, 2)
			w.leftOver(0)
			readable := w.forget()
			u := w.uploader(func(o *Options) { o.IdleTimeout = time.Hour })
			row.run(w, u)
			readable()
			row.next(w, u)
			w.awaitRefusedAgain(0)
		})
	}
}

// stopping calls stop with the first read of a segment, or change of one.
type stopping struct {
	*watchedStore
	stop context.CancelFunc
	n    atomic.Int32
}

func (s *stopping) note() {
	s.n.Add(1)
	s.stop()
}

func (s *stopping) OpenSegment(k segment.Key) (*segment.Reader, error) {
	s.note()
	return s.watchedStore.OpenSegment(k)
}

func (s *stopping) MarkUploaded(k segment.Key) error {
	s.note()
	return s.watchedStore.MarkUploaded(k)
}

func (s *stopping) Requeue(k segment.Key, starts []time.Duration, counted bool) error {
	s.note()
	return s.watchedStore.Requeue(k, starts, counted)
}

// TestAStopWaitsForOneSegment at most, however many there are to be read, and however slow the disk is.
func TestAStopWaitsForOneSegment(t *testing.T) {
	t.Parallel()
	each := func(of int, do func(*rig, int)) func(*rig) {
		return func(w *rig) {
			for i := range w.want {
				if i%2 == of {
					do(w, i)
				}
			}
		}
	}
	refuse := func(w *rig, i int) {
		f := w.fragments()[i]
		must(w.t, w.store.MarkRefused(f.Key, f.Stored, refusal))
	}
	onRequest := func(ctx context.Context, u *Uploader) error { return u.RunOnRequest(ctx) }
	for name, row := range map[string]struct {
		before func(*rig)
		run    func(context.Context, *Uploader) error
	}{
		"fragments that are left": {each(0, func(w *rig, i int) { w.leftOver(i) }), onRequest},
		"segments that are complete": {func(w *rig) {
			for _, f := range w.fragments() {
				must(w.t, w.store.MarkPersisted(f.Key, f.Stored))
			}
		}, onRequest},
		"a request for a time": {func(*rig) {}, func(ctx context.Context, u *Uploader) error {
			return u.Range(ctx, begin, begin.Add(time.Hour), func(Progress) {})
		}},
		"a request for what is refused": {each(0, refuse), func(ctx context.Context, u *Uploader) error {
			return u.Refused(ctx, func(Progress) {})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newRig(t, 24, roomy)
			w.record(10, 2)
			row.before(w)
			ctx, stop := context.WithCancel(w.context())
			store := &stopping{watchedStore: w.store, stop: stop}
			u := w.uploader(func(o *Options) { o.Store = store })
			if err := row.run(ctx, u); err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("it ends with %v", err)
			}
			if n := store.n.Load(); n < 1 || n > 2 { // a segment may be read twice
				t.Errorf("%d segments are read or changed", n)
			}
			if !u.lock.try() || u.lock.open.Load() > 0 {
				t.Error("it keeps its place")
			}
		})
	}
}

// TestRefusedFragmentsOfAnEarlierUpload that was killed while it sent them again are refused again, but for those that the upload sends.
func TestRefusedFragmentsOfAnEarlierUpload(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		run  func(*Uploader, context.Context, time.Time) error
		sent int // from this fragment on
	}{
		"on request": {func(u *Uploader, ctx context.Context, _ time.Time) error { return u.RunOnRequest(ctx) }, 6},
		"live since": {(*Uploader).RunLiveSince, 4},
		"live":       {func(u *Uploader, ctx context.Context, _ time.Time) error { return u.RunLive(ctx) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newRig(t, 24, roomy)
			w.record(3, 2)
			fragments := w.fragments()
			for _, i := range []int{0, 1, 3, 5} {
				must(t, w.store.MarkRefused(fragments[i].Key, fragments[i].Stored, refusal))
			}
			must(t, w.store.MarkPersisted(fragments[2].Key, fragments[2].Stored))
			must(t, w.store.MarkPersisted(fragments[4].Key, fragments[4].Stored))
			for _, i := range []int{0, 1, 3, 5} {
				must(t, w.store.Requeue(fragments[i].Key, []time.Duration{fragments[i].Stored.Start}, false))
			}
			must(t, w.store.Close())
			w.openStore()
			ctx, cancel := context.WithCancel(w.context())
			var running sync.WaitGroup
			running.Go(func() { _ = row.run(w.uploader(), ctx, time.UnixMilli(w.want[4])) })
			want := []int{0, 1, 3, 5}
			for len(want) > 0 && want[len(want)-1] >= row.sent {
				want = want[:len(want)-1]
			}
			testtools.Eventually(t, patience, func() error {
				if w.refused() != len(want) || len(w.stored()) != 4-len(want) {
					return errors.New("not yet")
				}
				return nil
			})
			cancel()
			running.Wait()
			w.expectRefused(want...)
		})
	}
}

// TestLiveSinceLeavesWhatWasRefusedBefore to requests, also where it is due.
func TestLiveSinceLeavesWhatWasRefusedBefore(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	clock := w.pass(0)
	w.record(3, 2)
	for _, i := range []int{1, 4} {
		f := w.fragments()[i]
		must(t, w.store.MarkRefused(f.Key, f.Stored, refusal))
	}
	w.pass(25 * time.Hour)
	u := w.uploader(clock)
	ctx, cancel := context.WithCancel(w.context())
	var running sync.WaitGroup
	running.Go(func() { _ = u.RunLiveSince(ctx, time.UnixMilli(w.want[3])) })
	w.await(2 + 3) // noted as refused, and sent
	w.awaitState(stateIdle)
	cancel()
	running.Wait()
	w.expectRefused(1)
	w.expectAll(w.want[:3]...)
}

// full is a cap that nothing is left of.
type full struct{ uncapped }

func (full) May(meter.Class, int64) meter.Answer  { return meter.Refused }
func (full) Take(meter.Class, int64) meter.Answer { return meter.Refused }
func (full) Fault(stream string) *health.Fault {
	return health.UserFault(meter.CodeReached, nil, "The cap for %s is reached.", stream)
}

// TestAtTheCapNothingRefusedIsTried: it stays refused, and is due as before.
func TestAtTheCapNothingRefusedIsTried(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	clock := w.refusedOnce(refusal)
	w.runOnRequest(w.uploader(clock, func(o *Options) { o.Cap = full{} }))
	w.expectRefused(1)
	if at := w.store.Refused(door)[0].At; !at.Equal(begin) {
		t.Errorf("it was tried at %v", at)
	}
}
