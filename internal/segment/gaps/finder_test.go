package gaps_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment/gaps"
)

func TestFinder(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for name, tc := range map[string]struct {
		frames []time.Duration // ms
		want   []layout.Span
	}{
		"none":                   {[]time.Duration{0, 40, 80, 2080}, nil}, // not longer than After
		"one":                    {[]time.Duration{0, 40, 80, 3000, 3040}, []layout.Span{{From: 80, To: 3000}}},
		"behind the first frame": {[]time.Duration{0, 20_000, 20_040}, []layout.Span{{From: 0, To: 20_000}}},
		"before the last frame":  {[]time.Duration{0, 40, 20_000}, []layout.Span{{From: 40, To: 20_000}}},
		"two frames":             {[]time.Duration{0, 20_000}, []layout.Span{{From: 0, To: 20_000}}},
		"two in a row": {[]time.Duration{0, 40, 5000, 5040, 9000, 9040}, []layout.Span{{From: 40, To: 5000}, {From: 5040,
			To: 9000}}},
		"one frame between": {[]time.Duration{0, 40, 5000, 12_000, 12_040}, []layout.Span{{From: 40, To: 5000}, {From: 5000,
			To: 12_000}}},
		"a frame every 5 s":             {[]time.Duration{0, 5000, 10_000, 15_000, 20_000}, nil},
		"a frame every 5 s, and less":   {[]time.Duration{0, 5000, 10_000, 15_000, 35_000, 40_000}, []layout.Span{{From: 15_000, To: 35_000}}},
		"shown before the previous one": {[]time.Duration{0, 120, 40, 80, 3000, 2960, 3040}, []layout.Span{{From: 120, To: 3000}}},
	} {
		var g gaps.Finder
		for _, f := range tc.frames {
			g.Frame(f * ms)
		}
		if diff := cmp.Diff(tc.want, g.All()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
