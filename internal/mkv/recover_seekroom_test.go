package mkv

import (
	"os"
	"path/filepath"
	"testing"
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
		w := threeFragments(t, f)
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
