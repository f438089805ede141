package uploader

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
	"github.com/kvs-edge/kvs-edge-agent/internal/meter"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/giveway"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/queue"
)

// fragments lists those of the rig's recordings.
func (w *rig) fragments() (list []queue.Fragment) {
	w.t.Helper()
	for _, s := range w.store.Segments(door, time.Time{}, time.Time{}) {
		stored, err := queue.ListFragments(w.store, s.Key)
		must(w.t, err)
		for _, f := range stored {
			list = append(list, queue.NewFragment(w.store, s.Key, f))
		}
	}
	return list
}

// TestASpareFragmentIsSentAlone, once, whatever is on the disk beside it, and counts as any other.
func TestASpareFragmentIsSentAlone(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	w.record(2, 4)
	u := w.uploader()
	list := w.fragments()
	if err := u.Spare(w.context(), list[5]); !errors.Is(err, ErrMadeWay) { // nothing runs
		t.Errorf("without a job it ends with %v", err)
	}
	if got := w.stored(); len(got) > 0 || u.Rests() {
		t.Errorf("without a job %v is sent", w.relative(got))
	}
	stop := w.runOnRequest(u)
	if !u.Rests() {
		t.Fatal("it does not rest")
	}
	for range 2 {
		must(t, u.Spare(w.context(), list[5]))
	}
	if got := w.stored(); !slices.Equal(got, []int64{w.want[5]}) {
		t.Errorf("the service has %v", w.relative(got))
	}
	w.request(u, 4, 7)
	if got, want := w.stored(), []int64{w.want[5], w.want[4], w.want[6]}; !slices.Equal(got, want) {
		t.Errorf("the service has %v, want %v", w.relative(got), w.relative(want))
	}
	w.rests()
	stop()
	if u.Rests() {
		t.Error("it rests after its end")
	}
}

// TestARequestGoesBeforeASpareFragment: also one that arrives while the service does not answer for the spare one.
func TestARequestGoesBeforeASpareFragment(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	w.record(1, 4)
	u := w.uploader(func(o *Options) { o.StallTimeout = time.Hour })
	w.runOnRequest(u)
	list := w.fragments()
	arrived, first := make(chan struct{}), true
	w.answer = func(rw http.ResponseWriter, r *http.Request, service http.Handler) {
		if first {
			first = false
			close(arrived)
			_, _ = io.Copy(io.Discard, r.Body)
			return
		}
		service.ServeHTTP(rw, r)
	}
	sent := make(chan error, 1)
	go func() { sent <- u.Spare(w.context(), list[3]) }()
	<-arrived
	w.request(u, 0, 2)
	if err := <-sent; !errors.Is(err, ErrMadeWay) {
		t.Errorf("it ends with %v", err)
	}
	if got := w.stored(); !slices.Equal(got, w.want[:2]) {
		t.Errorf("the service has %v", w.relative(got))
	}
	release := u.lock.request(false).end
	if err := u.Spare(w.context(), list[3]); !errors.Is(err, ErrMadeWay) {
		t.Errorf("while somebody asks it ends with %v", err)
	}
	release()
	w.rests()
	must(t, u.Spare(w.context(), list[3]))
	if got := w.stored(); !slices.Equal(got, []int64{w.want[0], w.want[1], w.want[3]}) {
		t.Errorf("the service has %v", w.relative(got))
	}
}

// TestWhatFailsOfASpareFragmentIsReturned, at once, and no condition is raised.
func TestWhatFailsOfASpareFragmentIsReturned(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	w.record(1, 2)
	u := w.uploader()
	stop := w.runOnRequest(u)
	list := w.fragments()
	w.service.Faults().Inject(door, media.ErrorAt(media.AtFragmentStart, 5000).Times(1))
	err := u.Spare(w.context(), list[1])
	if fault := new(health.Fault); !errors.As(err, &fault) || fault.Code != codeUpload {
		t.Fatalf("it ends with %v", err)
	}
	testtools.Eventually(t, patience, func() error {
		if s := w.health.Component(door, health.JobUploader).Snapshot(); s.State != stateOnRequest {
			return errors.New(s.State)
		}
		return nil
	})
	if w.sawCondition(codeUpload, health.SystemError) {
		t.Error("a condition was raised")
	}
	must(t, u.Spare(w.context(), list[1]))
	if got := w.stored(); !slices.Equal(got, []int64{w.want[1]}) {
		t.Errorf("the service has %v", w.relative(got))
	}

	m, _ := w.metered("1MB/day")
	use(t, m, 899_900)
	w.recordLarge(1)
	stop()
	u = w.uploader(func(o *Options) { o.Cap = m })
	w.runOnRequest(u)
	list = w.fragments()
	err = u.Spare(w.context(), list[len(list)-1])
	if fault := new(health.Fault); !errors.As(err, &fault) || fault.Code != meter.CodeReached {
		t.Errorf("at the share of the backlog it ends with %v", err)
	}
	ctx, cancel := context.WithCancel(w.context())
	cancel()
	if err := u.Spare(ctx, list[len(list)-1]); !errors.Is(err, context.Canceled) {
		t.Errorf("after its end it ends with %v", err)
	}
	if got := w.stored(); len(got) != 1 {
		t.Errorf("the service has %v", w.relative(got))
	}
}

// TestASpareFragmentThatIsNotSent is never said to be.
func TestASpareFragmentThatIsNotSent(t *testing.T) {
	t.Parallel()
	code := func(want string) func(error) bool {
		return func(err error) bool {
			fault := new(health.Fault)
			return errors.As(err, &fault) && fault.Code == want
		}
	}
	for name, row := range map[string]struct {
		fails func(*rig, *Options)
		says  func(error) bool
	}{
		"the media of an event goes first": {func(_ *rig, o *Options) {
			o.Line = new(giveway.Line)
			o.Line.Set("yard", giveway.Now)
		}, func(err error) bool { return errors.Is(err, ErrMadeWay) }},
		"it cannot be read":  {func(w *rig, o *Options) { o.Store = unopened{w.store} }, code(codeStore)},
		"it is refused":      {func(w *rig, _ *Options) { w.refusing(4006, 1) }, code(codeRefused)},
		"the cap is used up": {func(_ *rig, o *Options) { o.Cap = full{} }, code(meter.CodeReached)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newRig(t, 24, roomy)
			w.record(1, 2)
			list := w.fragments()
			u := w.uploader(func(o *Options) { row.fails(w, o) })
			w.runOnRequest(u)
			if err := u.Spare(w.context(), list[1]); !row.says(err) {
				t.Errorf("it ends with %v", err)
			}
			if got := w.stored(); len(got) > 0 {
				t.Errorf("the service has %v", w.relative(got))
			}
		})
	}
}

// unopened is a disk that fails to open a segment.
type unopened struct{ *watchedStore }

func (unopened) OpenSegment(segment.Key) (*segment.Reader, error) {
	return nil, &fs.PathError{Op: "open", Path: "segment", Err: syscall.EIO}
}
