package retention

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// records reports whether a stream takes a new segment at that time.
func (y *yard) records(stream string, after time.Duration) bool {
	y.t.Helper()
	header := mkv.Header{Start: begin.Add(after), Tracks: []mkv.Track{{Number: 1, Kind: mkv.Video, CodecID: mkv.CodecAVC}}}
	w, err := y.store.Create(stream, header)
	if errors.Is(err, segment.ErrPaused) {
		return false
	}
	if err == nil {
		err = w.Seal()
	}
	if err != nil {
		y.t.Fatal(err)
	}
	return true
}

// TestTheAccountIsOfThisDiskOnly deletes media of another disk, which is not what this one waits for.
func TestTheAccountIsOfThisDiskOnly(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	y.elsewhere["away"] = true
	for _, stream := range []string{"away", "here"} {
		y.keeper.SetPolicy(stream, Policy{DeleteAfterUpload: true})
		y.add(stream, 0, mb, true)
	}
	y.pass()
	y.expect("away")
	y.expect("here")
	if got, want := y.keeper.account.counted, (fakeDisk{y.store, y}).Deleted(); got != want || want < mb {
		t.Errorf("%d bytes are booked as deleted from this disk, it were %d", got, want)
	}
}

// TestAStreamThatMovesToAnotherDiskGoesOn has the disk low, so that all pause, and then one's directory become a link.
func TestAStreamThatMovesToAnotherDiskGoesOn(t *testing.T) {
	t.Parallel()
	for _, low := range []bool{true, false} {
		y := newYard(t)
		for _, stream := range []string{"moves", "stays"} {
			y.keeper.SetPolicy(stream, Policy{OnFull: DenyNew})
			y.add(stream, 0, mb, false)
		}
		y.free = 2*mb + 100_000
		y.pass()
		if y.records("moves", time.Minute) || y.records("stays", time.Minute) {
			t.Fatal("a low disk is recorded to")
		}
		y.elsewhere["moves"] = true
		if y.free = mb + 100_000; !low {
			y.free = 1 << 40
		}
		y.pass()
		if !y.records("moves", time.Minute) {
			t.Errorf("disk low %v: a stream on another disk stays paused", low)
		}
		if got := y.records("stays", time.Minute); got == low {
			t.Errorf("disk low %v: the one that is still here records: %v", low, got)
		}
		if _, ok := y.condition("moves", codeLow); ok {
			t.Errorf("disk low %v: status still says that it is paused", low)
		}
	}
}

// TestOneStreamThatCannotBeDeletedFromLeavesTheOthersGuarded has the directory of the largest stream fail, and then all.
func TestOneStreamThatCannotBeDeletedFromLeavesTheOthersGuarded(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	for i := range 4 {
		y.add("broken", time.Duration(i)*10*time.Second, 2*mb, i == 0)
		y.add("sound", time.Duration(i)*10*time.Second, mb, false)
	}
	y.keeper.SetPolicy("sound", Policy{})
	failing := map[string]bool{"broken": true}
	y.failing = func(k segment.Key) error {
		if failing[k.Stream] {
			return errors.New("the directory is not there")
		}
		return nil
	}
	y.free = 12*mb + 100_000 // one segment is missing
	y.pass()
	y.expect("broken", 0, 10, 20, 30)
	y.expect("sound", 10, 20, 30)
	if _, ok := y.condition("broken", segment.CodeDisk); !ok {
		t.Error("nobody says that it cannot be deleted from")
	}
	failing["sound"] = true
	y.free -= mb
	y.elapse(time.Hour)
	y.pass()
	y.expect("sound", 10, 20, 30)
	if _, ok := y.condition("sound", codeLow); ok {
		t.Error("it is paused as nothing may be deleted, but the disk fails")
	}
	delete(failing, "sound")
	y.elapse(time.Hour)
	y.pass()
	y.expect("sound", 20, 30)
}

// TestFilesThatAPersonDeletedFreeNothing has segments in the index of which the files are gone: what is missing is
// deleted all the same, and they count neither as deleted nor as lost.
func TestFilesThatAPersonDeletedFreeNothing(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	for i := range 6 {
		y.add("door", time.Duration(i)*10*time.Second, mb, false)
	}
	y.failing = func(k segment.Key) error {
		if k.Start < begin.Add(30*time.Second).UnixMilli() {
			return fmt.Errorf("%w: somebody deleted it", segment.ErrNotFound)
		}
		return nil
	}
	y.free = 6*mb + 100_000 // one segment is missing
	y.pass()
	y.expect("door", 0, 10, 20, 40, 50)
	if n := y.number("door", health.DeletedBeforeUpload); n != 1 {
		t.Errorf("%d segments count as lost, want the one that existed", n)
	}
	if got, want := y.keeper.account.counted, y.store.Deleted(); got != want {
		t.Errorf("%d bytes are booked as deleted, it were %d", got, want)
	}
}

// halfDone records a segment with a small fragment and a large one that is persisted. The small one is refused, or
// still to be uploaded.
func (y *yard) halfDone(stream string, after time.Duration, bytes int, refused bool) {
	y.t.Helper()
	w := y.create(stream, after)
	var list [2]mkv.Fragment
	for i, size := range []int{bytes, 1000} {
		at := time.Duration(i) * time.Second
		err := errors.Join(w.BeginFragment(at, true), w.WriteFrame(1, at, true, [][]byte{make([]byte, size)}))
		var endErr error
		if list[i], endErr = w.EndFragment(); err != nil || endErr != nil {
			y.t.Fatal(err, endErr)
		}
	}
	err := errors.Join(w.Seal(), y.store.MarkPersisted(w.Key(), list[0]))
	if refused {
		err = errors.Join(err, y.store.MarkRefused(w.Key(), list[1], "4006"), y.store.MarkUploaded(w.Key()))
	}
	if err != nil {
		y.t.Fatal(err)
	}
}

// TestWhatDenyingStreamsHoldIsCountedAsWholeSegments has one that denies new media hold segments of which most is
// persisted. They stay as a whole, so the little that another has cannot make the room and is not given up.
func TestWhatDenyingStreamsHoldIsCountedAsWholeSegments(t *testing.T) {
	t.Parallel()
	for _, refused := range []bool{true, false} {
		y := newYard(t)
		y.keeper.SetPolicy("denies", Policy{OnFull: DenyNew})
		y.keeper.SetPolicy("donor", Policy{})
		y.halfDone("denies", 0, 5*mb, refused)
		y.add("donor", 0, mb/4, false)
		y.free = 5*mb + mb/2
		next := y.keeper.DiskForecast().NextBytes
		y.pass()
		y.expect("denies", 0)
		if y.expect("donor", 0); next != 0 {
			t.Errorf("refused %v: %d bytes are said to go", refused, next)
		}
		y.free = 6*mb + mb/8
		if y.pass(); len(y.left("donor")) > 0 {
			t.Errorf("refused %v: it is not given up where that suffices", refused)
		}
	}
}

// TestForecastsAreOfThisDisk has much on another disk, and more of it recorded.
func TestForecastsAreOfThisDisk(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	for _, stream := range []string{"away", "here"} {
		y.keeper.SetPolicy(stream, Policy{})
		y.health.Component(stream, health.JobRecorder).Gauge(health.BitrateBPS).Set(8000)
	}
	y.add("here", 0, mb, false)
	y.free = 100 * mb
	y.elsewhere["away"] = true
	room, ok := y.keeper.Room()
	if !ok || room != 99*mb { // all but the reserve of 1 MB
		t.Errorf("%v: room for %d bytes", ok, room)
	}
	for i := range 4 {
		y.add("away", time.Duration(i)*time.Minute, mb, true)
	}
	if again, _ := y.keeper.Room(); again != room {
		t.Errorf("room for %d bytes, and %d with media on another disk", room, again)
	}
	if rate, held := y.keeper.total(); rate != 1000 || held < mb || held > 2*mb {
		t.Errorf("%d bytes at %d bytes/s, with what another disk has", held, rate)
	}
	if f := y.keeper.Forecast("away"); f.Days != 0 || !f.FullAt.IsZero() {
		t.Errorf("this disk's room is foreseen for another: %+v", f)
	}
	y.keeper.SetPolicy("away", Policy{DeleteAfterUpload: true})
	y.free = mb + 1000 // all that is here has to go for the reserve
	if f := y.keeper.DiskForecast(); f.NextBytes < mb || f.NextBytes > 2*mb || f.NextNotUploaded != f.NextBytes {
		t.Errorf("the next pass is said to delete %+v", f)
	}
}

// TestDigitsMakeNoNewOccurrence has the sizes in the sentences of a full disk change with each pass.
func TestDigitsMakeNoNewOccurrence(t *testing.T) {
	t.Parallel()
	for _, code := range []string{codeLow, codeFilled} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			y := newYard(t)
			y.keeper.o.MinFree = func(uint64) uint64 { return 100 * mb }
			y.keeper.SetPolicy("door", Policy{OnFull: DenyNew})
			y.add("door", 0, mb, false)
			var first health.Condition
			for n := range 5 {
				y.free = uint64(10*mb - n*200_000)
				y.pass()
				c, ok := y.condition("", code)
				switch {
				case !ok:
					t.Fatalf("pass %d: %s is not reported", n, code)
				case n == 0:
					first = c
				case !c.Since.Equal(first.Since) || c.Count != first.Count+int64(n) || c.Text == first.Text:
					t.Errorf("pass %d: %+v, after %+v", n, c, first)
				}
				y.elapse(time.Minute)
			}
		})
	}
}
