package testtools

import (
	"testing"
	"time"
)

// SchedulingDelay watches how late this machine is with what is due, until the test ends. What it returns reports
// the worst so far: a test that judges by the clock forgives as much to each who had to be in time.
func SchedulingDelay(tb testing.TB) (worst func() time.Duration) {
	tb.Helper()
	const often = 20 * time.Millisecond
	ask, stop := make(chan chan time.Duration), make(chan struct{})
	tb.Cleanup(func() { close(stop) })
	go func() {
		var worst time.Duration
		due := time.Now().Add(often)
		timer := time.NewTimer(often)
		defer timer.Stop()
		for {
			select {
			case <-timer.C:
				now := time.Now()
				worst = max(worst, now.Sub(due))
				due = now.Add(often)
				timer.Reset(often)
			case answer := <-ask:
				answer <- max(worst, time.Since(due))
			case <-stop:
				return
			}
		}
	}()
	return func() time.Duration {
		answer := make(chan time.Duration)
		ask <- answer
		return <-answer
	}
}
