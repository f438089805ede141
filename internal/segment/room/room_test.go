package room

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// taken returns how many bytes of the disk a file takes.
func taken(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Blocks * 512
}

func TestAGrowingFileHasRoomAheadUntilItIsComplete(t *testing.T) {
	t.Parallel()
	const slack = 64 << 10 // of a file system's blocks and extents
	for name, row := range map[string]struct {
		kind  string
		size  int64
		ahead int64 // room in the end, at least
	}{
		"a disk of 8 GiB":        {"ext4", 8 << 30, most - 19*100_000},
		"a disk of 3 GiB":        {"ext4", 3 << 30, 500_000},
		"hardly any space":       {"ext4", 600 << 20, 0},
		"room that costs memory": {"tmpfs", 8 << 30, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(testtools.Mounted(t, row.kind, row.size), "file")
			opened, err := atomicfile.OS{}.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			f, want := New(opened, opened), bytes.Buffer{}
			for i := range 20 {
				part := bytes.Repeat([]byte{byte(i + 1)}, 100_000)
				want.Write(part)
				if n, err := f.Write(part); n != len(part) || err != nil {
					t.Fatal(n, err)
				}
				if i == 0 && taken(t, path) > 100_000+slack {
					t.Error("a file has room that may end with its first write")
				}
			}
			if err := opened.Sync(); err != nil {
				t.Fatal(err)
			}
			if got := taken(t, path) - 2_000_000; got < row.ahead-slack || row.ahead == 0 && got > slack || got > most {
				t.Errorf("there are %d bytes of room, want %d and up to %d", got, row.ahead, most)
			}
			end := []byte("what is written behind the last frame")
			if _, err := f.WriteAt(end, int64(want.Len())); err != nil {
				t.Fatal(err)
			}
			want.Write(end)
			if err := errors.Join(f.Sync(), f.Close()); err != nil {
				t.Fatal(err)
			}
			if got := taken(t, path) - 2_000_000; got > slack {
				t.Errorf("%d bytes of room are left", got)
			}
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want.Bytes()) {
				t.Errorf("the file has %d bytes, want %d (%v)", len(got), want.Len(), err)
			}
		})
	}
}

// noRoom is a file whose disk has errors.
type noRoom struct {
	atomicfile.File
	err error
}

func (f noRoom) Write([]byte) (int, error) { return 0, f.err }
func (f noRoom) Sync() error               { return f.err }

func TestErrorsOfTheFileAreReturned(t *testing.T) {
	t.Parallel()
	opened, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	f := New(noRoom{opened, syscall.EIO}, opened)
	if _, err := f.Write([]byte("frame")); !errors.Is(err, syscall.EIO) {
		t.Error(err)
	}
	if err := opened.Close(); err != nil {
		t.Fatal(err)
	}
	f.size, f.made = 1, true // nothing may be made of a file that is closed
	if _, err := f.Write([]byte("frame")); !errors.Is(err, syscall.EIO) {
		t.Error(err)
	}
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Error(err)
	}
}
