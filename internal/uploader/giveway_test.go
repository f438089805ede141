package uploader

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/giveway"
)

// beside asks for all that the rig has recorded, and returns when the request has the lock.
func (w *rig) beside(ctx context.Context, u *Uploader) (last *Progress, ended <-chan error) {
	w.t.Helper()
	began, end := make(chan struct{}, 1), make(chan error, 1)
	last = new(Progress)
	to := w.next
	go func() {
		end <- u.Range(ctx, begin, to, func(p Progress) {
			*last = p
			select {
			case began <- struct{}{}:
			default:
			}
		})
	}()
	select {
	case <-began:
	case err := <-end:
		w.t.Fatalf("the request ends with %v", err)
	}
	return last, end
}

// TestARequestThatDoesNotGetThrough holds up neither live media nor, in the end, itself where the service names its fragment.
func TestARequestThatDoesNotGetThrough(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		fails   func(*rig)
		refused int
	}{
		"the connection breaks": {func(w *rig) {
			mark := binary.BigEndian.AppendUint64([]byte{0xE7, 0x88}, uint64(w.want[1]))
			w.filter = func(r io.Reader) io.Reader { return &poisonedBody{src: r, marks: [][]byte{mark}, hit: func() {}} }
		}, 0},
		"the service fails": {func(w *rig) { w.refusing(5000, 1) }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newRig(t, 24, roomy)
			w.record(1, 4)
			row.fails(w)
			u := w.uploader(func(o *Options) { o.Retry = backoff.Policy{Min: time.Millisecond, Max: 200 * time.Millisecond} })
			stop := w.runLive(u)
			w.await(3)
			ctx, abandon := context.WithCancel(w.context())
			defer abandon()
			last, ended := w.beside(ctx, u)
			writer := w.create(640)
			for n := range 10 {
				w.fragment(writer, 2*time.Second, 300)
				w.await(4 + n)
			}
			if row.refused == 0 {
				abandon()
			}
			if err := <-ended; row.refused > 0 && (err != nil || last.Refused != row.refused) || row.refused == 0 && !errors.Is(err, ctx.Err()) {
				t.Errorf("the request ends with %v, %+v", err, *last)
			}
			w.await(3 + 10 + row.refused) // what is refused is among those that are done
			must(t, writer.Seal())
			stop()
			w.expectAll(w.want[1])
		})
	}
}

// TestARequestThatMakesWay for the media of another stream's event does not keep the newest media of its own waiting.
func TestARequestThatMakesWay(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	w.record(1, 4)
	line := new(giveway.Line)
	line.Set("yard", giveway.Now)
	u := w.uploader(func(o *Options) { o.Line = line })
	w.runLive(u)
	w.await(1)
	_, ended := w.beside(w.context(), u)
	writer := w.create(640)
	w.fragment(writer, 2*time.Second, 300)
	w.await(2)
	must(t, writer.Seal())
	line.Set("yard", giveway.Nothing)
	must(t, <-ended)
	w.expectAll()
}

// TestTheMediaOfAnEventThatDoesNotGetThrough is left to who asks for it, and to a time that he knows, as soon as it keeps failing: others
// do not have the connection for their whole turn before it is tried again.
func TestTheMediaOfAnEventThatDoesNotGetThrough(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	w.record(1, 4)
	var marks [][]byte
	for _, at := range w.want {
		marks = append(marks, binary.BigEndian.AppendUint64([]byte{0xE7, 0x88}, uint64(at)))
	}
	w.filter = func(r io.Reader) io.Reader { return &poisonedBody{src: r, marks: marks, hit: func() {}} }
	u := w.uploader()
	u.turn = 2 * patience // of others
	var last Progress
	began := make(chan struct{})
	ended := make(chan error)
	go func() {
		ended <- u.Urgent(w.context(), begin, w.next, Growing{}, func(p Progress) {
			if last = p; p.Done == 0 {
				close(began)
			}
		})
	}()
	<-began
	ctx, stop := context.WithCancel(w.context())
	waits := make(chan error)
	go func() { waits <- u.Run(ctx) }()
	if err := <-ended; !errors.Is(err, errDeferred) || last.Done > 0 {
		t.Errorf("it ends with %v, %+v", err, last)
	}
	stop()
	<-waits
}
