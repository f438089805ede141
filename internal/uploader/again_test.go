package uploader

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/meter"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
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

// TestRefusedFragmentsOfAnUploadThatIsBrokenOff stay refused: no other upload sends them on request, and no other request finds them.
func TestRefusedFragmentsOfAnUploadThatIsBrokenOff(t *testing.T) {
	t.Parallel()
	w := newRig(t, 24, roomy)
	w.record(2, 3)
	u := w.uploader()
	for _, i := range []int{1, 4} {
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
	abandon()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("it ends with %v", err)
	}
	w.expectRefused(1, 4)
	w.network.breakDown(nil)
	var last Progress
	must(t, u.Refused(w.context(), func(p Progress) { last = p }))
	if last.Total != 2 || last.Done != 2 || last.Refused != 0 {
		t.Errorf("it ends with %+v", last)
	}
	w.expectAll(w.want[0], w.want[2], w.want[3], w.want[5])
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
