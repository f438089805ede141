package scheduler

import "time"

// Plan states when a job may run.
type Plan interface {
	// At reports whether a window is open at t, and when that may change at the earliest. Call it again then: windows that
	// touch for very long are not followed to their end. A zero until means never. system is the system's time zone, for
	// plans without a zone of their own.
	At(t time.Time, system *time.Location) (open bool, until time.Time)
}

// Always is a window without an end.
func Always() Plan { return always{} }

type always struct{}

func (always) At(time.Time, *time.Location) (bool, time.Time) { return true, time.Time{} }

// Never has no window.
func Never() Plan { return never{} }

type never struct{}

func (never) At(time.Time, *time.Location) (bool, time.Time) { return false, time.Time{} }

// Hourly opens a window of length d in every hour of UTC, offset after its beginning.
func Hourly(offset, d time.Duration) Plan {
	offset %= time.Hour
	if offset < 0 {
		offset += time.Hour
	}
	return hourly{offset: offset, d: d}
}

type hourly struct{ offset, d time.Duration }

func (h hourly) At(t time.Time, _ *time.Location) (bool, time.Time) {
	switch {
	case h.d >= time.Hour:
		return true, time.Time{}
	case h.d <= 0:
		return false, time.Time{}
	}
	// Truncate counts from the year 1, so that hours are those of UTC.
	start := t.Add(-h.offset).Truncate(time.Hour).Add(h.offset)
	if end := start.Add(h.d); t.Before(end) {
		return true, end
	}
	return false, start.Add(time.Hour)
}
