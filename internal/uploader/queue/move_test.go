package queue

import (
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// readOnly is a disk that can be read and not written.
type readOnly struct {
	*segment.Store
	mends bool
	asked int
}

func (s *readOnly) MarkUploaded(k segment.Key) error {
	if s.asked++; s.mends {
		return s.Store.MarkUploaded(k)
	}
	return &os.LinkError{Op: "rename", Err: syscall.EROFS}
}

// apart sends everything in order, in one piece.
type apart struct{}

func (apart) Deferred(ID) bool  { return false }
func (apart) SplitOf(ID) *Split { return nil }
func (apart) Divide(ID, *Split) {}

// oneDone returns a disk with a segment of which all is done.
func oneDone(t *testing.T) *readOnly {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	store, err := segment.Open(segment.Options{Dir: t.TempDir()})
	must(err)
	t.Cleanup(func() { _ = store.Close() })
	writer, err := store.Create("door", mkv.Header{
		Start: time.Unix(1_795_000_000, 0), Title: "door",
		Tracks: []mkv.Track{{Number: 1, Kind: mkv.Video, CodecID: mkv.CodecAVC, CodecPrivate: []byte{1}, Width: 640, Height: 480}},
	})
	must(err)
	must(writer.BeginFragment(0, true))
	for at := range 3 {
		must(writer.WriteFrame(1, time.Duration(at)*time.Second, at == 0, [][]byte{{0x65, 1, 2}}))
	}
	f, err := writer.EndFragment()
	must(err)
	must(writer.Seal())
	must(store.MarkPersisted(writer.Key(), f))
	return &readOnly{Store: store}
}

// TestThePausesOfAMoveThatFailsGrow, although the segment can be read each time, so that an upload that ends when nothing is pending
// does not wait for ever. They begin again once it was moved.
func TestThePausesOfAMoveThatFailsGrow(t *testing.T) {
	t.Parallel()
	disk, now := oneDone(t), time.Unix(1_795_000_100, 0)
	q := New(Options{
		Stream: "door", Store: disk, Isolation: apart{}, Audio: func() Audio { return AudioPlayable },
		Longest: func() time.Duration { return 0 }, Unreadable: func(err error) { t.Error(err) }, Now: func() time.Time { return now },
	})
	pass := func() error {
		q.Restart()
		if f, ok := q.Peek(); ok {
			t.Fatalf("%v pends", f.ID())
		}
		_, err := q.Settle(func(segment.Key) bool { return false })
		return err
	}
	var pauses []time.Duration
	for len(pauses) < 10 {
		if err := pass(); !errors.Is(err, syscall.EROFS) {
			t.Fatalf("the move ends with %v", err)
		}
		at, ok := q.NextRetry(UnreadableWait)
		if !ok {
			break
		}
		pauses = append(pauses, at.Sub(now))
		now = at
	}
	if len(pauses) != 5 || pauses[4] != UnreadableWait || disk.asked != 6 {
		t.Errorf("the pauses are %v, and it was asked %d times", pauses, disk.asked)
	}
	now, disk.mends = now.Add(UnreadableFor), true
	if err := pass(); err != nil || !q.Readable() || len(q.passedOver.moving) > 0 {
		t.Errorf("at the end: %v, %v", err, q.passedOver)
	}
	q.Release()
}
