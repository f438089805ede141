package mkv

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var errOfTheDisk = errors.New("input/output error")

// failingOnce is a file of which one read fails.
type failingOnce struct {
	*os.File
	reads, fails int // fails is the number of that read; there is none for 0
}

func (f *failingOnce) ReadAt(b []byte, at int64) (int, error) {
	if f.reads++; f.reads == f.fails {
		return 0, errOfTheDisk
	}
	return f.File.ReadAt(b, at)
}

// Whichever read fails, a small file does not count as empty, as empty files are deleted.
func TestAReadThatFailsOnceMakesNoFileEmpty(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.mkv")
	writeThreeFragments(t, path)
	before, err := os.ReadFile(path)
	if err != nil || len(before) >= tornHeader {
		t.Fatalf("the file has %d bytes, want less than %d: %v", len(before), tornHeader, err)
	}
	for fails := 1; ; fails++ {
		file, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		f := &failingOnce{File: file, fails: fails}
		r, err := Recover(f, int64(len(before)))
		if closing := file.Close(); closing != nil {
			t.Fatal(closing)
		}
		if f.reads < fails { // it was read without an error
			if err != nil || len(r.Fragments) != 3 {
				t.Errorf("without an error: %d fragments, %v", len(r.Fragments), err)
			}
			if fails < 5 {
				t.Errorf("recovery reads %d times only: does the test still fail its reads?", f.reads)
			}
			return
		}
		switch {
		case err == nil && len(r.Fragments) == 3: // it was read in another way
		case !errors.Is(err, errOfTheDisk) || errors.Is(err, ErrEmpty):
			t.Errorf("read %d fails: %d fragments, %v, want all, or the error of the disk", fails, len(r.Fragments), err)
		}
		if n := recovered(t, path); n != 3 {
			t.Errorf("read %d fails: the next recovery finds %d fragments, want 3", fails, n)
		}
		if err := os.WriteFile(path, before, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// recovered recovers a file, and returns the number of its fragments.
func recovered(t *testing.T, path string) int {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	r, err := Recover(f, info.Size())
	if err != nil {
		t.Error(err)
	}
	return len(r.Fragments)
}

// writeThreeFragments leaves a file as a killed agent does.
func writeThreeFragments(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	threeFragments(t, f)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// threeFragments writes three fragments of a frame, and returns their writer.
func threeFragments(t *testing.T, f *os.File) *Writer {
	t.Helper()
	w, err := NewWriter(f, Header{Start: time.Unix(1_800_000_000, 0), Tracks: []Track{{Number: 1, Kind: Video, CodecID: CodecAVC}}},
		WriterOptions{})
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
	return w
}
