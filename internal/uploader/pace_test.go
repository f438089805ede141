package uploader

import (
	"math/rand/v2"
	"testing"
	"time"
)

// However late the uploader wakes, no window of a second holds more fragments than the service
// allows; and where it wakes in time, as good as all of what is allowed is used.
func TestThePaceIsBelowWhatTheServiceAllowsInAnyWindow(t *testing.T) {
	t.Parallel()
	const allowed = 5 // fragments within a second
	for _, latest := range []time.Duration{0, 2 * time.Millisecond, 10 * time.Millisecond, 300 * time.Millisecond} {
		chance := rand.New(rand.NewPCG(1, uint64(latest)))
		now := time.Unix(1_795_000_000, 0)
		b := newBucket(fragmentsPerSecond, fragmentBurst)
		b.now = func() time.Time { return now }
		var starts []time.Time
		for len(starts) < 10_000 {
			if wait := b.ready(); wait > 0 {
				now = now.Add(wait + time.Duration(chance.Int64N(int64(latest)+1)))
				continue
			}
			b.take(1)
			starts = append(starts, now)
		}
		for i, end := range starts[allowed:] {
			if took := end.Sub(starts[i]); took < time.Second {
				t.Fatalf("waking up to %s late, fragments %d to %d began within %s", latest, i, i+allowed, took)
			}
		}
		took := starts[len(starts)-1].Sub(starts[0]).Seconds()
		share := float64(len(starts)-1) / took / allowed
		if latest <= 10*time.Millisecond && share < 0.975 {
			t.Errorf("waking up to %s late, %.1f %% of the allowed rate are used", latest, 100*share)
		}
	}
}
