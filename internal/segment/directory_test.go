package segment

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/volume"
)

// folding is a file system on which names are the same but for their case.
type folding struct {
	atomicfile.OS
	root string
}

// real returns the name under which something is there already.
func (d folding) real(name string) string {
	rel, err := filepath.Rel(d.root, name)
	if err != nil || strings.HasPrefix(rel, "..") {
		return name
	}
	at := d.root
	for _, part := range strings.Split(rel, string(filepath.Separator)) {
		entries, _ := os.ReadDir(at)
		if i := slices.IndexFunc(entries, func(e fs.DirEntry) bool { return strings.EqualFold(e.Name(), part) }); i >= 0 {
			part = entries[i].Name()
		}
		at = filepath.Join(at, part)
	}
	return at
}

func (d folding) OpenFile(name string, flag int, mode fs.FileMode) (atomicfile.File, error) {
	return d.OS.OpenFile(d.real(name), flag, mode)
}
func (d folding) ReadFile(name string) ([]byte, error)      { return d.OS.ReadFile(d.real(name)) }
func (d folding) Stat(name string) (fs.FileInfo, error)     { return d.OS.Stat(d.real(name)) }
func (d folding) ReadDir(dir string) ([]fs.DirEntry, error) { return d.OS.ReadDir(d.real(dir)) }
func (d folding) MkdirAll(dir string, mode fs.FileMode) error {
	return d.OS.MkdirAll(d.real(dir), mode)
}
func (d folding) Rename(from, to string) error { return d.OS.Rename(d.real(from), d.real(to)) }
func (d folding) Remove(name string) error     { return d.OS.Remove(d.real(name)) }
func (d folding) SyncDir(dir string) error     { return d.OS.SyncDir(d.real(dir)) }

// onDisk returns the stream file's stream of each directory.
func onDisk(t *testing.T, dir string) map[string]string {
	t.Helper()
	list := make(map[string]string)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if data, err := os.ReadFile(filepath.Join(dir, e.Name(), layout.StreamFileName)); err == nil {
			_, rest, _ := strings.Cut(string(data), `"stream":"`)
			list[e.Name()], _, _ = strings.Cut(rest, `"`)
		}
	}
	return list
}

func TestStreamsWhoseNamesDifferInCaseOnly(t *testing.T) {
	t.Parallel()
	names := []string{"door", "Door", "DOOR", "yard"}
	for kind, open := range map[string]func(dir string) Options{
		"folding":   func(dir string) Options { return Options{Dir: dir, Files: folding{root: dir}} },
		"sensitive": func(dir string) Options { return Options{Dir: dir} },
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			names := slices.Clone(names)
			dir := t.TempDir()
			s := mustOpen(t, open(dir))
			var together sync.WaitGroup
			for _, name := range names {
				together.Go(func() { addSegment(t, s, name, begin, 2) })
			}
			together.Wait()
			if got := onDisk(t, dir); len(got) != len(names) {
				t.Errorf("directories: %v", got)
			}
			check := func() {
				t.Helper()
				for _, name := range names {
					if list := s.Segments(name, time.Time{}, time.Time{}); len(list) != 1 {
						t.Errorf("%s has %d segments", name, len(list))
					}
				}
			}
			check()
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = mustOpen(t, open(dir))
			check()
			if err := s.DeleteStream(t.Context(), "Door"); err != nil {
				t.Fatal(err)
			}
			names = slices.DeleteFunc(names, func(n string) bool { return n == "Door" })
			check()
		})
	}
}

// A directory of the agent's own is never a stream's, whatever it is called or where links lead; one that an earlier
// version has recorded to stays found.
func TestNamesOfTheAgentsOwnDirectories(t *testing.T) {
	t.Parallel()
	dir, elsewhere := t.TempDir(), t.TempDir()
	for _, name := range []string{"state", "log", "media", "old"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	mustFile := func(path string) {
		t.Helper()
		if err := os.WriteFile(path, []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	mustFile(filepath.Join(dir, "state", "config.json"))
	mustFile(filepath.Join(dir, "old", "kvs-edge-agent.log"))
	s := mustOpen(t, Options{Dir: dir})
	addSegment(t, s, "old", begin, 2) // as an earlier version did
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	links := map[string]string{"to-state": filepath.Join(dir, "state"), "to-here": dir, "to-old": filepath.Join(dir, "old"), "disk": elsewhere}
	for name, to := range links {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	o := Options{Dir: dir, Reserved: []string{
		filepath.Join(dir,
			"state"), filepath.Join(dir, "log"), filepath.Join(dir, "media"), filepath.Join(dir, "old"), filepath.Join(dir, "later"),
		filepath.Join(dir, "agent.sock"),
	}}
	s = mustOpen(t, o)
	escaped := []string{
		"state",
		"log",
		"media",
		"later",
		"agent.sock",
		"to-state",
		"to-here",
		"to-old",
		"quarantine",
		".hidden",
		"..",
		"x.writing.mkv",
	}
	for _, name := range escaped {
		addSegment(t, s, name, begin, 1)
	}
	for _, name := range []string{"old", "disk", "yard"} {
		addSegment(t, s, name, begin.Add(time.Hour), 1)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, o)
	for _, name := range escaped {
		if n := len(s.Segments(name, time.Time{}, time.Time{})); n != 1 {
			t.Errorf("%s has %d segments", name, n)
		}
		plain := name == "quarantine" || name == "x.writing.mkv"
		if got := filepath.Base(s.streams[name].Dir); (got == name) != plain {
			t.Errorf("%s is recorded to %s", name, got)
		}
	}
	if n := len(s.Segments("old", time.Time{}, time.Time{})); n != 2 {
		t.Errorf("the stream of an earlier version has %d segments", n)
	}
	for _, name := range append(escaped, "old", "disk") {
		if err := s.DeleteStream(t.Context(), name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, path := range []string{"state/config.json", "old/kvs-edge-agent.log", "log", "media", "to-state", "to-here", "to-old", "disk"} {
		if _, err := os.Lstat(filepath.Join(dir, path)); err != nil {
			t.Errorf("%s is gone: %v", path, err)
		}
	}
	if left, err := os.ReadDir(elsewhere); err != nil || len(left) > 0 {
		t.Errorf("left behind the link: %v, %v", left, err)
	}
	if got := onDisk(t, dir); len(got) != 1 || got["yard"] != "yard" {
		t.Errorf("left: %v", got)
	}
}

// What is not ours in a stream's directory survives its deletion.
func TestDeletionLeavesWhatIsNotOurs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := mustOpen(t, Options{Dir: dir})
	addSegment(t, s, "door", begin, 2)
	foreign := []string{"notes.txt", "lost+found/x", "quarantine/photo.jpg", "20261121T042048.123Z.mkv", ".streams"}
	ours := []string{"20261121T042048.123Z.progress", "20261121T042048.123Z+1.garbage", ".clock", ".clock.new", ".stream.new",
		"quarantine/20261121T042048.123Z.writing.mkv", "quarantine/20261121T042048.123Z.writing.mkv.again"}
	for _, name := range append(slices.Clone(foreign), ours...) {
		path := filepath.Join(dir, "door", name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("x"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.DeleteStream(t.Context(), "door"); err != nil {
		t.Fatal(err)
	}
	var left []string
	_ = filepath.WalkDir(filepath.Join(dir, "door"), func(path string, d fs.DirEntry, err error) error {
		if rel, _ := filepath.Rel(filepath.Join(dir, "door"), path); err == nil && !d.IsDir() {
			left = append(left, rel)
		}
		return nil
	})
	slices.Sort(left)
	slices.Sort(foreign)
	if !slices.Equal(left, foreign) {
		t.Errorf("left %q, want %q", left, foreign)
	}
}

// A stream's directory may be a link to another disk. It is followed everywhere, and where its disk is missing that
// is said, and nothing treated as deleted.
func TestALinkToAnotherDisk(t *testing.T) {
	t.Parallel()
	dir, disk := t.TempDir(), filepath.Join(t.TempDir(), "disk")
	if err := errors.Join(os.Mkdir(disk, 0o750), os.Symlink(disk, filepath.Join(dir, "door"))); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, Options{Dir: dir})
	addSegment(t, s, "door", begin, 3)
	startSegment(t, s, "door", begin.Add(time.Minute), 2) // torn
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, Options{Dir: dir})
	list := s.Segments("door", time.Time{}, time.Time{})
	if len(list) != 2 || list[1].State != Sealed || s.Usage("door").Bytes == 0 || !s.SameDisk("door") {
		t.Fatalf("after a restart: %+v", list)
	}
	if err := os.Rename(disk, disk+".away"); err != nil {
		t.Fatal(err)
	}
	says := "is a link to " + disk
	if err := s.Delete(list[0].Key); err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("deleted with its disk away: %v", err)
	}
	if _, err := s.OpenSegment(list[0].Key); err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("opened with its disk away: %v", err)
	}
	if _, err := s.Create("door", headerAt(begin.Add(time.Hour))); err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("recorded with its disk away: %v", err)
	}
	if n := len(s.Segments("door", time.Time{}, time.Time{})); n != 2 {
		t.Errorf("%d listed", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, Options{Dir: dir}) // started without it
	if _, err := s.Create("door", headerAt(begin.Add(time.Hour))); err == nil || !strings.Contains(err.Error(), says) {
		t.Errorf("recorded after a start with its disk away: %v", err)
	}
	if worst, _ := s.health.Snapshot().Worst(); worst.Code != volume.CodeUnread || !strings.Contains(worst.Text, says) {
		t.Errorf("%+v", worst)
	}
	if err := os.Rename(disk+".away", disk); err != nil {
		t.Fatal(err)
	}
	s.loadUnread()
	if worst, ok := s.health.Snapshot().Worst(); ok {
		t.Errorf("mounted again: %+v", worst)
	}
	addSegment(t, s, "door", begin.Add(time.Hour), 1)
	if n := len(s.Segments("door", time.Time{}, time.Time{})); n != 3 {
		t.Errorf("%d listed", n)
	}
}

// Of two files of one segment one is it, and the other set aside: neither comes back, and nothing is lost.
func TestTwoFilesOfOneSegment(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		second func(sealed string) string // the other file's name
		state  State
	}{
		{"sealed and uploaded", func(n string) string { return strings.Replace(n, layout.SealedSuffix, layout.UploadedSuffix, 1) }, Uploaded},
		{"sealed and refused", func(n string) string { return strings.Replace(n, layout.SealedSuffix, layout.RefusedSuffix, 1) }, Uploaded},
		{"sealed and writing", func(n string) string { stem, _, _ := strings.Cut(n, "+"); return stem + layout.WritingSuffix }, Sealed},
		{"of other lengths", func(n string) string { stem, _, _ := strings.Cut(n, "+"); return stem + "+1" + layout.SealedSuffix }, Sealed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := mustOpen(t, Options{Dir: dir})
			k := addSegment(t, s, "door", begin, 3)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			paths, _ := filepath.Glob(filepath.Join(dir, "door", "*.mkv"))
			data, err := os.ReadFile(paths[0])
			if err := errors.Join(err, os.WriteFile(filepath.Join(dir, "door", tc.second(filepath.Base(paths[0]))), data, 0o640)); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				s = mustOpen(t, Options{Dir: dir})
				list := s.Segments("door", time.Time{}, time.Time{})
				if len(list) != 1 || list[0].State != tc.state {
					t.Errorf("%+v", list)
				}
				if files, _ := s.Quarantined(); len(files) != 1 {
					t.Errorf("set aside: %q", files)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
			s = mustOpen(t, Options{Dir: dir})
			if err := s.Delete(k); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if s = mustOpen(t, Options{Dir: dir}); len(s.Segments("door", time.Time{}, time.Time{})) != 0 {
				t.Error("it came back")
			}
		})
	}
}

func mustOpen(t *testing.T, o Options) *Store {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// Who reads beside the agent sees the streams on the disk that they are on.
func TestAReaderKnowsTheDiskOfAStream(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	addSegment(t, open(t, dir), "door", begin, 1)
	s, err := OpenReadOnly(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if !s.SameDisk("door") {
		t.Error("the stream is taken to be on another disk")
	}
}

// TestADirectoryIsFreeAtOnceThatAProcessBeingStartedHasOpen has what a fork leaves until it is another program: the files of the agent.
func TestADirectoryIsFreeAtOnceThatAProcessBeingStartedHasOpen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	fds, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	copies := 0
	for _, fd := range fds {
		n, err := strconv.Atoi(filepath.Base(fd))
		if to, linkErr := os.Readlink(fd); err != nil || linkErr != nil || to != filepath.Join(dir, volume.LockFileName) {
			continue
		}
		child, err := unix.Dup(n)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = unix.Close(child) }()
		copies++
	}
	if err := s.Close(); err != nil || copies == 0 {
		t.Fatalf("the lock is open %d times: %v", copies, err)
	}
	open(t, dir)
}
