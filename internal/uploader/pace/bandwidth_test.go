package pace

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestBandwidthsAreRead(t *testing.T) {
	t.Parallel()
	day := func(clock string) time.Time {
		at, err := time.ParseInLocation("2006-01-02 15:04:05", "2026-11-21 "+clock, time.Local)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	for text, want := range map[string]map[string]float64{ // bit/s by time of day
		"2M":                     {"00:00:00": 2e6, "23:59:59": 2e6},
		" 500k , 22:00-06:00=1G": {"21:59:59": 5e5, "22:00:00": 1e9, "05:59:59": 1e9, "06:00:00": 5e5},
		"64000,12:00-13:00=unlimited,12:30-14:00=1.5M": {"11:59:00": 64000, "12:45:00": 0, "13:00:00": 1.5e6, "14:00:00": 64000},
		"unlimited,08:00-18:00=1M":                     {"07:00:00": 0, "08:00:00": 1e6},
		"1M,00:00-00:00=2M":                            {"03:00:00": 2e6},
	} {
		c, err := ParseBandwidth(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		for clock, rate := range want {
			if got := c.rates.at(day(clock)) * 8; got != rate {
				t.Errorf("%q at %s is %v bit/s, want %v", text, clock, got, rate)
			}
		}
	}
	for _, text := range []string{"fast", "63k", "-1M", "2M,night=1M", "2M,22:00=1M", "2M,22:00-25:00=1M", "2M,22:00-06:00=", "2M,", "NaN",
		"InfM", "1e30M"} {
		if c, err := ParseBandwidth(text); err == nil || !strings.Contains(err.Error(), "such as") {
			t.Errorf("%q is taken as %v, %v", text, c, err)
		}
	}
	if c, err := ParseBandwidth(" "); c != nil || err != nil || c.take(1) != 0 || c.chunk() != mostChunk {
		t.Errorf("no limit is %v, %v", c, err)
	}
}

func TestTheBandwidthIsKeptAndSharedFairly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const rate, streams, seconds = 400_000, 4, 60 // rate in bytes/s
		shared := &Bandwidth{rates: bandwidthRates{otherwise: rate}}
		chunk := shared.chunk()
		sent := make([]int, streams)
		ends := time.Now().Add(seconds * time.Second)
		var group sync.WaitGroup
		for i := range sent {
			group.Go(func() {
				for time.Now().Before(ends) {
					time.Sleep(shared.take(chunk))
					sent[i] += chunk
				}
			})
		}
		group.Wait()
		total, least, most := 0, sent[0], sent[0]
		for _, n := range sent {
			total, least, most = total+n, min(least, n), max(most, n)
		}
		// The bandwidth saved up before is added, and each has one chunk that ends later.
		if allowed := rate*seconds + chunk + streams*chunk; total < rate*seconds || total > allowed {
			t.Errorf("%d bytes in %d s, want %d to %d", total, seconds, rate*seconds, allowed)
		}
		if most-least > 2*chunk { // one at the start, one at the end
			t.Errorf("shares from %d to %d bytes are not fair", least, most)
		}
	})
}

func TestABandwidthFollowsAnotherWhileItIsInUse(t *testing.T) {
	t.Parallel()
	slow, err := ParseBandwidth(" 64k, 22:00-06:00=20M ")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.Local)
	c := &Bandwidth{now: func() time.Time { return now }}
	if wait := c.take(1 << 20); wait != 0 || c.String() != "" {
		t.Errorf("without a limit %q waits %s", c, wait)
	}
	c.Follow(slow)
	if wait := c.take(80_000); wait != 10*time.Second-time.Second/chunksPerSecond || c.String() != "64k, 22:00-06:00=20M" {
		t.Errorf("by day %q waits %s", c, wait)
	}
	now = now.Add(11 * time.Hour)
	if wait := c.take(2_500_000); wait != time.Second-time.Second/chunksPerSecond {
		t.Errorf("by night %q waits %s", c, wait)
	}
	c.Follow(nil)
	if wait := c.take(1 << 30); wait != 0 || c.chunk() != mostChunk {
		t.Errorf("without a limit again %q waits %s", c, wait)
	}
}
