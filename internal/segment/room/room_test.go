package room

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

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

func opened(t *testing.T, path string) atomicfile.File {
	t.Helper()
	f, err := atomicfile.OS{}.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

const slack = 64 << 10 // of a file system's blocks and extents

func TestAGrowingFileHasRoomAheadUntilItIsComplete(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		kind  string
		size  int64
		ahead int64 // room in the end, at least
	}{
		"a disk of 8 GiB":        {"ext4", 8 << 30, most - 19*100_000},
		"a reserve of 1 GiB":     {"ext4", 1 << 30, most - 19*100_000},
		"little space":           {"ext4", 64 << 20, 1_000_000},
		"hardly any space":       {"ext4", 8 << 20, 0},
		"room that costs memory": {"tmpfs", 8 << 30, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(testtools.Mounted(t, row.kind, row.size), "file")
			f, want, total := opened(t, path), bytes.Buffer{}, Total{}
			ahead := New(f, &total)
			for i := range 20 {
				part := bytes.Repeat([]byte{byte(i + 1)}, 100_000)
				want.Write(part)
				if n, err := ahead.Write(part); n != len(part) || err != nil {
					t.Fatal(n, err)
				}
				if i == 0 && (taken(t, path) > 100_000+slack || total.Bytes() != 0) {
					t.Error("a file that has only a header has room")
				}
			}
			if err := f.Sync(); err != nil {
				t.Fatal(err)
			}
			got := taken(t, path) - 2_000_000
			if got < row.ahead-slack || row.ahead == 0 && got > slack || got > most || got > row.size/share {
				t.Errorf("there are %d bytes of room, want %d and up to %d", got, row.ahead, most)
			}
			if total.Bytes() < got-slack || total.Bytes() > got+slack {
				t.Errorf("%d bytes are counted", total.Bytes())
			}
			ahead.Free()
			end := []byte("what is written behind the last frame")
			if _, err := ahead.WriteAt(end, int64(want.Len())); err != nil {
				t.Fatal(err)
			}
			want.Write(end)
			if err := errors.Join(ahead.Sync(), ahead.Close()); err != nil {
				t.Fatal(err)
			}
			if got := taken(t, path) - 2_000_000; got > slack || total.Bytes() != 0 {
				t.Errorf("%d bytes of room are left, %d are counted", got, total.Bytes())
			}
			if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want.Bytes()) {
				t.Errorf("the file has %d bytes, want %d (%v)", len(got), want.Len(), err)
			}
		})
	}
}

// TestManyFilesShareTheRoom has more files than there is room for, and a crash.
func TestManyFilesShareTheRoom(t *testing.T) {
	t.Parallel()
	dir, total := testtools.Mounted(t, "ext4", 256<<20), Total{}
	usable := func() int64 {
		var st unix.Statfs_t
		if err := unix.Statfs(dir, &st); err != nil {
			t.Fatal(err)
		}
		return int64(st.Bavail*uint64(st.Bsize)) + total.Bytes()
	}
	before, written := usable(), int64(0)
	files := make([]*File, 40)
	for i := range files {
		files[i] = New(opened(t, filepath.Join(dir, string(rune('A'+i)))), &total)
	}
	for range 10 {
		for _, f := range files {
			n, err := f.Write(make([]byte, 64<<10))
			if err != nil {
				t.Fatal(err)
			}
			written += int64(n)
		}
		for _, f := range files { // where the disk counts what is written
			if err := f.Sync(); err != nil {
				t.Fatal(err)
			}
		}
		if got := before - written - usable(); got < -int64(len(files))*slack || got > int64(len(files))*slack {
			t.Fatalf("room is counted as %d bytes too few that are free", got)
		}
		if most := before / share; total.Bytes() > most {
			t.Fatalf("%d bytes are room, of at most %d", total.Bytes(), most)
		}
	}
	if total.Bytes() < before/share/2 {
		t.Errorf("only %d bytes are room", total.Bytes())
	}
	for _, f := range files {
		if err := f.Close(); err != nil { // and nobody finishes it
			t.Fatal(err)
		}
	}
	if total.Bytes() != 0 {
		t.Errorf("%d bytes of files that are closed are counted as room", total.Bytes())
	}
}

// failing is a file whose disk has errors.
type failing struct{ atomicfile.File }

func (failing) Write([]byte) (int, error)  { return 0, syscall.EIO }
func (failing) Stat() (fs.FileInfo, error) { return nil, syscall.EIO }

func TestErrorsOfTheFileAreReturned(t *testing.T) {
	t.Parallel()
	var total Total
	f := New(failing{opened(t, filepath.Join(t.TempDir(), "file"))}, &total)
	f.opened, _ = opened(t, filepath.Join(t.TempDir(), "closed")).(*os.File) // of which nothing can be made
	if err := f.opened.Close(); err != nil {
		t.Fatal(err)
	}
	f.size = 1
	for range 2 {
		if n, err := f.Write([]byte("frame")); n != 0 || !errors.Is(err, syscall.EIO) {
			t.Error(n, err)
		}
	}
	f.made = true
	f.Free()
	if total.Bytes() != 0 {
		t.Errorf("%d bytes are counted", total.Bytes())
	}
}
