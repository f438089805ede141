package agent

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// A job that is told to stop goes on until its fragment is sent. Whoever wants the next one must not
// ask this one over and over.
func TestAJobThatEndsIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var d onDemand
		inFlight := make(chan struct{})
		begin := func() (stop func()) {
			ctx, stop := context.WithCancel(t.Context())
			run := d.registerWhile("door", nil, func(ctx context.Context) error {
				<-ctx.Done()
				<-inFlight
				return nil
			})
			go func() { _ = run(ctx) }()
			synctest.Wait()
			return stop
		}
		stop := begin()
		stop()
		synctest.Wait()
		found := false
		go func() {
			d.await(t.Context(), "door", time.Hour)
			found = true
		}()
		synctest.Wait()
		if found {
			t.Error("it found the job that ends")
		}
		close(inFlight)
		synctest.Wait()
		if found {
			t.Error("it found a job where there is none")
		}
		defer begin()()
		if !found {
			t.Error("it did not find the next job")
		}
	})
}
