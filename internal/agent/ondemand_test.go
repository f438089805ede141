package agent

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A hub without the cloud says so, and not that it has no such stream.
func TestWhyAStreamCannotBeUploaded(t *testing.T) {
	t.Parallel()
	for noCloud, want := range map[bool]string{true: "AWS_KVS_EDGE_CLOUD is off", false: "no stream door that could be uploaded"} {
		d := onDemand{noCloud: noCloud}
		for _, err := range []error{
			d.upload(t.Context(), "door", time.Unix(1, 0), time.Unix(2, 0), nil), d.uploadRefused(t.Context(), "door", nil),
		} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("without the cloud %v: %v, want %q", noCloud, err, want)
			}
		}
	}
}

// A job that is being stopped continues until its fragment is sent. A request that waits for the next job must not
// ask this one repeatedly.
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
