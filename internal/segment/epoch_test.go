package segment

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// recordedAt lists when a stream's segments were recorded, in order.
func recordedAt(s *Store, stream string) (list []time.Time) {
	for _, info := range s.Segments(stream, time.Time{}, time.Time{}) {
		list = append(list, info.RecordedFrom)
	}
	return list
}

func reopened(t *testing.T, s *Store, dir string) *Store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return again
}

func TestAnEpochBeginsWhereTheTimesWereAhead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	const ahead = 2 * time.Hour
	addSegment(t, s, "door", begin, 2)                           // right
	addSegment(t, s, "door", begin.Add(ahead+5*time.Second), 2)  // two hours ahead
	addSegment(t, s, "door", begin.Add(ahead+10*time.Second), 2) // as well
	now := begin.Add(15 * time.Second)
	if _, err := s.Create("door", headerAt(now)); !errors.Is(err, ErrOverlap) {
		t.Errorf("a segment before the newest of its epoch was created: %v", err)
	}
	w := startSegment(t, s, "door", begin.Add(ahead+13*time.Second), 1)
	if err := s.BeginEpoch("door", time.Time{}, time.Time{}, 0, now); !errors.Is(err, ErrBusy) {
		t.Errorf("an epoch began within a segment: %v", err)
	}
	if err := w.Seal(); err != nil {
		t.Fatal(err)
	}
	if err := s.BeginEpoch("door", begin.Add(ahead), time.Time{}, -ahead, now); err != nil {
		t.Fatal(err)
	}
	for _, life := range []string{"at once", "after a restart before its first segment"} {
		if got := s.LastEnd("door"); !got.IsZero() {
			t.Errorf("%s: the new epoch ends at %s", life, got)
		}
		if got := s.LastRecorded("door"); got.Sub(now).Abs() > time.Second {
			t.Errorf("%s: last recorded %s, want about %s", life, got, now)
		}
		s = reopened(t, s, dir)
	}
	addSegment(t, s, "door", now, 2)
	for range 2 {
		want := []time.Time{begin, begin.Add(5 * time.Second), begin.Add(10 * time.Second), begin.Add(13 * time.Second), now}
		got := recordedAt(s, "door")
		if len(got) != len(want) {
			t.Fatalf("recorded at %v, want %v", got, want)
		}
		for i := range want {
			if !got[i].Equal(want[i]) {
				t.Errorf("segment %d was recorded at %s, want %s", i, got[i], want[i])
			}
		}
		infos := s.Segments("door", begin.Add(4*time.Second), begin.Add(14*time.Second))
		if len(infos) != 3 || !infos[0].ClockAhead || infos[0].ClockOffset != -ahead || infos[0].ClockUnset || infos[0].Epoch != 0 {
			t.Errorf("%+v", infos)
		}
		infos = s.Segments("door", now, time.Time{})
		if len(infos) != 1 || infos[0].ClockAhead || infos[0].ClockOffset != 0 || infos[0].Epoch != 1 || infos[0].Start != now.UnixMilli() {
			t.Errorf("%+v", infos)
		}
		if u := s.Usage("door"); !u.Oldest.Equal(begin) || !u.Newest.Equal(infos[0].End) || u.Segments != 5 || !u.PendingSince.Equal(begin) {
			t.Errorf("%+v", u)
		}
		wrong := s.Misdated("door")
		if len(wrong) != 1 || wrong[0].Segments != 3 || !wrong[0].Known || wrong[0].Offset != -ahead ||
			!wrong[0].From.Equal(begin.Add(ahead+5*time.Second)) {
			t.Errorf("%+v", wrong)
		}
		s = reopened(t, s, dir)
	}
	for _, info := range s.Segments("door", begin.Add(4*time.Second), begin.Add(14*time.Second)) {
		if wire, recorded := s.Offsets(info.Key, time.Second); wire != -ahead || recorded != -ahead {
			t.Errorf("%s: %s on the wire, recorded %s", info.ID(), wire, recorded)
		}
		if err := s.Delete(info.Key); err != nil {
			t.Fatal(err)
		}
	}
	if wrong := s.Misdated("door"); wrong != nil {
		t.Errorf("media that is deleted is still reported: %+v", wrong)
	}
}

func TestAnEpochOfUnknownOffsetWasRecordedBeforeTheNext(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	year := begin.AddDate(1, 0, 0)
	addSegment(t, s, "door", begin, 2)
	addSegment(t, s, "door", year, 2)
	addSegment(t, s, "door", year.Add(time.Minute), 2)
	now := begin.Add(time.Hour)
	if err := s.BeginEpoch("door", time.Time{}, time.Time{}, 0, now); err != nil {
		t.Fatal(err)
	}
	addSegment(t, s, "door", now.Add(time.Second), 2)
	for range 2 {
		infos := s.Segments("door", time.Time{}, time.Time{})
		for i, info := range infos {
			wrong := i == 1 || i == 2
			if info.ClockAhead != wrong || info.ClockOffset != 0 || info.RecordedTo.After(now) != (i == 3) {
				t.Errorf("%d: %+v", i, info)
			}
			if wire, _ := s.Offsets(info.Key, 0); wire != 0 {
				t.Errorf("%d goes to the cloud with another time: %s", i, wire)
			}
		}
		if got := infos[2].RecordedFrom.Sub(infos[1].RecordedFrom); got != time.Minute {
			t.Errorf("the wrong segments are %s apart", got)
		}
		if list := s.Segments("door", now.Add(-5*time.Minute), now.Add(-time.Second)); len(list) != 2 {
			t.Errorf("of before the correction there is %+v", list)
		}
		if list := s.Segments("door", year.Add(-time.Hour), time.Time{}); len(list) != 0 {
			t.Errorf("of the future there is %+v", list)
		}
		if wrong := s.Misdated("door"); len(wrong) != 1 || wrong[0].Known || wrong[0].Segments != 2 || !wrong[0].RecordedTo.Equal(now) {
			t.Errorf("%+v", wrong)
		}
		s = reopened(t, s, dir)
	}
	// Without its notes it is known by what is there.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "door", layout.ClockFileName)); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	infos := s.Segments("door", time.Time{}, time.Time{})
	if len(infos) != 4 || infos[0].ClockAhead || !infos[1].ClockAhead || infos[2].RecordedTo.After(now.Add(time.Second)) {
		t.Errorf("%+v", infos)
	}
}

func TestAnEpochWithoutMediaIsNotFollowedByAnother(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	now := begin.Add(time.Hour)
	if err := s.BeginEpoch("new", time.Time{}, time.Time{}, 0, now); err != nil {
		t.Fatal(err)
	}
	addSegment(t, s, "new", begin, 1)
	addSegment(t, s, "new", begin.AddDate(1, 0, 0), 1)
	for i := range 3 {
		if err := s.BeginEpoch("new", time.Time{}, time.Time{}, 0, now.Add(-time.Duration(i)*time.Minute)); err != nil {
			t.Fatal(err)
		}
		s = reopened(t, s, dir)
	}
	addSegment(t, s, "new", begin.Add(30*time.Minute), 1)
	infos := s.Segments("new", time.Time{}, time.Time{})
	if len(infos) != 3 || infos[1].Epoch != 0 || infos[2].Epoch != 1 || !infos[1].RecordedTo.Equal(now.Add(-2*time.Minute)) {
		t.Errorf("%+v", infos)
	}
	// What is deleted is remembered: of the epoch, not of the previous one.
	for _, info := range infos {
		if err := s.Delete(info.Key); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if got := s.LastEnd("new"); !got.Equal(infos[2].End) || !s.LastRecorded("new").Equal(got) {
			t.Errorf("it ends at %s, last recorded %s", got, s.LastRecorded("new"))
		}
		if wrong := s.Misdated("new"); wrong != nil {
			t.Errorf("%+v", wrong)
		}
		s = reopened(t, s, dir)
	}
	if w := startSegment(t, s, "new", begin.Add(40*time.Minute), 1); w.Key().Epoch != 1 {
		t.Errorf("it continues in epoch %d", w.Key().Epoch)
	}
}
