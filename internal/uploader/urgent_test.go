package uploader

import (
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/giveway"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/pace"
)

// counted calls over once that many bytes were read.
type counted struct {
	io.Reader
	left int
	over func()
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if c.left -= n; c.left <= 0 {
		c.over()
	}
	return n, err
}

// Whatever can wait does so while the media of an event is sent, of whatever stream, and resumes.
func TestWhatCanWaitMakesWayForEvents(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		start func(*rig, *Uploader) (stop func())
		live  int // fragments that are sent all the same
	}{
		"a schedule": {(*rig).run, 0},
		"an hourly upload": {func(w *rig, u *Uploader) func() {
			done := make(chan struct{})
			go func() { defer close(done); _ = u.Drain(w.context()) }()
			return func() { <-done }
		}, 0},
		"on demand": {func(w *rig, u *Uploader) func() {
			done := make(chan struct{})
			go func() {
				defer close(done)
				_ = u.Range(w.context(), begin, begin.Add(time.Hour), func(Progress) {})
			}()
			return func() { <-done }
		}, 0},
		"the backlog of a live one": {(*rig).runLive, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newRig(t, 24, roomy)
			w.record(3, 4)
			line := new(giveway.Line)
			line.Set("yard", giveway.Now)
			stop := row.start(w, w.uploader(func(o *Options) { o.Line = line }))
			w.awaitState(stateMadeWay)
			if got := w.stored(); len(got) != row.live {
				t.Errorf("meanwhile %v are sent", w.relative(got))
			}
			line.Set("yard", giveway.Soon) // how long a fragment takes is not known, or is short
			w.await(len(w.want))
			line.Set("yard", giveway.Nothing)
			stop()
			w.expectAll()
			if n := len(w.stored()); n != len(w.want) {
				t.Errorf("%d fragments were sent, want %d", n, len(w.want))
			}
		})
	}
}

// A fragment that is being sent is finished if little of it is left, and broken off otherwise: that does not count as a failure.
func TestAFragmentThatIsBeingSentMakesWay(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		size     int // of each of five frames, at 100 kB/s
		finished int
	}{
		"long":  {400_000, 0}, // five of them 20 s
		"short": {10_000, 1},  // half a second
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newRig(t, 24, roomy)
			arrived := make(chan struct{})
			over := sync.OnceFunc(func() { close(arrived) })
			w.filter = func(body io.Reader) io.Reader { return &counted{Reader: body, left: 14_000, over: over} }
			writer := w.create(640)
			for range 2 {
				w.fragment(writer, 2*time.Second, row.size)
			}
			must(t, writer.Seal())
			rate, err := pace.ParseBandwidth("800k")
			must(t, err)
			line := new(giveway.Line)
			stop := w.run(w.uploader(func(o *Options) { o.Line, o.Bandwidth = line, rate }))
			<-arrived
			line.Set("yard", giveway.Now)
			w.awaitState(stateMadeWay)
			w.await(row.finished)
			if got := w.stored(); len(got) != row.finished {
				t.Errorf("%v are sent, want %d", w.relative(got), row.finished)
			}
			if list := w.health.Snapshot(); w.reports(codeUpload) {
				t.Errorf("it counts as a failure: %+v", list)
			}
			rate.Follow(nil)
			line.Set("yard", giveway.Nothing)
			w.await(2)
			stop()
			w.expectOnce()
		})
	}
}

// The media of an event takes priority over what a person asked for on the same stream, and that continues.
func TestAnEventGoesBeforeAnUploadOnDemand(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	w.record(3, 8)
	u := w.uploader(oneByOne)
	var event sync.WaitGroup
	from := time.UnixMilli(w.want[20])
	sent := -1
	must(t, u.Range(w.context(), begin, begin.Add(time.Hour), func(p Progress) {
		if p.Done != 3 || sent >= 0 {
			return
		}
		sent = p.Done
		event.Go(func() {
			if err := u.Urgent(w.context(), from, begin.Add(time.Hour), Growing{}, func(Progress) {}); err != nil {
				t.Error(err)
			}
		})
		testtools.Eventually(t, patience, func() error {
			if !u.lock.urgent() {
				return errors.New("the event does not ask for the connection")
			}
			return nil
		})
	}))
	event.Wait()
	got := w.stored()
	if i := slices.Index(got, w.want[20]); i < 3 || i > 5 || len(got) != len(w.want) {
		t.Errorf("the event's first fragment is number %d of %d: %v", i, len(got), w.relative(got))
	}
	w.expectAll()
}

// While an event is open its session waits for what is recorded next, unless the stream's own upload wants to send.
func TestAnEventsSessionStaysOpenWhileItGrows(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	writer := w.create(640)
	u := w.uploader()
	w.fragment(writer, 2*time.Second, 10_000)
	var over sync.WaitGroup
	ends := make(chan struct{})
	over.Go(func() {
		open := func() bool {
			select {
			case <-ends:
				return false
			default:
				return true
			}
		}
		if err := u.Urgent(w.context(), begin, begin.Add(time.Hour), Growing{GoesOn: open}, func(Progress) {}); err != nil {
			t.Error(err)
		}
	})
	for n := range 3 {
		w.await(n + 1)
		w.fragment(writer, 2*time.Second, 10_000)
	}
	close(ends)
	w.await(4)
	over.Wait()
	if n := w.service.Stats(door).Sessions; n != 1 {
		t.Errorf("%d sessions for an event that grows", n)
	}
	must(t, writer.Seal())
}

// An upload on demand that waits for the media of another stream's event has the connection, and yields at once to an event of
// its own stream.
func TestAnUploadOnDemandThatWaitsIsNotInTheWay(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	w.record(3, 4)
	line := new(giveway.Line)
	line.Set("yard", giveway.Now)
	u := w.uploader(func(o *Options) { o.Line = line })
	var asked sync.WaitGroup
	asked.Go(func() {
		if err := u.Range(w.context(), begin, begin.Add(time.Hour), func(Progress) {}); err != nil {
			t.Error(err)
		}
	})
	w.awaitState(stateMadeWay)
	// patience is shorter than the minute after which it looks by itself.
	must(t, u.Urgent(w.context(), time.UnixMilli(w.want[5]), time.UnixMilli(w.want[5]+1), Growing{}, func(Progress) {}))
	if got := w.stored(); !slices.Contains(got, w.want[5]) || len(got) > 2 {
		t.Errorf("%v are sent", w.relative(got))
	}
	line.Set("yard", giveway.Nothing)
	asked.Wait()
	w.expectAll()
}

// The stream's own upload does not wait for the media of an event that it sends itself, and nobody waits for it
// while it is held back.
func TestAScheduledUploadSendsTheMediaOfItsEventItself(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	writer := w.create(640)
	w.fragment(writer, 2*time.Second, 10_000)
	var mine atomic.Bool
	mine.Store(true)
	line := new(giveway.Line)
	u := w.uploader(func(o *Options) {
		o.Line = line
		o.Events = func(time.Time, time.Time) string {
			if mine.Load() {
				return "bell"
			}
			return ""
		}
	})
	stop := w.run(u)
	w.await(1)
	current := func(want bool) {
		t.Helper()
		testtools.Eventually(t, patience, func() error {
			if u.Current() != want {
				return errors.New("the upload is not as it should be")
			}
			return nil
		})
	}
	current(true)
	line.Set("door", giveway.Now)
	w.fragment(writer, 2*time.Second, 10_000)
	w.await(2)
	current(true)
	mine.Store(false)
	w.fragment(writer, 2*time.Second, 10_000)
	w.awaitState(stateMadeWay)
	current(false)
	if n := len(w.stored()); n != 2 {
		t.Errorf("%d fragments are sent", n)
	}
	line.Set("door", giveway.Nothing)
	w.await(3)
	must(t, writer.Seal())
	stop()
	w.expectOnce()
}
