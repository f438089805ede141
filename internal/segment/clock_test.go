package segment

import (
	"testing"
	"time"
)

func TestMediaOfAnUnsetClockIsPlacedInTime(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	boot := time.Date(1970, 1, 1, 0, 0, 10, 0, time.UTC)
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for _, start := range []time.Time{boot, boot.Add(time.Hour), now} {
		addSegment(t, s, "door", start, 2)
	}
	const add = 40 * time.Hour
	if err := s.NoteClock("door", boot.Add(time.Hour), boot.Add(time.Hour+time.Second), add); err != nil {
		t.Fatal(err)
	}
	if err := s.NoteClock("gate", boot, now, add); err == nil {
		t.Error("a stream without media was noted")
	}
	check := func(s *Store) {
		t.Helper()
		infos := s.Segments("door", time.Time{}, time.Time{})
		if len(infos) != 3 || !infos[0].ClockUnset || infos[0].ClockOffset != 0 ||
			!infos[1].ClockUnset || infos[1].ClockOffset != add || infos[2].ClockUnset {
			t.Errorf("%+v", infos)
		}
	}
	check(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := OpenReadOnly(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	check(again)
}
