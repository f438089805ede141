package supervise

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

func TestWhatPanicsIsBegunAnewAndSaysSo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		part := health.NewRegistry(time.Now).Component("", health.JobRetention)
		ctx, stop := context.WithCancel(t.Context())
		runs, left := 0, context.Context(nil)
		ended := make(chan error, 1)
		go func() {
			o := Options{What: "Deleting old media", Component: part, Log: zap.NewNop(), Pause: backoff.Policy{Min: time.Second, Max: time.Minute}}
			ended <- Keep(ctx, o, func(ctx context.Context) error {
				if runs++; runs == 1 {
					left = ctx
				}
				if runs <= 2 {
					panic("planted")
				}
				<-ctx.Done()
				return nil
			})
		}()
		synctest.Wait()
		if c, ok := part.Snapshot().Worst(); !ok || !strings.HasPrefix(c.Text, "Deleting old media was stopped by an internal error") {
			t.Errorf("it says %+v", c)
		}
		if left.Err() == nil {
			t.Error("work that the broken run started continues")
		}
		time.Sleep(time.Minute) // in the bubble: at most 1 s and 2 s are waited
		synctest.Wait()
		if c, ok := part.Snapshot().Worst(); ok || runs != 3 {
			t.Errorf("after %d runs it still says %+v", runs, c)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestAnErrorIsPassedOn(t *testing.T) {
	t.Parallel()
	failed := errors.New("no luck")
	o := Options{What: "It", Component: health.NewRegistry(time.Now).Component("", health.JobConfig), Log: zap.NewNop()}
	if err := Keep(t.Context(), o, func(context.Context) error { return failed }); !errors.Is(err, failed) {
		t.Error(err)
	}
}

func TestTheCauseNamesWhatPanicked(t *testing.T) {
	t.Parallel()
	err := Do("It", func() error { breakDown(); return nil })
	fault := health.FaultOf(err, "")
	for _, part := range []string{"panic: planted", "supervise.breakDown"} {
		if !strings.Contains(fault.Err.Error(), part) {
			t.Errorf("the cause lacks %q: %v", part, fault.Err)
		}
	}
}

//go:noinline
func breakDown() { panic("planted") }
