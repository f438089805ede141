package health_test

import (
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

func TestTimesFollowTheClockThatWasSet(t *testing.T) {
	t.Parallel()
	then := time.Now()
	for _, passed := range []time.Duration{0, 90 * time.Second, 48 * time.Hour} {
		for _, step := range []time.Duration{0, time.Second, 10 * time.Second, 56 * 365 * 24 * time.Hour, -10 * time.Second, -24 * time.Hour} {
			now := testtools.Stepped(then.Add(passed), step)
			if age := now.Round(0).Sub(health.Redate(then, now).Round(0)); (age - passed).Abs() > time.Second {
				t.Errorf("%s after the clock was stepped by %s: %s ago", passed, step, age)
			}
		}
	}
	kept := then.Round(0) // as from a file
	if got := health.Redate(kept, testtools.Stepped(then, time.Hour)); !got.Equal(kept) {
		t.Errorf("%s became %s", kept, got)
	}
}
