package segment

import (
	"io/fs"
	"syscall"
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

// A correction that the disk refuses is noted repeatedly, and takes the place of no other one.
func TestACorrectionThatIsRepeatedTakesNoOthersPlace(t *testing.T) {
	t.Parallel()
	disk := new(refusing)
	s := openOn(t, disk, t.TempDir())
	addSegment(t, s, "door", begin, 2)
	addSegment(t, s, "door", begin.Add(time.Hour), 2)
	note := func(from time.Time, add time.Duration) error {
		return s.NoteClock("door", from, from.Add(time.Minute), add)
	}
	if err := note(begin, time.Hour); err != nil {
		t.Fatal(err)
	}
	var eio error = &fs.PathError{Op: "write", Path: "x", Err: syscall.EIO}
	disk.fail.Store(&eio)
	for range 300 {
		if err := note(begin.Add(time.Hour), 2*time.Hour); err == nil {
			t.Fatal("a note is believed that the disk refused")
		}
	}
	disk.fail.Store(nil)
	if err := note(begin.Add(time.Hour), 2*time.Hour); err != nil {
		t.Error(err)
	}
	if list := s.Misdated("door"); len(list) != 2 || list[0].Offset != time.Hour || list[1].Offset != 2*time.Hour {
		t.Errorf("noted is %+v", list)
	}
}
