package callrate_test

import (
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/callrate"
)

func TestPoints(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	points := callrate.Points{N: 500, Now: func() time.Time { return now }}
	for i, row := range []struct {
		stream string
		after  time.Duration
		take   int
		want   bool
	}{
		{"a", 0, 499, true}, {"a", 0, 1, true}, {"a", 0, 1, false}, {"b", 0, 1, true},
		{"a", 2 * time.Millisecond, 1000, true}, {"a", 1998 * time.Millisecond, 1, false}, {"a", 2 * time.Millisecond, 1, true},
		{"a", time.Hour, 500, true}, {"a", 0, 1, false}, {"a", -time.Hour, 1, false}, {"a", time.Hour, 1, false},
	} {
		now = now.Add(row.after)
		if got := points.Take(row.stream, row.take); got != row.want {
			t.Errorf("call %d: %v", i, got)
		}
	}
	points.Forget("a")
	if !points.Take("a", 1) {
		t.Error("no call is admitted after Forget")
	}
}
