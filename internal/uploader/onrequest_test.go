package uploader

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/refused"
)

// runOnRequest runs the uploader beside the test until stop, and waits until it rests.
func (w *rig) runOnRequest(u *Uploader) (stop func()) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := u.RunOnRequest(ctx); err != nil {
			w.t.Errorf("RunOnRequest: %v", err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	w.t.Cleanup(stop)
	w.rests()
	return stop
}

// rests waits until the upload on request has no more to do.
func (w *rig) rests() {
	w.t.Helper()
	testtools.Eventually(w.t, patience, func() error {
		part := w.health.Component(door, health.JobUploader).Snapshot()
		if part.State != stateOnRequest || len(part.Conditions) > 0 {
			return errors.New("it is " + part.State)
		}
		return nil
	})
}

// request asks for the fragments from one index to another.
func (w *rig) request(u *Uploader, from, to int) {
	w.t.Helper()
	var last Progress
	must(w.t, u.Range(w.context(), time.UnixMilli(w.want[from]), time.UnixMilli(w.want[to]), func(p Progress) { last = p }))
	if !last.Finished || last.Total != to-from {
		w.t.Errorf("a request of %d fragments ends with %+v", to-from, last)
	}
}

func (w *rig) states() (list []segment.State) {
	for _, s := range w.store.Segments(door, time.Time{}, time.Time{}) {
		list = append(list, s.State)
	}
	return list
}

// TestOnRequestNothingElseIsUploaded, before, between and after requests, and a segment is uploaded when all of it was requested.
func TestOnRequestNothingElseIsUploaded(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	w.record(3, 4)
	u := w.uploader()
	stop := w.runOnRequest(u)
	w.request(u, 5, 6)
	w.request(u, 1, 3)
	if got, want := w.stored(), []int64{w.want[5], w.want[1], w.want[2]}; !slices.Equal(got, want) {
		t.Errorf("the service has %v, want %v", w.relative(got), w.relative(want))
	}
	w.request(u, 4, 8) // the rest of a segment
	w.rests()
	if got, want := w.states(), []segment.State{segment.Sealed, segment.Uploaded, segment.Sealed}; !slices.Equal(got, want) {
		t.Errorf("the segments are %v, want %v", got, want)
	}
	if done := w.number(health.BacklogDoneTime); done != 0 {
		t.Errorf("the backlog is to be done at %d", done)
	}
	stop()
	w.drain(w.uploader()) // another mode
	w.expectAll()
	w.expectUploaded(0)
	if got := w.stored(); len(got) != len(w.want) {
		t.Errorf("fragments came twice: %v", w.relative(got))
	}
}

// TestASegmentThatWasUploadedWhileItWasRecorded is uploaded once it is sealed, also after a restart.
func TestASegmentThatWasUploadedWhileItWasRecorded(t *testing.T) {
	t.Parallel()
	for _, restart := range []bool{false, true} {
		w := newRig(t, 24, roomy)
		w.record(1, 2)
		writer := w.create(640)
		w.fragment(writer, 2*time.Second, 300)
		w.fragment(writer, 2*time.Second, 300)
		u := w.uploader()
		must(t, u.Range(w.context(), time.UnixMilli(w.want[2]), w.next, func(Progress) {}))
		since := u.settleSince(t.Context(), time.Time{})
		if got := w.states(); !slices.Equal(got, []segment.State{segment.Sealed, segment.Writing}) {
			t.Errorf("the segments are %v", got)
		}
		must(t, writer.Seal())
		if restart {
			u, since = w.uploader(), time.Time{}
		}
		u.settleSince(t.Context(), since)
		if got := w.states(); !slices.Equal(got, []segment.State{segment.Sealed, segment.Uploaded}) {
			t.Errorf("restart %v: the segments are %v", restart, got)
		}
	}
}

// TestAProblemEndsWithItsRequest: when somebody abandons a request, nothing is left that has a problem.
func TestAProblemEndsWithItsRequest(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	w.record(1, 4)
	u := w.uploader()
	w.runOnRequest(u)
	w.network.breakDown(func(context.Context) (net.Conn, error) { return nil, errors.New("no network") })
	ctx, abandon := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- u.Range(ctx, begin, begin.Add(time.Hour), func(Progress) {}) }()
	testtools.Eventually(t, patience, func() error {
		if !w.reports(codeUpload) {
			return errors.New("no problem yet")
		}
		return nil
	})
	abandon()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("it ends with %v", err)
	}
	w.rests()
	w.network.breakDown(nil)
	w.request(u, 0, 3)
}

// TestWhatWasRefusedIsSentAgainOnRequestToo, once a day, and with it nothing that was never requested.
func TestWhatWasRefusedIsSentAgainOnRequestToo(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	clock := w.pass(0)
	w.record(2, 3)
	w.refusing(4007, 1)
	u := w.uploader(clock)
	must(t, u.Range(w.context(), time.UnixMilli(w.want[0]), time.UnixMilli(w.want[2]), func(Progress) {}))
	if n := w.refused(); n != 1 {
		t.Fatalf("%d fragments are refused", n)
	}
	w.service.Faults().Clear()
	w.pass(25 * time.Hour)
	w.health.Component(door, health.JobUploader).OK(scopeRefused)
	u.refused = refused.New(refused.Options{
		Stream: door, Store: w.store, Now: u.o.Now, Log: u.o.Log, PassedOver: u.queue.PassedOver, Unreadable: u.report.unreadable,
	})
	w.runOnRequest(u)
	if got, want := w.stored(), w.want[:2]; !slices.Equal(got, want) {
		t.Errorf("the service has %v, want %v", w.relative(got), w.relative(want))
	}
	if n := w.refused(); n != 0 {
		t.Errorf("%d fragments are refused", n)
	}
}

// awaitRefused waits until one fragment is refused, and returns it.
func (w *rig) awaitRefused() (one segment.Refused) {
	w.t.Helper()
	testtools.Eventually(w.t, patience, func() error {
		list := w.store.Refused(door)
		if len(list) != 1 {
			return fmt.Errorf("%d fragments are refused", len(list))
		}
		one = list[0]
		return nil
	})
	return one
}

// refusedOnce has the rig's second fragment refused, a day ago. Nothing was sent.
func (w *rig) refusedOnce(code string) (clock func(*Options)) {
	w.t.Helper()
	clock = w.pass(0)
	w.record(1, 4)
	f := w.fragments()[1]
	must(w.t, w.store.MarkRefused(f.Key, f.Stored, code))
	w.pass(25 * time.Hour)
	return clock
}

// TestARefusedFragmentThatKeepsFailing is tried a few times a day, and on three days, as the service does not say that it refuses it.
func TestARefusedFragmentThatKeepsFailing(t *testing.T) {
	t.Parallel()
	const code = "5000 INTERNAL_ERROR"
	w := newRig(t, 24, roomy)
	clock := w.refusedOnce(code)
	fault := w.refusing(5000, 1)
	u := w.uploader(clock)
	before := 0
	for day := range refused.MaxTries {
		stop := w.runOnRequest(u)
		if one := w.awaitRefused(); one.Code != code || one.Tries != day+1 {
			t.Errorf("day %d: it is refused as %+v", day, one)
		}
		w.request(u, 2, 3)
		if n := fault.Fired() - before; n < 2 || n > 10 {
			t.Errorf("day %d: it was sent %d times", day, n)
		}
		before = fault.Fired()
		stop()
		w.pass(25 * time.Hour)
		u = w.uploader(clock)
	}
	w.runOnRequest(u)
	if fault.Fired() != before || w.refused() != 1 {
		t.Errorf("later it was sent %d times; %d are refused", fault.Fired()-before, w.refused())
	}
}

// TestARequestGoesBeforeWhatWasRefused, also while the service does not answer for that: the try does not count, and is made again behind
// the request.
func TestARequestGoesBeforeWhatWasRefused(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	clock := w.refusedOnce(refusal)
	u := w.uploader(clock, func(o *Options) { o.StallTimeout = time.Hour })
	arrived := make(chan struct{})
	var puts atomic.Int32
	w.answer = func(rw http.ResponseWriter, r *http.Request, service http.Handler) {
		if puts.Add(1) == 1 {
			close(arrived)
			_, _ = io.Copy(io.Discard, r.Body)
			return
		}
		service.ServeHTTP(rw, r)
	}
	ctx, cancel := context.WithCancel(w.context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	running.Go(func() { _ = u.RunOnRequest(ctx) })
	<-arrived
	w.request(u, 2, 3)
	testtools.Eventually(t, patience, func() error {
		if got, want := w.stored(), []int64{w.want[2], w.want[1]}; !slices.Equal(got, want) {
			return fmt.Errorf("the service has %v", w.relative(got))
		}
		return nil
	})
	w.rests()
	w.expectRefused()
}

// TestNobodyWaitsForTheConnectionAtRest: who has it would end sooner for that, or step aside for longer.
func TestNobodyWaitsForTheConnectionAtRest(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	w.record(1, 2)
	synctest.Test(t, func(t *testing.T) {
		u := w.uploader()
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- u.RunOnRequest(ctx) }()
		synctest.Wait()
		request := u.lock.request(true)
		must(t, u.lock.lock(ctx))
		u.lock.ended.Set() // of another one
		time.Sleep(2 * refused.LookEvery)
		if u.lock.wanted() {
			t.Error("somebody waits for it")
		}
		u.lock.unlock()
		request.end()
		stop()
		must(t, <-ended)
	})
}
