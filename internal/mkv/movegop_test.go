package mkv

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// gopFrame is a frame of TestMoveGOP.
type gopFrame struct {
	track    uint8
	at       time.Duration
	keyframe bool
	data     []byte
}

// gopFrames are the frames of GOPs of those lengths, 25 a second, with audio every 120 ms that is behind by as much as late says. The first
// frames after a keyframe are shown before it when leading is set.
func gopFrames(lengths []time.Duration, leading bool, late time.Duration) (list []gopFrame) {
	const step = 40 * time.Millisecond
	at := 2 * step
	for g, length := range lengths {
		for n := 0; time.Duration(n)*step < length; n++ {
			shown := at + time.Duration(n)*step
			if leading && g > 0 && n < 3 { // I B B, shown as B B I
				shown = at + []time.Duration{2, 0, 1}[n]*step
			}
			data := []byte{0, 0, 0, 9, 0x41, byte(g), byte(n), byte(n >> 8), 1, 2, 3, 4, 5}
			if n == 0 {
				data[4] = 0x65
			}
			list = append(list, gopFrame{1, shown, n == 0, data})
			if n%3 == 1 {
				list = append(list, gopFrame{2, at + time.Duration(n)*step - late, true, []byte(fmt.Sprint("audio", g, n))})
			}
		}
		at += length
	}
	return list
}

var movedHeader = Header{Start: time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC), Title: "door", Tracks: []Track{
	{Number: 1, Kind: Video, CodecID: CodecAVC}, {Number: 2, Kind: Audio, CodecID: CodecAAC, SampleRate: 8000, Channels: 1},
}}

func writeFrames(t testing.TB, w *Writer, list []gopFrame) {
	t.Helper()
	for _, x := range list {
		data := x.data
		if x.track == 1 {
			data = data[4:]
		}
		if err := w.WriteFrame(x.track, x.at, x.keyframe, [][]byte{data}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestMoveGOP has a GOP that does not fit into the fragment that it began in: it gets one of its own, and no frame changes, also where a
// crash ends the file at any point of it.
func TestMoveGOP(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		lengths []time.Duration
		leading bool
		late    time.Duration
		buffer  int
		moved   bool
	}{
		"in the file":       {[]time.Duration{time.Second, time.Second, 9 * time.Second}, false, 0, 500, true},
		"in the buffer":     {[]time.Duration{time.Second, time.Second, 9 * time.Second}, false, 0, 1 << 20, true},
		"open GOPs":         {[]time.Duration{2 * time.Second, 9 * time.Second}, true, 0, 500, true},
		"late audio":        {[]time.Duration{2 * time.Second, 9 * time.Second}, false, 150 * time.Millisecond, 700, true},
		"both":              {[]time.Duration{2 * time.Second, 9 * time.Second}, true, 150 * time.Millisecond, 700, true},
		"one GOP":           {[]time.Duration{9 * time.Second}, false, 0, 500, false},
		"a short first GOP": {[]time.Duration{500 * time.Millisecond, 9 * time.Second}, false, 0, 500, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "a.mkv")
			f, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			w, err := NewWriter(f, movedHeader, WriterOptions{BufferSize: row.buffer})
			if err != nil {
				t.Fatal(err)
			}
			frames := gopFrames(row.lengths, row.leading, row.late)
			if err := w.BeginFragment(frames[0].at, true); err != nil {
				t.Fatal(err)
			}
			half := len(frames) - 20
			writeFrames(t, w, frames[:half])
			before, most := w.Written(), w.FinalSize()+w.NewestGOP()
			m, ok, err := w.MoveGOP(time.Second)
			if err != nil || ok != row.moved {
				t.Fatalf("moved: %v, %v", ok, err)
			}
			if ok && (w.FinalSize() > most || w.Written() < before) {
				t.Errorf("the file may have %d bytes, more than %d", w.FinalSize(), most)
			}
			torn, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			writeFrames(t, w, frames[half:])
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			whole, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			expectMoved(t, whole, frames, m, ok)
			if !ok {
				return
			}
			file := &memory{data: torn}
			if _, err := Recover(file, int64(len(torn))); err != nil {
				t.Fatal(err)
			}
			expectMoved(t, file.data, frames[:half], m, true)
		})
	}
}

// expectMoved checks that a file verifies, has the frames, each once, and where they were moved two fragments in order.
func expectMoved(t *testing.T, data []byte, frames []gopFrame, m Moved, moved bool) {
	t.Helper()
	r, err := Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	v, err := r.Verify(true)
	if err != nil || len(v.Damaged) > 0 || v.Unsummed > 0 {
		t.Errorf("verified: %+v, %v", v, err)
	}
	if moved && (len(v.Fragments) != 2 || v.Fragments[0] != m.Completed || v.Fragments[1].Start != m.Open.Start ||
		v.Fragments[1].Offset != m.Open.Offset || !v.Fragments[1].Keyframe) {
		t.Fatalf("fragments: %+v, want %+v", v.Fragments, m)
	}
	n, last := 0, -time.Hour
	for _, f := range v.Fragments {
		newest := last
		for b, err := range r.Blocks(f) {
			if err != nil {
				t.Fatal(err)
			}
			want := frames[n]
			n++
			if b.Track != want.track || b.Keyframe != want.keyframe || !bytes.Equal(b.Data, want.data) {
				t.Fatalf("block %d is %x of track %d, want %x of track %d", n, b.Data, b.Track, want.data, want.track)
			}
			off := b.Time - want.at
			if off < 0 || off > 200*time.Millisecond || off > 0 && (want.at > newest || b.Time > newest+10*time.Millisecond) {
				t.Errorf("block %d at %s, want %s", n, b.Time, want.at)
			}
			if b.Time <= newest {
				t.Errorf("block %d at %s, although the previous fragment ends at %s", n, b.Time, newest)
			}
			last = max(last, b.Time)
		}
	}
	if n != len(frames) {
		t.Errorf("%d blocks, want %d", n, len(frames))
	}
}
