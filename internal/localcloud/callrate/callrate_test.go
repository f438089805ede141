package callrate_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/callrate"
)

func TestRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rate := callrate.Rate{N: 2}
		for i, row := range []struct {
			after time.Duration
			want  bool
		}{{0, true}, {0, true}, {0, false}, {time.Second - 1, false}, {1, true}, {0, true}, {0, false}} {
			time.Sleep(row.after)
			if got := rate.Admit(); got != row.want {
				t.Errorf("call %d: %v", i, got)
			}
		}
		rate.Forget()
		if !rate.Admit() {
			t.Error("no call is admitted after Forget")
		}
	})
}
