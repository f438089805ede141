package segment

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/hold"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/holding"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// holdOf is a hold of a time after begin.
func holdOf(t *testing.T, id, stream string, from, to time.Duration) hold.Hold {
	t.Helper()
	asked := hold.Hold{ID: id, Stream: stream, From: begin.Add(from), To: begin.Add(to), Reason: "theft", Source: "a test"}
	h, err := hold.Complete(asked, begin)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func addHold(t *testing.T, s *Store, h hold.Hold) holding.Kept {
	t.Helper()
	kept, err := s.Holding().Add(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	return kept
}

func removeHold(t *testing.T, s *Store, id string) {
	t.Helper()
	if _, err := s.Holding().Remove(id, "a test", begin); err != nil {
		t.Fatal(err)
	}
}

// says fails unless the error is a fault with that text.
func says(t *testing.T, err error, code, text string) {
	t.Helper()
	var fault *health.Fault
	if !errors.As(err, &fault) || fault.Code != code || !strings.Contains(fault.Text, text) {
		t.Errorf("%v, want %s: %s", err, code, text)
	}
}

// TestAHoldHoldsWhatHasMediaOfItsTime has segments of a second and their neighbours in time.
func TestAHoldHoldsWhatHasMediaOfItsTime(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	var keys []Key
	for i := range 5 { // 0 s, 10 s … 40 s, each as long as two fragments
		keys = append(keys, addSegment(t, s, "door", begin.Add(time.Duration(i)*10*time.Second), 2))
	}
	end := s.Segments("door", time.Time{}, time.Time{})[1].End.Sub(begin)
	for _, row := range []struct {
		from, to time.Duration
		held     []int
	}{
		{10 * time.Second, 20 * time.Second, []int{1}},
		{10 * time.Second, 20*time.Second + time.Millisecond, []int{1, 2}},
		{end, 15 * time.Second, []int{1}},
		{end + time.Millisecond, 15 * time.Second, nil},
		{-time.Hour, 0, nil},
		{-time.Hour, time.Hour, []int{0, 1, 2, 3, 4}},
	} {
		kept := addHold(t, s, holdOf(t, "row", "door", row.from, row.to))
		var held []int
		for i, info := range s.Segments("door", time.Time{}, time.Time{}) {
			if info.Held {
				held = append(held, i)
			}
		}
		if !slices.Equal(held, row.held) || kept.Segments != len(row.held) {
			t.Errorf("%s to %s holds %v, want %v; it was said to be %d", row.from, row.to, held, row.held, kept.Segments)
		}
		for i, k := range keys {
			if !slices.Contains(row.held, i) {
				continue
			}
			if err := s.Delete(k); !errors.Is(err, hold.ErrHeld) {
				t.Errorf("a held segment: %v", err)
			}
		}
		removeHold(t, s, "row")
	}
	if err := s.Delete(keys[1]); err != nil {
		t.Errorf("after the hold: %v", err)
	}
}

// TestAHoldIntoTheFutureHoldsWhatIsRecordedThen also while it is recorded, when it counts for the holds and not for the limit.
func TestAHoldIntoTheFutureHoldsWhatIsRecordedThen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	addSegment(t, s, "door", begin, 1)
	addHold(t, s, holdOf(t, "future", "door", time.Hour, 2*time.Hour))
	w := startSegment(t, s, "door", begin.Add(90*time.Minute), 3)
	if u := s.Usage("door"); u.HeldSegments != 1 || u.HeldBytes == 0 {
		t.Errorf("while it is recorded: %+v", u)
	}
	seal(t, w)
	after := addSegment(t, s, "door", begin.Add(3*time.Hour), 1)
	if err := s.Delete(w.Key()); !errors.Is(err, hold.ErrHeld) {
		t.Errorf("%v", err)
	}
	if err := s.Delete(after); err != nil {
		t.Errorf("%v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	if err := s.Delete(w.Key()); !errors.Is(err, hold.ErrHeld) {
		t.Errorf("after a restart: %v", err)
	}
}

// TestInDoubtASegmentIsHeld has times that were corrected, and times of which nobody knows what they mean.
func TestInDoubtASegmentIsHeld(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	ahead := addSegment(t, s, "door", begin.Add(2*time.Hour), 1)
	if err := s.BeginEpoch("door", begin.Add(2*time.Hour), time.Time{}, -2*time.Hour, begin.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	right := addSegment(t, s, "door", begin.Add(10*time.Minute), 1)
	for _, row := range []struct {
		from time.Duration
		held bool
	}{{0, true}, {2 * time.Hour, true}, {time.Hour, false}} { // when it was recorded, as its file has it, and neither
		addHold(t, s, holdOf(t, "row", "door", row.from, row.from+30*time.Second))
		for _, info := range s.Segments("door", time.Time{}, time.Time{}) {
			if want := row.held && info.Key == ahead; info.Held != want {
				t.Errorf("a hold from %s on: the segment of %s is held %v, want %v", row.from, info.StartTime(), info.Held, want)
			}
		}
		removeHold(t, s, "row")
	}
	if err := errors.Join(s.Delete(ahead), s.Delete(right)); err != nil {
		t.Fatal(err)
	}
	unset := addSegment(t, s, "yard", time.Unix(100, 0), 1)
	addHold(t, s, holdOf(t, "any", "yard", 0, time.Minute))
	if err := s.Delete(unset); !errors.Is(err, hold.ErrHeld) {
		t.Errorf("a segment of a clock that was not set: %v", err)
	}
}

func TestAHoldThatDoesNotFitIsRefusedWithTheNumbers(t *testing.T) {
	t.Parallel()
	most := int64(0)
	s, err := Open(Options{Dir: t.TempDir(), HoldMost: func(uint64) int64 { return most }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	addSegment(t, s, "door", begin, 3)
	addSegment(t, s, "door", begin.Add(time.Minute), 3)
	size := s.Segments("door", time.Time{}, time.Time{})[0].Bytes
	most = 2*size - 1
	addHold(t, s, holdOf(t, "one", "door", 0, time.Second))
	addHold(t, s, holdOf(t, "within", "door", 0, time.Second)) // needs no more
	_, err = s.Holding().Add(t.Context(), holdOf(t, "two", "door", 0, time.Hour))
	says(t, err, hold.CodeTooLarge, "does not fit: it needs")
	if list := s.Holding().List("door"); len(list) != 2 {
		t.Errorf("%+v", list)
	}
	if u := s.Usage("door"); u.HeldSegments != 1 || u.Holds != 2 {
		t.Errorf("%+v", u)
	}
	most = 2 * size
	addHold(t, s, holdOf(t, "two", "door", 0, time.Hour))
	if again := addHold(t, s, holdOf(t, "two", "door", 0, time.Hour)); again.ID != "two" || len(s.Holding().List("")) != 3 {
		t.Errorf("the same again: %+v", again)
	}
	_, err = s.Holding().Add(t.Context(), holdOf(t, "two", "door", 0, time.Minute))
	says(t, err, hold.CodeRequest, "another hold with the ID two")
	_, err = s.Holding().Add(t.Context(), holdOf(t, "new", "gate", 0, time.Minute))
	says(t, err, hold.CodeRequest, "Nothing is recorded of a stream gate yet")
	_, err = s.Holding().Remove("none", "a test", begin)
	says(t, err, hold.CodeRequest, "no hold with the ID none")
	most = size // a setting was changed, or a hold into the future has grown
	s.Holding().Keep()
	if worst, ok := s.health.Snapshot().Worst(); !ok || worst.Code != "holds-over-limit" {
		t.Errorf("%+v", worst)
	}
	removeHold(t, s, "two")
	if worst, ok := s.health.Snapshot().Worst(); ok {
		t.Errorf("%+v", worst)
	}
}

// TestHeldMediaDoesNotCountForTheLimit of its stream.
func TestHeldMediaDoesNotCountForTheLimit(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	addSegment(t, s, "door", begin, 20)
	size := s.Usage("door").Bytes
	full := health.UserFault("limit-reached", nil, "full")
	s.SetLimit("door", Limit{Bytes: size, Ahead: size / 16, Deny: true, Full: full})
	if _, err := s.Create("door", headerAt(begin.Add(time.Minute))); !errors.Is(err, ErrPaused) {
		t.Fatalf("before: %v", err)
	}
	addHold(t, s, holdOf(t, "one", "door", 0, time.Second))
	w := startSegment(t, s, "door", begin.Add(time.Minute), 2)
	removeHold(t, s, "one") // does not stop the recording: the limit applies again when there is room
	writeFragments(t, w, 2, 1)
	seal(t, w)
}

func TestAStreamWithHoldsIsDeletedButForWhatIsHeld(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	held := addSegment(t, s, "door", begin, 2)
	addSegment(t, s, "door", begin.Add(time.Minute), 2)
	addHold(t, s, holdOf(t, "one", "door", 0, time.Second))
	err := s.DeleteStream(t.Context(), "door")
	says(t, err, hold.CodeHeld, "Stream door has 1 hold, which keep 1 recording")
	if list := s.Segments("door", time.Time{}, time.Time{}); len(list) != 1 || list[0].Key != held || !errors.Is(err, hold.ErrHeld) {
		t.Errorf("%v %v", list, err)
	}
	removeHold(t, s, "one")
	if err := s.DeleteStream(t.Context(), "door"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "door")); !os.IsNotExist(err) {
		t.Errorf("its directory: %v", err)
	}
}

// TestADeletionThatBeganBeforeIsNotHeld and the hold says so only when it has ended.
func TestADeletionThatBeganBeforeIsNotHeld(t *testing.T) {
	t.Parallel()
	disk := newHanging()
	s, err := Open(Options{Dir: t.TempDir(), Files: disk})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	going, staying := addSegment(t, s, "slow", begin, 2), addSegment(t, s, "slow", begin.Add(time.Minute), 2)
	disk.arm(layout.GarbageSuffix)
	deleted, added := make(chan error, 1), make(chan error, 1)
	go func() { deleted <- s.Delete(going) }()
	<-disk.started
	// A caller whose context ends meanwhile leaves everything as it was.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Holding().Add(ctx, holdOf(t, "given-up", "slow", 0, time.Hour)); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if u := s.Usage("slow"); u.HeldSegments != 0 {
		t.Errorf("%+v", u)
	}
	kept := holding.Kept{}
	go func() {
		var err error
		kept, err = s.Holding().Add(t.Context(), holdOf(t, "one", "slow", 0, time.Hour))
		added <- err
	}()
	for s.Usage("slow").HeldSegments != 2 { // it is asked for
		runtime.Gosched()
	}
	if err := s.Delete(staying); !errors.Is(err, hold.ErrHeld) {
		t.Errorf("a segment that is being held: %v", err)
	}
	select {
	case err := <-added:
		t.Errorf("the hold did not wait: %v", err)
	default:
	}
	disk.letGo <- struct{}{}
	if err := errors.Join(<-deleted, <-added); err != nil || kept.Segments != 1 {
		t.Errorf("%v, it holds %d", err, kept.Segments)
	}
}

func TestAFileOfHoldsThatCannotBeReadHoldsTheStream(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "door", layout.HoldsFileName)
	s := open(t, dir)
	k := addSegment(t, s, "door", begin, 1)
	other := addSegment(t, s, "yard", begin, 1)
	addHold(t, s, holdOf(t, "one", "door", time.Hour, 2*time.Hour))
	addHold(t, s, holdOf(t, "two", "door", time.Hour, 2*time.Hour))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	bad := slices.Clone(good)
	bad[20] ^= 1
	if err := os.WriteFile(path, bad, 0o600); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	if err := s.Delete(k); !errors.Is(err, hold.ErrHeld) {
		t.Errorf("%v", err)
	}
	if err := s.Delete(other); err != nil {
		t.Errorf("another stream: %v", err)
	}
	worst, _ := s.health.Snapshot().Worst()
	if worst.Code != "holds-unreadable" || !strings.Contains(worst.Text, path+" cannot be read, so all recordings of stream door are held") {
		t.Errorf("%+v", worst)
	}
	_, err = s.Holding().Add(t.Context(), holdOf(t, "three", "door", 0, time.Hour))
	says(t, err, "holds-unreadable", "restore the file")
	_, err = s.Holding().Remove("two", "somebody", time.Now())
	says(t, err, "holds-unreadable", "restore the file")
	says(t, s.DeleteStream(t.Context(), "door"), "holds-unreadable", "restore the file")
	if list := s.Holding().List("door"); len(list) == 0 || !list[len(list)-1].Unreadable {
		t.Errorf("%+v", list)
	}
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	s.Holding().Keep()
	if _, ok := s.health.Snapshot().Worst(); ok || len(s.Holding().List("door")) != 2 {
		t.Errorf("%+v", s.Holding().List("door"))
	}
	if err := s.Delete(k); err != nil {
		t.Errorf("what no hold holds: %v", err)
	}
}

// TestAStoreWithHoldsIsOfAFormatOfItsOwn so that an earlier version does not delete from it.
func TestAStoreWithHoldsIsOfAFormatOfItsOwn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, layout.FormatFileName)
	s, err := Open(Options{Dir: dir, Version: "v1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	addSegment(t, s, "door", begin, 1)
	_, err = s.Holding().Add(t.Context(), holdOf(t, "one", "nobody", 0, time.Hour))
	if _, statErr := os.Stat(path); err == nil || !os.IsNotExist(statErr) {
		t.Errorf("a refused hold changed the format: %v, %v", err, statErr)
	}
	addHold(t, s, holdOf(t, "one", "door", 0, time.Hour))
	for range 2 {
		if data, err := os.ReadFile(path); err != nil || string(data) != "3 v1.2.3\n" {
			t.Errorf("%q %v", data, err)
		}
		if err := errors.Join(s.Close(), os.Remove(path)); err != nil { // a format that was lost comes back
			t.Fatal(err)
		}
		if s, err = Open(Options{Dir: dir, Version: "v1.2.3"}); err != nil {
			t.Fatal(err)
		}
	}
	removeHold(t, s, "one")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "3 v1.2.3\n" {
		t.Errorf("the format went back: %q %v", data, err)
	}
	// Where the format cannot be written, there is no hold.
	dir = t.TempDir()
	s = open(t, dir)
	addSegment(t, s, "door", begin, 1)
	if err := os.MkdirAll(filepath.Join(dir, layout.FormatFileName, "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Holding().Add(t.Context(), holdOf(t, "one", "door", 0, time.Hour)); err == nil {
		t.Error("a hold was added")
	}
	if _, err := os.Stat(filepath.Join(dir, "door", layout.HoldsFileName)); !os.IsNotExist(err) {
		t.Errorf("%v", err)
	}
}

func TestHoldsEndByThemselves(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	k := addSegment(t, s, "door", begin, 1)
	h := holdOf(t, "one", "door", 0, time.Hour)
	h.Until = begin.Add(24 * time.Hour)
	addHold(t, s, h)
	s.ExpireHolds(begin.Add(24*time.Hour - time.Millisecond))
	if err := s.Delete(k); !errors.Is(err, hold.ErrHeld) {
		t.Errorf("before its end: %v", err)
	}
	s.ExpireHolds(begin.Add(24 * time.Hour))
	if err := s.Delete(k); err != nil || len(s.Holding().List("")) != 0 {
		t.Errorf("after its end: %v", err)
	}
}

// TestPowerCutsKeepHolds cuts the power after every operation on files: a hold that was acknowledged is there, holds its segment, and the
// store has the format; one whose removal was acknowledged is gone.
func TestPowerCutsKeepHolds(t *testing.T) {
	t.Parallel()
	j := newJournal(t.TempDir())
	y := story{t: t, j: j}
	y.open()
	k := y.record("door", begin, 2)
	added, removing, removed := make(map[string]int), make(map[string]int), make(map[string]int) // by ID: the number of events before

	for i := range 90 {
		id := fmt.Sprint("hold-", i)
		addHold(t, y.s, holdOf(t, id, "door", 0, time.Duration(1+i)*time.Minute))
		added[id] = len(j.events)
		if i%10 != 0 {
			removing[id] = len(j.events)
			removeHold(t, y.s, id)
			removed[id] = len(j.events)
		}
	}

	if err := y.s.Close(); err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(22, 22))
	first := slices.Min(slices.Collect(maps.Values(added)))
	for n := first; n <= len(j.events); n++ {
		dir := j.cut(t, n, random)
		s, err := Open(Options{Dir: dir})
		if err != nil {
			t.Fatalf("after %d of %d events: %v", n, len(j.events), err)
		}
		there := make(map[string]bool)
		unreadable := false
		for _, kept := range s.Holding().List("door") {
			there[kept.ID], unreadable = true, unreadable || kept.Unreadable
		}
		held := unreadable
		for id, at := range added {
			ending, ends := removing[id]
			switch gone, ended := removed[id]; {
			case at <= n && (!ends || n <= ending):
				if held = true; !there[id] && !unreadable {
					t.Fatalf("after %d events hold %s is lost: %v", n, id, there)
				}
			case ended && gone <= n && there[id] && !unreadable:
				t.Fatalf("after %d events hold %s is back", n, id)
			}
		}
		if held {
			if err := s.Delete(k); !errors.Is(err, hold.ErrHeld) {
				t.Fatalf("after %d events the held segment: %v", n, err)
			}
			if format, _, err := layout.ReadFormat(dir); err != nil || format != layout.FormatHolds {
				t.Fatalf("after %d events the format is %d, %v", n, format, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		_ = os.RemoveAll(dir)
	}
}

// TestAFileOfHoldsThatSomebodyRemovedComesBack with the next segment, or the next look.
func TestAFileOfHoldsThatSomebodyRemovedComesBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	addSegment(t, s, "door", begin, 1)
	addHold(t, s, holdOf(t, "one", "door", 0, time.Hour))
	if err := os.RemoveAll(filepath.Join(dir, "door")); err != nil {
		t.Fatal(err)
	}
	s.Holding().Keep() // cannot be written
	k := addSegment(t, s, "door", begin.Add(time.Minute), 1)
	s.Holding().Keep()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	if err := s.Delete(k); !errors.Is(err, hold.ErrHeld) {
		t.Errorf("%v", err)
	}
}
