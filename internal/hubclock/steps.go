package hubclock

import (
	"time"

	"golang.org/x/sys/unix"
)

// What is a step: the least difference between wall and monotonic clock for which something is done. What is done
// costs more with each.
const (
	// SlewStep is noticed while recording: times are slewed to the clock. It lies above what the kernel's own slewing
	// does between two frames.
	SlewStep = 20 * time.Millisecond
	// WakeStep has schedules evaluated again. It lies above the time between the two readings. Slewing, as NTP does,
	// moves both clocks.
	WakeStep = 100 * time.Millisecond
	// RestartStep has recording times begin again from the clock, with a new segment.
	RestartStep = 1500 * time.Millisecond
	// RedateStep has times that people were shown as the old clock had them shown as the new one has them.
	RedateStep = 2 * time.Second
	// DoubtStep has deletions by age wait until the clock was plausible for a while.
	DoubtStep = time.Hour
)

// unsetUntil is a time before which no clock is that was ever set: no hub with this agent ran before it.
var unsetUntil = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// Unset reports whether a hub's clock that shows t was never set.
func Unset(t time.Time) bool { return t.Before(unsetUntil) }

// Step is by how much the wall clock was set between two readings that carry the monotonic clock's;
// 0 when one of them lacks it.
func Step(from, to time.Time) time.Duration {
	return to.Round(0).Sub(from.Round(0)) - to.Sub(from)
}

// SinceBoot is the time since the hub booted, with what it was suspended.
func SinceBoot() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0 // not a kernel that this runs on
	}
	return time.Duration(t.Nano())
}
