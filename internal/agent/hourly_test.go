package agent

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/scheduler"
)

// From the end of an hourly upload until the next one status says when that begins, also in the minute between two windows.
func TestStatusKnowsTheNextHourlyUpload(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clock := scheduler.NewClock(scheduler.ClockOptions{Wall: time.Now, Zone: func() *time.Location { return time.UTC }})
		ctx, end := context.WithCancel(t.Context())
		part := health.NewRegistry(time.Now).Component("door", health.JobUploader)
		a := &Agent{clock: clock}
		plan := scheduler.Hourly(0, 59*time.Minute)
		drain := func(ctx context.Context) error {
			select {
			case <-ctx.Done():
			case <-time.After(7 * time.Minute):
			}
			return ctx.Err()
		}
		ended := make(chan error, 1)
		go func() { ended <- a.scheduled(plan, part, zap.NewNop(), a.hourly(plan, part, drain))(ctx) }()
		for range 3 * 60 {
			<-time.After(time.Minute)
			synctest.Wait()
			now, want := time.Now().UTC(), int64(0)
			if now.Minute() > 7 {
				want = now.Truncate(time.Hour).Add(time.Hour).UnixMilli()
			}
			if got := part.Snapshot().Numbers[health.NextWindowTime]; got != want && now.Minute() != 7 {
				t.Fatalf("at %s the next window is %d, want %d", now.Format(time.TimeOnly), got, want)
			}
		}
		end()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		clock.Close()
	})
}
