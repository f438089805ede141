package iotconfig

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
)

// fleet is what a simulation of many hubs came to.
type fleet struct {
	peak int           // most attempts in one second, from the end of the outage on
	last time.Duration // when the last hub was back, from the end of the outage
}

// simulate lets hubs lose their connections in the same instant and try again by a policy. Attempts
// fail, after taking that long, until the outage ends; then the broker takes at most capacity
// connections a second (0: all) and refuses the others at once.
func simulate(hubs int, policy backoff.Policy, outage, attempt time.Duration, capacity int) fleet {
	random := rand.New(rand.NewPCG(1, 2)) // the same hubs every time
	policy.Rand = random.Float64
	// Attempts by the second in which they begin: the broker's view.
	due := make(map[int][]*backoff.Backoff)
	schedule := func(b *backoff.Backoff, from time.Duration) {
		second := int((from + b.Next()) / time.Second)
		due[second] = append(due[second], b)
	}
	for range hubs {
		schedule(backoff.New(policy), 0)
	}
	var f fleet
	end := int(outage / time.Second)
	for second := 0; len(due) > 0; second++ {
		attempts := due[second]
		delete(due, second)
		now := time.Duration(second) * time.Second
		if second < end {
			for _, b := range attempts {
				schedule(b, now+time.Second+attempt)
			}
			continue
		}
		f.peak = max(f.peak, len(attempts))
		for i, b := range attempts {
			if capacity > 0 && i >= capacity {
				schedule(b, now+time.Second)
			}
		}
		if len(attempts) > 0 {
			f.last = now - time.Duration(end)*time.Second
		}
	}
	return f
}

func TestTenThousandHubsDoNotComeBackAsOneWave(t *testing.T) {
	t.Parallel()
	const (
		hubs = 10_000
		// capacity is AWS IoT Core's default quota of CONNECT requests per second and account.
		capacity = 500
	)
	for _, row := range []struct {
		outage, attempt time.Duration
		capacity        int
		spread          time.Duration // over which the flat ideal has them come
		most            float64       // times the flat ideal
	}{
		// A short loss: all come within the first wait, since nobody should be offline for long.
		{outage: 0, spread: DefaultReconnect.Min, most: 1.2},
		// The same against the quota: hubs that are refused retry, and draw from twice the time.
		{outage: 0, capacity: capacity, spread: DefaultReconnect.Min, most: 1.3},
		// From here on the waits have grown to their cap. Residual waits of uniform ones are
		// densest at first, at twice the flat rate; the rest is chance.
		{outage: 30 * time.Minute, spread: DefaultReconnect.Max, most: 3},
		{outage: 30 * time.Minute, attempt: 20 * time.Second, spread: DefaultReconnect.Max, most: 3},
		{outage: 6 * time.Hour, spread: DefaultReconnect.Max, most: 3},
		{outage: 6 * time.Hour, attempt: 20 * time.Second, capacity: capacity, spread: DefaultReconnect.Max, most: 3},
	} {
		t.Run(fmt.Sprintf("outage %v, attempt %v, capacity %d", row.outage, row.attempt, row.capacity), func(t *testing.T) {
			t.Parallel()
			got := simulate(hubs, DefaultReconnect, row.outage, row.attempt, row.capacity)
			flat := hubs / row.spread.Seconds()
			ratio := float64(got.peak) / flat
			t.Logf("peak %d connections/s, flat ideal %.1f/s over %v: %.2f times; the last hub was back after %v", got.peak, flat, row.spread,
				ratio, got.last)
			if ratio > row.most {
				t.Errorf("the peak is %.2f times the flat ideal, want at most %.1f", ratio, row.most)
			}
			if most := DefaultReconnect.Max + row.attempt; got.last > most {
				t.Errorf("the last hub was back after %v, want at most %v", got.last, most)
			}
		})
	}
	// What it would be without jitter: everybody in the same second.
	if got := simulate(hubs, backoff.Policy{Min: 10 * time.Second, Max: 10 * time.Second, Floor: 10 * time.Second}, 30*time.Minute, 0,
		0); got.peak != hubs {
		t.Errorf("without jitter the peak is %d; the simulation does not see waves", got.peak)
	}
}
