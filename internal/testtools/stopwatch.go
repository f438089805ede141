package testtools

import (
	"testing"
	"time"
)

// Stopwatch measures how long something takes where nothing else keeps the machine busy: what it returns is the time since
// it was called, without that in which something waited for a processor, and without four times the worst delay of this
// process, as several steps may each have been late. A test that bounds a time which is long by itself judges by it; on a
// machine that has little to do, it is the time that passed.
func Stopwatch(tb testing.TB) (took func() time.Duration) {
	tb.Helper()
	began, waited, late := time.Now(), CPUWait(tb), SchedulingDelay(tb)
	return func() time.Duration { return max(0, time.Since(began)-waited()-4*late()) }
}
