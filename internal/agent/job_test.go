package agent

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

func TestAJobThatPanicsOrFailsIsBegunAnewAndSaysSo(t *testing.T) {
	t.Parallel()
	for name, misbehave := range map[string]func() error{
		"panic": func() error { panic("at the disco") },
		"error": func() error { return errors.New("no luck") },
		"end":   func() error { return nil },
	} {
		synctest.Test(t, func(t *testing.T) {
			part := health.NewRegistry(time.Now).Component("door", health.JobRecorder)
			starts := make(chan struct{}, 10)
			runs := 0
			j := startJob(jobOptions{stream: "door", name: "recorder", component: part, log: zap.NewNop(), run: func(ctx context.Context) error {
				runs++
				starts <- struct{}{}
				if runs == 1 {
					return misbehave()
				}
				<-ctx.Done()
				return ctx.Err()
			}})
			<-starts
			synctest.Wait()
			if _, raised := part.Snapshot().Worst(); !raised {
				t.Errorf("%s: no condition says that the job failed", name)
			}
			<-starts
			synctest.Wait()
			if c, raised := part.Snapshot().Worst(); raised {
				t.Errorf("%s: the job runs again, but %q is still there", name, c.Text)
			}
			j.stop()
		})
	}
}
