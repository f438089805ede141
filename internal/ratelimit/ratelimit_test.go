package ratelimit_test

import (
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/ratelimit"
)

func TestExceeds(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	type step struct {
		after   time.Duration
		n       int64
		exceeds bool
	}
	for name, steps := range map[string][]step{
		"all that may come":             {{0, 60, false}, {0, 40, false}},
		"one too many":                  {{0, 100, false}, {9 * time.Second, 1, true}},
		"too many at once":              {{0, 101, true}},
		"it stays exceeded":             {{0, 101, true}, {9 * time.Second, 0, true}},
		"the next interval is another":  {{0, 101, true}, {10 * time.Second, 100, false}, {19 * time.Second, 1, true}},
		"an interval begins with a use": {{0, 100, false}, {15 * time.Second, 100, false}, {24 * time.Second, 1, true}},
	} {
		l := ratelimit.Limit{Most: 100, Interval: 10 * time.Second}
		for i, s := range steps {
			if got := l.Exceeds(s.n, start.Add(s.after)); got != s.exceeds {
				t.Errorf("%s: step %d: %v, want %v", name, i, got, s.exceeds)
			}
		}
	}
}

func TestExceedsAllocatesNothing(t *testing.T) {
	l, now := ratelimit.Limit{Most: 1, Interval: time.Second}, time.Unix(1, 0)
	if n := testing.AllocsPerRun(100, func() { l.Exceeds(1, now) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
