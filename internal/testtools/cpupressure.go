package testtools

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// CPUWait reports for how long, since it was called, something on this machine had to wait for a processor:
// what a test that judges by the clock forgives. 0 where the system does not say.
// Source: Linux, Documentation/accounting/psi.rst.
func CPUWait(tb testing.TB) (since func() time.Duration) {
	tb.Helper()
	begin := waitedForProcessors()
	return func() time.Duration { return waitedForProcessors() - begin }
}

func waitedForProcessors() time.Duration {
	text, err := os.ReadFile("/proc/pressure/cpu") // some avg10=1.00 avg60=1.00 avg300=1.00 total=<µs>
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(text), "\n")
	_, total, _ := strings.Cut(line, "total=")
	n, _ := strconv.ParseInt(total, 10, 64)
	return time.Duration(n) * time.Microsecond
}
