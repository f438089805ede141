package mkv

import (
	"bytes"
	"testing"
	"time"
)

// fileStep is an operation on a file.
type fileStep struct {
	at     int64
	data   []byte
	synced bool // everything before it is on the disk
}

// stepFile is a file in memory that notes what is done to it.
type stepFile struct {
	memory
	steps []fileStep
}

func (f *stepFile) Write(p []byte) (int, error) {
	f.steps = append(f.steps, fileStep{at: int64(len(f.data)), data: bytes.Clone(p)})
	return f.memory.Write(p)
}

func (f *stepFile) WriteAt(p []byte, off int64) (int, error) {
	f.steps = append(f.steps, fileStep{at: off, data: bytes.Clone(p)})
	return f.memory.WriteAt(p, off)
}

func (f *stepFile) Sync() error {
	f.steps = append(f.steps, fileStep{synced: true})
	return nil
}

// after returns what the first steps leave, without those that are lost.
func (f *stepFile) after(n int, lost func(step int) bool) *memory {
	m := &memory{}
	for i, s := range f.steps[:n] {
		if !s.synced && !lost(i) {
			_, _ = m.WriteAt(s.data, s.at) // of a memory
		}
	}
	return m
}

// movedGOP writes GOPs into a fragment, of which the last is moved, and frames behind it. It returns after how many steps the move began
// and ended, and the frames.
func movedGOP(t testing.TB, f *stepFile, leading bool, late time.Duration) (began, ended int, frames []gopFrame) {
	t.Helper()
	w, err := NewWriter(f, movedHeader, WriterOptions{BufferSize: 300})
	if err != nil {
		t.Fatal(err)
	}
	frames = gopFrames([]time.Duration{time.Second, 480 * time.Millisecond, 600 * time.Millisecond}, leading, late)
	if err := w.BeginFragment(frames[0].at, true); err != nil {
		t.Fatal(err)
	}
	half := len(frames) - 6
	writeFrames(t, w, frames[:half])
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	began = len(f.steps)
	if _, ok, err := w.MoveGOP(900 * time.Millisecond); err != nil || !ok {
		t.Fatalf("moved: %v, %v", ok, err)
	}
	ended = len(f.steps)
	writeFrames(t, w, frames[half:])
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return began, ended, frames
}

// expectOnce recovers a file, and checks that it verifies, has the first frames, at least, each once, and in rising fragments.
func expectOnce(t *testing.T, m *memory, frames []gopFrame, least int) Recovery {
	t.Helper()
	recovered, err := Recover(m, int64(len(m.data)))
	if err != nil {
		t.Fatal(err)
	}
	r, err := Open(m, int64(len(m.data)))
	if err != nil {
		t.Fatal(err)
	}
	v, err := r.Verify(true)
	if err != nil || len(v.Damaged) > 0 || v.Unsummed > 0 {
		t.Fatalf("verified: %+v, %v", v, err)
	}
	n, end := 0, -time.Hour
	for _, f := range v.Fragments {
		if f.Start <= end || !f.Keyframe {
			t.Fatalf("a fragment begins at %s, and the previous one ends at %s: %+v", f.Start, end, v.Fragments)
		}
		end = f.Last
		for b, err := range r.Blocks(f) {
			if err != nil {
				t.Fatal(err)
			}
			if n == len(frames) || !bytes.Equal(b.Data, frames[n].data) {
				t.Fatalf("block %d is %x: %+v", n, b.Data, v.Fragments)
			}
			n++
		}
	}
	if n < least {
		t.Fatalf("%d frames are left of %d: %+v", n, least, v.Fragments)
	}
	return recovered
}

// TestACrashWhileAGOPIsMoved takes no frame and doubles none, at whatever byte the process is killed, or the power is cut: then what was
// written since the last sync may be lost, or be there as zeros.
func TestACrashWhileAGOPIsMoved(t *testing.T) {
	t.Parallel()
	for _, leading := range []bool{false, true} {
		for _, late := range []time.Duration{0, 150 * time.Millisecond} {
			f := &stepFile{}
			began, ended, frames := movedGOP(t, f, leading, late)
			written := len(frames) - 6
			synced := began
			for n := began; n < len(f.steps); n++ {
				if f.steps[n].synced {
					synced = n
					continue
				}
				for cut := range len(f.steps[n].data) + 1 {
					step := f.steps[n]
					m := f.after(n, func(int) bool { return false })
					_, _ = m.WriteAt(step.data[:cut], step.at)
					if got := expectOnce(t, m, frames, written); cut == len(step.data) && (got.Damaged > 0 || got.Lost > 0) {
						t.Errorf("killed after step %d: %d bytes and %d frames count as damaged", n, got.Damaged, got.Lost)
					}
					m = f.after(n, func(int) bool { return false })
					if step.at == int64(len(m.data)) && n < ended { // the file has its new size without the data
						_, _ = m.WriteAt(append(bytes.Clone(step.data[:cut]), make([]byte, len(step.data)-cut)...), step.at)
						expectOnce(t, m, frames, written)
					}
				}
				for missing := synced; missing < n; missing++ { // written in another order
					expectOnce(t, f.after(n+1, func(i int) bool { return i == missing }), frames, written)
				}
			}
		}
	}
}

// TestAGOPThatBeginsEarlier has a keyframe that a camera dated before the frames that precede it: what it begins is after them.
func TestAGOPThatBeginsEarlier(t *testing.T) {
	t.Parallel()
	f := &stepFile{}
	w, err := NewWriter(f, movedHeader, WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.BeginFragment(0, true); err != nil {
		t.Fatal(err)
	}
	frames := gopFrames([]time.Duration{2 * time.Second, time.Second}, false, 0)
	for i := range frames {
		if frames[i].at >= 2080*time.Millisecond {
			frames[i].at -= 300 * time.Millisecond
		}
	}
	writeFrames(t, w, frames)
	m, ok, err := w.MoveGOP(time.Second)
	if err != nil || !ok || m.Open.Start <= m.Completed.Last || m.Open.Last < m.Open.Start {
		t.Fatalf("moved: %v, %v: %+v", ok, err, m)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	expectOnce(t, &f.memory, frames, len(frames))
}
