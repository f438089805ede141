package testtools

import (
	"testing"
	"time"
)

// askEvery is how often Eventually asks.
const askEvery = 5 * time.Millisecond

// Eventually waits for a state that has no event: it calls done repeatedly until that returns nil, and fails the
// test with its last error when it has not within that time. Call it from the test's own goroutine.
func Eventually(tb testing.TB, within time.Duration, done func() error) {
	tb.Helper()
	end := time.NewTimer(within)
	defer end.Stop()
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		err := done()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-end.C:
			tb.Fatalf("after %v: %v", within, err)
		}
	}
}
