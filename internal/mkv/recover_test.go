package mkv

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// memory is a file in memory.
type memory struct{ data []byte }

func (m *memory) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(m.data).ReadAt(p, off)
}
func (m *memory) Write(p []byte) (int, error) { m.data = append(m.data, p...); return len(p), nil }
func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	if end := int(off) + len(p); end > len(m.data) {
		m.data = append(m.data, make([]byte, end-len(m.data))...)
	}
	return copy(m.data[off:], p), nil
}
func (m *memory) Truncate(size int64) error { m.data = m.data[:size]; return nil }

// A file cut at any byte keeps every complete frame, and is intact afterwards.
func TestRecoverAtEveryCut(t *testing.T) {
	t.Parallel()
	s := encodeSample(t, 3)
	// A prefix of the frames' bytes keeps the file small enough for every cut to be tried.
	for _, unit := range s.units {
		for i, nalu := range unit {
			unit[i] = nalu[:min(len(nalu), 24)]
		}
	}
	for name, options := range map[string]WriterOptions{"sized": {}, "unsized": {BufferSize: 300}} {
		whole := &memory{}
		w := s.write(t, whole, options)
		if _, err := w.EndFragment(); err != nil {
			t.Fatal(err)
		}
		first := int(w.Fragments()[0].Offset)
		blocksBefore := blockEnds(t, whole.data, w.Fragments())
		for cut := range len(whole.data) + 1 {
			f := &memory{data: bytes.Clone(whole.data[:cut])}
			recovered, err := Recover(f, int64(cut))
			frames := 0
			for frames < len(blocksBefore) && blocksBefore[frames] <= cut {
				frames++
			}
			if frames == 0 {
				if !errors.Is(err, ErrEmpty) {
					t.Fatalf("%s cut at %d (first fragment at %d): got %v, want ErrEmpty", name, cut, first, err)
				}
				continue
			}
			if err != nil {
				t.Fatalf("%s cut at %d: %v", name, cut, err)
			}
			got := 0
			for _, fragment := range recovered.Fragments {
				got += fragment.Frames
			}
			if got != frames {
				t.Fatalf("%s cut at %d: %d frames, want %d", name, cut, got, frames)
			}
			r, err := Open(f, int64(len(f.data)))
			if err != nil || !r.Complete() || recovered.Size != int64(len(f.data)) {
				t.Fatalf("%s cut at %d: not intact afterwards: %v", name, cut, err)
			}
			if again, err := Recover(f, int64(len(f.data))); err != nil || again.Finished {
				t.Fatalf("%s cut at %d: recovering a whole file: %+v %v", name, cut, again, err)
			}
		}
	}
}

// blockEnds returns the offset at which each frame is complete.
func blockEnds(t *testing.T, data []byte, fragments []Fragment) []int {
	t.Helper()
	s := scanner{r: sliceReader(data), size: int64(len(data))}
	var ends []int
	for _, fragment := range fragments {
		for offset := fragment.Offset + ClusterHeadSize; offset < fragment.Offset+fragment.Size; {
			b, err := s.at(offset)
			if err != nil {
				t.Fatal(err)
			}
			offset = b.dataEnd
			ends = append(ends, int(offset))
		}
	}
	return ends
}

func TestRecoveredFileIsCleanAndDecodes(t *testing.T) {
	t.Parallel()
	s := encodeSample(t, 3)
	want := frameSums(t, "-i", s.annexB(t))
	whole := &memory{}
	w := s.write(t, whole, WriterOptions{BufferSize: 3000})
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, part := range []int{3, 5, 7, 9} {
		cut := len(whole.data) * part / 10
		path := filepath.Join(t.TempDir(), "torn.mkv")
		// A power cut may leave zeros where data was to come.
		if err := os.WriteFile(path, append(bytes.Clone(whole.data[:cut]), make([]byte, 4096)...), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		recovered, err := Recover(f, int64(cut+4096))
		if err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
		mustBeClean(t, path)
		frames := 0
		for _, fragment := range recovered.Fragments {
			frames += fragment.Frames
		}
		got := frameSums(t, "-i", path)
		if len(got) != frames {
			t.Errorf("cut at %d: %d pictures, want %d", cut, len(got), frames)
		}
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("cut at %d: picture %d differs", cut, i)
			}
		}
	}
}

func TestRecoverLeavesForeignFilesAlone(t *testing.T) {
	t.Parallel()
	data := bytes.Repeat([]byte("not a video "), 20_000)
	f := &memory{data: bytes.Clone(data)}
	if _, err := Recover(f, int64(len(data))); err == nil || errors.Is(err, ErrEmpty) {
		t.Errorf("got %v", err)
	}
	if !bytes.Equal(f.data, data) {
		t.Error("the file was changed")
	}
}

func FuzzRecover(f *testing.F) {
	for _, size := range []int{0, 200} {
		m := &memory{}
		w, err := NewWriter(m, Header{Start: sampleStart, Title: "s", Tracks: []Track{
			{Number: 1, Kind: Video, CodecID: CodecAVC, CodecPrivate: []byte{1, 2}, Width: 16, Height: 16},
			{Number: 2, Kind: Audio, CodecID: CodecAAC, SampleRate: 8000, Channels: 1},
		}}, WriterOptions{BufferSize: size})
		if err != nil {
			f.Fatal(err)
		}
		for i := range 3 {
			at := time.Duration(i) * time.Second
			_ = w.BeginFragment(at, true)
			_ = w.WriteFrame(1, at, true, [][]byte{{1, 2, 3, byte(i)}})
			_ = w.WriteFrame(2, at, true, [][]byte{{4, 5}})
		}
		_ = w.Flush()
		f.Add(bytes.Clone(m.data))
		last := w.open.Offset // its checksum is not there yet
		_ = w.Close()
		f.Add(bytes.Clone(m.data))
		for _, at := range []int64{-sumSize, -sumContent, -1, ClusterHeadSize + blockHeadSize + nalLengthSize} {
			changed := bytes.Clone(m.data)
			changed[last+at] ^= 0x40
			f.Add(changed)
		}
		clear(m.data[last-sumContent : last])
		f.Add(m.data)
	}
	moved := &stepFile{}
	for n, _, _ := movedGOP(f, moved, true, 0); n <= len(moved.steps); n++ { // crashes while a GOP is moved
		f.Add(moved.after(n, func(int) bool { return false }).data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m := &memory{data: bytes.Clone(data)}
		recovered, err := Recover(m, int64(len(data)))
		if err != nil {
			return
		}
		r, err := Open(m, int64(len(m.data)))
		if err != nil {
			t.Fatalf("a recovered file cannot be opened: %v", err)
		}
		fragments, err := r.Fragments()
		if err != nil {
			t.Fatal(err)
		}
		if recovered.Finished && (!r.Complete() || len(fragments) != len(recovered.Fragments)) {
			t.Fatalf("recovered %d fragments, read %d, complete %v", len(recovered.Fragments), len(fragments), r.Complete())
		}
		if _, err := r.Verify(recovered.Finished); err != nil && recovered.Finished {
			t.Fatalf("a recovered file is damaged: %v", err)
		}
		for _, fragment := range fragments {
			for _, err := range r.Blocks(fragment) {
				if err != nil {
					t.Fatalf("a listed fragment cannot be read: %v", err)
				}
			}
		}
	})
}

// A size that is patched into an earlier cluster may straddle two sectors, of which a power cut
// leaves one: the clusters that follow must not be treated as a part of it.
func TestRecoverPassesOverATornSizeOfACluster(t *testing.T) {
	t.Parallel()
	for torn := 1; torn < 8; torn++ {
		f := create(t)
		h := Header{Start: sampleStart, Title: "door", Tracks: []Track{{Number: 1, Kind: Video, CodecID: CodecAVC}}}
		w, err := NewWriter(f, h, WriterOptions{BufferSize: 2000})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			at := time.Duration(i) * time.Second
			if err := w.BeginFragment(at, true); err != nil {
				t.Fatal(err)
			}
			for n := range 5 {
				if err := w.WriteFrame(1, at+time.Duration(n)*sampleFrame, n == 0, [][]byte{bytes.Repeat([]byte{1}, 900)}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if _, err := w.EndFragment(); err != nil {
			t.Fatal(err)
		}
		first := w.Fragments()[0]
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], clusterSizeField(first.Size))
		if _, err := f.WriteAt(size[torn:], first.Offset+4+int64(torn)); err != nil {
			t.Fatal(err)
		}
		r, err := Recover(f, w.Size())
		if err != nil || len(r.Fragments) != 3 {
			t.Errorf("torn at byte %d: %d fragments, %v", torn, len(r.Fragments), err)
		}
	}
}

func TestRecoverKeepsWhatIsSoundAfterDamage(t *testing.T) {
	t.Parallel()
	s := encodeSample(t, 5)
	for name, corrupt := range map[string]func(f Fragment) (from, n int64){
		"a cluster's head":     func(f Fragment) (int64, int64) { return f.Offset, 8 },
		"a sector":             func(f Fragment) (int64, int64) { return f.Offset + f.Size/2, 512 },
		"the whole cluster":    func(f Fragment) (int64, int64) { return f.Offset, f.Size },
		"the end of a cluster": func(f Fragment) (int64, int64) { return f.Offset + f.Size - 5, 5 },
	} {
		f := create(t)
		w := s.write(t, f, WriterOptions{})
		if _, err := w.EndFragment(); err != nil {
			t.Fatal(err)
		}
		from, n := corrupt(w.Fragments()[2])
		if _, err := f.WriteAt(make([]byte, n), from); err != nil {
			t.Fatal(err)
		}
		r, err := Recover(f, w.Size())
		if err != nil {
			t.Fatal(name, err)
		}
		starts := make(map[time.Duration]bool)
		for _, fragment := range r.Fragments {
			starts[fragment.Start] = true
		}
		for _, second := range []time.Duration{0, 1, 3, 4} {
			if !starts[second*time.Second] {
				t.Errorf("%s is damaged, and the fragment at %ds is lost: %v", name, second, r.Fragments)
			}
		}
		again, err := Recover(f, r.Size)
		if err != nil || again.Finished || len(again.Fragments) != len(r.Fragments) {
			t.Errorf("%s: read again: %+v %v", name, again, err)
		}
		// A player shows all frames that were not hit.
		if got := len(frameSums(t, "-v", "fatal", "-i", f.Name())); got < 100 {
			t.Errorf("%s is damaged: %d pictures are left of 125", name, got)
		}
	}
}
