package mkv

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A file of which the SeekHead was written in part only, however large the part, keeps all its frames.
func TestATornSeekHeadLosesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for n := range seekRoom {
		path := filepath.Join(dir, "a.mkv")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		h := Header{Start: time.Unix(1_800_000_000, 0), Tracks: []Track{{Number: 1, Kind: Video, CodecID: CodecAVC}}}
		w, err := NewWriter(f, h, WriterOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			at := time.Duration(i) * time.Second
			if err := w.BeginFragment(at, true); err != nil {
				t.Fatal(err)
			}
			if err := w.WriteFrame(1, at, true, [][]byte{{0x65, 0x88, 1}}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.EndFragment(); err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(seekBytes(w.at, w.size, true)[:n], w.at.segmentData); err != nil {
			t.Fatal(err)
		}
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		r, err := Recover(f, info.Size())
		if err != nil || len(r.Fragments) != 3 {
			t.Errorf("%d bytes of the SeekHead: %d fragments, %v", n, len(r.Fragments), err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
