package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// TestAFileThatIsRenamedMeanwhileIsCounted has the second of two files change its state while the
// first is read.
func TestAFileThatIsRenamedMeanwhileIsCounted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openStore(t, dir)
	var keys []segment.Key
	for _, after := range []time.Duration{0, 10 * time.Second} {
		w := recordInto(t, s, after, 3, string(backlogTrack.CodecPrivate))
		if err := w.Seal(); err != nil {
			t.Fatal(err)
		}
		keys = append(keys, w.Key())
	}
	whole, err := localFrames(dir)
	if err != nil || whole.distinct() != 2*3*2 {
		t.Fatalf("%d frames, %v", whole.distinct(), err)
	}

	first, moved := s.Path(keys[0]), filepath.Join(dir, "first")
	if err := os.Rename(first, moved); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(first, 0o600); err != nil {
		t.Fatal(err)
	}
	renamed := make(chan error, 1)
	go func() {
		renamed <- func() error {
			pipe, err := os.OpenFile(first, os.O_WRONLY, 0) // waits for who reads it
			if err != nil {
				return err
			}
			defer func() { _ = pipe.Close() }()
			sealed := s.Path(keys[1])
			if err := os.Rename(sealed, strings.Replace(sealed, ".sealed.", ".uploaded.", 1)); err != nil {
				return err
			}
			data, err := os.ReadFile(moved)
			if err != nil {
				return err
			}
			if err := os.Rename(moved, first); err != nil {
				return err
			}
			_, err = pipe.Write(data)
			return err
		}()
	}()
	got, err := localFrames(dir)
	if err != nil || got.missingFrom(whole) > 0 || whole.missingFrom(got) > 0 {
		t.Errorf("%d frames are counted of %d, %v", got.distinct(), whole.distinct(), err)
	}
	if err := <-renamed; err != nil {
		t.Fatal(err)
	}
}

// localFrames tallies the video frames in all segment files under dir, also in one that is being
// written.
func localFrames(dir string) (t tally, err error) {
	t, _, err = localMedia(dir)
	return t, err
}
