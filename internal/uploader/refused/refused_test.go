package refused_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/queue"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/refused"
)

// store has refused fragments, one a segment, and makes them pending when it is asked to.
type store struct {
	list    []segment.Refused
	before  map[segment.Key]string // what was refused once
	pending []segment.Key
	fails   error
}

func (s *store) Offsets(segment.Key, time.Duration) (wire, recorded time.Duration) { return 0, 0 }
func (s *store) Refused(string) []segment.Refused                                  { return slices.Clone(s.list) }
func (s *store) Usage(string) segment.Usage                                        { return segment.Usage{RefusedFragments: len(s.list)} }

func (s *store) RefusedBefore(k segment.Key, _ time.Duration) (code string, ok bool) {
	code, ok = s.before[k]
	return code, ok
}

func (s *store) Requeue(k segment.Key, _ []time.Duration, _ bool) error {
	if s.fails != nil {
		return s.fails
	}
	s.pending = append(s.pending, k)
	s.list = slices.DeleteFunc(s.list, func(r segment.Refused) bool { return r.Key == k })
	return nil
}

func (s *store) MarkRefused(segment.Key, mkv.Fragment, string) error { return s.fails }
func (s *store) Requeued(string) []segment.Refused                   { return nil }
func (s *store) RefuseAgain(segment.Key, []time.Duration) error      { return s.fails }
func (s *store) MarkUploaded(segment.Key) error                      { return nil }

// add refuses n fragments that were sent again tries times.
func (s *store) add(n int, code string, at time.Time, tries int) {
	for range n {
		k := segment.Key{Stream: "door", Start: int64(len(s.list) + len(s.pending) + 1)}
		s.list = append(s.list, segment.Refused{Key: k, Fragment: mkv.Fragment{Start: time.Second}, Code: code, At: at, Tries: tries})
	}
}

func all(queue.Fragment) bool { return true }

var begin = time.Date(2026, 11, 21, 4, 0, 0, 0, time.UTC)

// newList is a list by a clock that the returned function sets ahead.
func newList(s *store, unreadable func(error)) (l *refused.List, pass func(time.Duration)) {
	now := begin
	return refused.New(refused.Options{
		Stream: "door", Store: s, Now: func() time.Time { return now }, Log: zap.NewNop(),
		PassedOver: func(segment.Key) bool { return false }, Unreadable: unreadable,
	}), func(d time.Duration) { now = now.Add(d) }
}

func TestARefusedFragmentIsDueOnceADay(t *testing.T) {
	t.Parallel()
	s := &store{}
	l, pass := newList(s, nil)
	s.add(1, "4006", begin, 0)
	s.add(1, "4006", begin, refused.MaxTries)
	if f, ok := l.RequeueDue(true, all); ok {
		t.Errorf("%+v is sent again at once", f)
	}
	pass(24 * time.Hour)
	if !l.Waiting(all) {
		t.Error("a day later none is due")
	}
	if f, ok := l.RequeueDue(true, all); !ok || f.Key.Start != 1 {
		t.Errorf("a day later %+v goes next, %v", f, ok)
	}
	pass(refused.LookEvery)
	if f, ok := l.RequeueDue(true, all); ok {
		t.Errorf("%+v is sent again although that was done %d times", f, refused.MaxTries)
	}
}

func TestADayHasOnlySoManyTries(t *testing.T) {
	t.Parallel()
	s := &store{}
	l, pass := newList(s, nil)
	s.add(2*refused.MaxADay, "4006", begin.Add(-24*time.Hour), 0)
	for day := range 2 {
		for n := 0; ; n++ {
			if _, ok := l.RequeueDue(true, all); !ok {
				if n != refused.MaxADay {
					t.Errorf("day %d: %d were sent again, want %d", day, n, refused.MaxADay)
				}
				break
			}
		}
		pass(24 * time.Hour)
	}
}

func TestAllOfAKindAreQueuedOnceOneIsTaken(t *testing.T) {
	t.Parallel()
	s := &store{before: map[segment.Key]string{{Stream: "door", Start: 99}: "4006 INVALID_MKV_DATA"}}
	l, _ := newList(s, nil)
	s.add(3, "4006 INVALID_MKV_DATA", begin, refused.MaxTries)
	s.add(2, "4010 TRACK_NUMBER_MISMATCH", begin, refused.MaxTries)
	l.Persisted(queue.NewFragment(s, segment.Key{Stream: "door", Start: 98}, mkv.Fragment{}))
	if l.RequeueFreed(all) || l.Waiting(all) {
		t.Error("fragments are queued, and none was taken that was refused before")
	}
	l.Persisted(queue.NewFragment(s, segment.Key{Stream: "door", Start: 99}, mkv.Fragment{}))
	if !l.Waiting(all) || !l.RequeueFreed(all) || len(s.pending) != 3 || len(s.list) != 2 {
		t.Errorf("%d are queued and %d left, want 3 and 2", len(s.pending), len(s.list))
	}
	if l.Waiting(all) {
		t.Error("there is more to queue")
	}
}

func TestADiskThatFailsIsAskedAgainInTime(t *testing.T) {
	t.Parallel()
	s := &store{fails: errors.New("no space left on device")}
	reported := 0
	l, pass := newList(s, func(error) { reported++ })
	s.add(1, "4006", begin.Add(-24*time.Hour), 0)
	if _, ok := l.RequeueDue(true, all); ok || reported != 1 || !l.DiskFails() {
		t.Errorf("queued: %v; reported %d times; the disk fails: %v", ok, reported, l.DiskFails())
	}
	s.fails = nil
	if _, ok := l.RequeueDue(true, all); ok {
		t.Error("the disk is asked again at once")
	}
	pass(queue.UnreadableFor)
	if _, ok := l.RequeueDue(true, all); !ok || l.DiskFails() {
		t.Errorf("queued: %v; the disk fails: %v", ok, l.DiskFails())
	}
}
