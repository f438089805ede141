package segment

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
)

var noRoom = health.UserFault("limit-reached", nil, "The limit is reached.")

const tooMuch = 200_000

// fillLimit writes frames of 10 kB until there is no room, and returns how many there are.
func fillLimit(t *testing.T, w *Writer) (frames int) {
	t.Helper()
	if err := w.BeginFragment(0, true); err != nil {
		t.Fatal(err)
	}
	for ; frames < tooMuch/10_000; frames++ {
		err := w.WriteFrame(1, time.Duration(frames)*time.Millisecond, frames == 0, [][]byte{make([]byte, 10_000)})
		if errors.Is(err, ErrPaused) && health.FaultOf(err, "x").Code == noRoom.Code {
			return frames
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return frames
}

func beginSegment(t *testing.T, s *Store, after time.Duration) *Writer {
	t.Helper()
	w, err := s.Create("door", headerAt(begin.Add(after)))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestALimitHoldsAtEveryFrame(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	var lows atomic.Int32
	limit := Limit{Bytes: 100_000, Ahead: 16_000, Low: func() { lows.Add(1) }, Full: noRoom}
	s.SetLimit("door", limit)
	w := beginSegment(t, s, 0)
	if n := fillLimit(t, w); n != 9 || lows.Load() == 0 {
		t.Errorf("%d frames of 10 kB are in 100 kB, room was asked for %d times", n, lows.Load())
	}
	if u := s.Usage("door"); u.Bytes != 0 && u.Bytes+u.Growing > limit.Bytes || u.Growing < 90_000 {
		t.Errorf("%+v", u)
	}
	if err := w.WriteFrame(1, time.Second, false, [][]byte{{1}}); err != nil {
		t.Errorf("a frame that fits is refused: %v", err)
	}
	before := s.Usage("door")
	seal(t, w)
	if u := s.Usage("door"); u.Growing != 0 || u.Bytes > before.Bytes+before.Growing || u.Bytes > limit.Bytes {
		t.Errorf("%+v after %+v", u, before)
	}
	if _, err := s.Create("door", headerAt(begin.Add(time.Minute))); !errors.Is(err, ErrPaused) {
		t.Errorf("a segment begins without room: %v", err)
	}
	if err := s.Delete(w.Key()); err != nil {
		t.Fatal(err)
	}
	seal(t, beginSegment(t, s, time.Minute))
}

// Lowering the limit must not cost a frame while older media is still to be deleted for it.
func TestALoweredLimitWaitsForTheDeletion(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	limit := Limit{Bytes: 1_000_000, Ahead: 16_000, Full: noRoom}
	s.SetLimit("door", limit)
	old := beginSegment(t, s, 0)
	fillLimit(t, old)
	seal(t, old)
	w := beginSegment(t, s, time.Minute)
	limit.Bytes = 100_000
	s.SetLimit("door", limit)
	if n := fillLimit(t, w); n != tooMuch/10_000 {
		t.Errorf("only %d frames are written while the deletion is waited for", n)
	}
	seal(t, w)
	last := beginSegment(t, s, 2*time.Minute)
	for _, k := range []Key{old.Key(), w.Key()} {
		if err := s.Delete(k); err != nil {
			t.Fatal(err)
		}
	}
	if n := fillLimit(t, last); n != 9 {
		t.Errorf("%d frames are in 100 kB after the deletion", n)
	}
	limit.Bytes = 0
	s.SetLimit("door", limit)
	if err := last.WriteFrame(1, time.Second, false, [][]byte{make([]byte, tooMuch)}); err != nil {
		t.Errorf("without a limit: %v", err)
	}
	seal(t, last)
}

func TestAStreamThatDeniesBeginsNoSegmentWithoutRoomForIt(t *testing.T) {
	t.Parallel()
	for deny, want := range map[bool]error{true: ErrPaused, false: nil} {
		s := open(t, t.TempDir())
		first := beginSegment(t, s, 0)
		if err := errors.Join(first.BeginFragment(0, true), first.WriteFrame(1, 0, true, [][]byte{make([]byte, 85_000)})); err != nil {
			t.Fatal(err)
		}
		seal(t, first)
		s.SetLimit("door", Limit{Bytes: 100_000, Ahead: 16_000, Deny: deny, Full: noRoom})
		w, err := s.Create("door", headerAt(begin.Add(time.Minute)))
		if !errors.Is(err, want) {
			t.Errorf("deny %v: %v", deny, err)
		}
		if w != nil {
			seal(t, w)
		}
	}
}

// Sound that goes with a picture has room where another picture has none, or a fragment would lack it.
func TestSoundHasRoomBehindTheLastPicture(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	s.SetLimit("door", Limit{Bytes: 100_000, Ahead: 16_000, Full: noRoom})
	h := headerAt(begin)
	h.Tracks = append(h.Tracks, mkv.Track{Number: 2, Kind: mkv.Audio, CodecID: mkv.CodecACM})
	w, err := s.Create("door", h)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.BeginFragment(0, true); err != nil {
		t.Fatal(err)
	}
	full := false
	for n := 0; !full; n++ {
		err := w.WriteFrame(1, time.Duration(n), n == 0, [][]byte{make([]byte, 500)})
		if full = errors.Is(err, ErrPaused); err != nil && !full {
			t.Fatal(err)
		}
	}
	if err := w.WriteFrame(2, time.Second, true, [][]byte{make([]byte, 1600)}); err != nil {
		t.Errorf("sound has no room: %v", err)
	}
	seal(t, w)
	if u := s.Usage("door"); u.Bytes > 100_000 {
		t.Errorf("%d bytes", u.Bytes)
	}
}
