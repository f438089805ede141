package hubclock_test

import (
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"

	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
)

func TestAClockThatWasNeverSet(t *testing.T) {
	t.Parallel()
	for at, want := range map[string]bool{
		"1970-01-01T00:00:00Z": true, "2019-12-31T23:59:59Z": true, "2020-01-01T00:00:00Z": false, "2026-11-27T00:00:00Z": false,
	} {
		when, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		if got := hubclock.Unset(when); got != want {
			t.Errorf("%s: %v", at, got)
		}
	}
}

func TestStep(t *testing.T) {
	t.Parallel()
	from := time.Now()
	to := from.Add(time.Minute)
	if got := hubclock.Step(from, to); got != 0 {
		t.Errorf("a minute passed: %s", got)
	}
	if got := hubclock.Step(from, testtools.Stepped(to, -time.Hour)); got != -time.Hour {
		t.Errorf("an hour back: %s", got)
	}
	if got := hubclock.Step(from.Round(0), to); got != 0 {
		t.Errorf("without a monotonic reading: %s", got)
	}
}

func TestTheKernelsClockGoes(t *testing.T) {
	t.Parallel()
	if a, b := hubclock.SinceBoot(), hubclock.SinceBoot(); a <= 0 || b < a {
		t.Errorf("%s, then %s", a, b)
	}
}
