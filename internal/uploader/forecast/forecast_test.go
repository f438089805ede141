package forecast

import (
	"testing"
	"time"
)

func TestTheForecastFollowsTheBacklog(t *testing.T) {
	t.Parallel()
	var f Forecast
	now := time.Date(2026, 11, 21, 4, 0, 0, 0, time.UTC)
	pending := time.Hour
	step := func(shrinks time.Duration) time.Time {
		now, pending = now.Add(10*time.Second), pending-shrinks
		return f.Note(now, pending)
	}
	if at := step(0); !at.IsZero() {
		t.Errorf("after one look it says %v", at)
	}
	var at time.Time
	for range 20 {
		at = step(60 * time.Second) // 6 s of media in a second
	}
	if want := now.Add(pending / 6); at.Sub(want).Abs() > time.Second {
		t.Errorf("it says %v, want %v", at, want)
	}
	if again := f.Note(now.Add(time.Second), pending); again != at {
		t.Errorf("a moment later it says %v", again)
	}
	for range 20 {
		at = step(-10 * time.Second)
	}
	if !at.IsZero() {
		t.Errorf("of a backlog that grows it says %v", at)
	}
	f.Forget()
	step(0)
	pending = 20 * time.Second
	if at := step(0); !at.IsZero() || len(f.samples) != 0 {
		t.Errorf("of next to nothing it says %v", at)
	}
}
