package segment

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/volume"
)

// Whatever somebody removes of the recording directory while the agent records, recording continues in the next
// segment, by itself, or says exactly what to do until it is done; and then nothing is left to say.
func TestWhatVanishesComesBack(t *testing.T) {
	t.Parallel()
	remove := func(name string) func(string) error {
		return func(dir string) error { return os.RemoveAll(filepath.Join(dir, name)) }
	}
	replace := func(name string, with func(path string) error) func(string) error {
		return func(dir string) error { return errors.Join(remove(name)(dir), with(filepath.Join(dir, name))) }
	}
	directory := func(path string) error { return os.MkdirAll(filepath.Join(path, "x"), 0o700) }
	file := func(path string) error { return os.WriteFile(path, []byte("foreign\n"), 0o600) }
	empty := func(path string) error { return os.Mkdir(path, 0o750) }
	all := func(dir string) error {
		names, err := filepath.Glob(filepath.Join(dir, "*"))
		for _, name := range append(names, filepath.Join(dir, volume.MarkFileName), filepath.Join(dir, volume.LockFileName)) {
			err = errors.Join(err, os.RemoveAll(name))
		}
		return err
	}
	for _, tc := range []struct {
		name   string
		harm   func(dir string) error
		says   string // of Create, or of a condition while it records; "": it heals without a word
		repair func(dir string) error
	}{
		{"the mark removed", remove(volume.MarkFileName), "", nil},
		{"the mark replaced by a file", replace(volume.MarkFileName, file), "", nil},
		{"the mark replaced by a directory", replace(volume.MarkFileName, directory), "that has its name now away",
			remove(volume.MarkFileName)},
		{"the lock removed", remove(volume.LockFileName), "", nil},
		{"the lock replaced by a file", replace(volume.LockFileName, file), "", nil},
		{"the lock replaced by a directory", replace(volume.LockFileName, directory), "that has its name now away",
			remove(volume.LockFileName)},
		{"the mark and the lock removed", func(dir string) error {
			return errors.Join(remove(volume.MarkFileName)(dir), remove(volume.LockFileName)(dir))
		}, "", nil},
		{"all removed", all, "", nil},
		{"the directory removed", func(dir string) error { return os.RemoveAll(dir) }, "", nil},
		{"the directory removed and made again", replace("", empty), "", nil},
		{"the directory replaced by a file", replace("", file), "a file is in its way", remove("")},
		{"the directory moved", func(dir string) error { return os.Rename(dir, dir+".old") }, "put it back",
			func(dir string) error { return os.Rename(dir+".old", dir) }},
		{"the directory moved and made again", func(dir string) error { return errors.Join(os.Rename(dir, dir+".old"), empty(dir)) },
			"put it back",
			func(dir string) error { return errors.Join(os.Remove(dir), os.Rename(dir+".old", dir)) }},
		{"the stream's marker removed", remove("door/" + layout.StreamFileName), "", nil},
		{"the stream's marker replaced by a directory", replace("door/"+layout.StreamFileName, directory), "something else is in its place",
			remove("door/" + layout.StreamFileName)},
		{"the stream's directory removed", remove("door"), "", nil},
		{"the stream's directory removed and made again", replace("door", empty), "", nil},
		{"the stream's directory replaced by a file", replace("door", file), "a file is in its way", remove("door")},
		{"the stream's directory replaced by a link to nowhere", replace("door", func(path string) error {
			return os.Symlink(path+".none",
				path)
		}), "is a link to", remove("door")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "recordings")
			memory := filepath.Join(t.TempDir(), "state", "volume")
			s := mustOpen(t, Options{Dir: dir, VolumeMemory: memory})
			addSegment(t, s, "door", begin, 2)
			w := startSegment(t, s, "door", begin.Add(time.Minute), 2)
			if err := errors.Join(tc.harm(dir), os.RemoveAll(filepath.Dir(memory))); err != nil {
				t.Fatal(err)
			}
			_ = w.Seal() // its file may be gone
			s.repairBroken(t.Context())
			next, err := s.Create("door", headerAt(begin.Add(2*time.Minute)))
			worst, _ := s.health.Snapshot().Worst()
			if said := worst.Text + sentence(err); !strings.Contains(said, tc.says) ||
				tc.says == "" && (err != nil || worst.Severity > health.Info) {
				t.Errorf("%v, %+v", err, worst)
			}
			if err == nil {
				seal(t, next)
			}
			if tc.repair != nil {
				if err := tc.repair(dir); err != nil {
					t.Fatal(err)
				}
			}
			s.repairBroken(t.Context())
			if err := s.volume.Present(); err != nil {
				t.Errorf("present: %v", err)
			}
			addSegment(t, s, "door", begin.Add(3*time.Minute), 1)
			if worst, ok := s.health.Snapshot().Worst(); ok {
				t.Errorf("left: %+v", worst)
			}
			if err := s.volume.Remember(); err != nil {
				t.Errorf("the memory: %v", err)
			}
			if _, err := Open(Options{Dir: dir}); err == nil {
				t.Error("a second agent takes the directory")
			}
			for _, k := range s.Segments("door", time.Time{}, time.Time{}) { // those that are gone are listed until somebody asks
				if r, err := s.OpenSegment(k.Key); err == nil {
					_ = r.Close()
				}
			}
			listed := len(s.Segments("door", time.Time{}, time.Time{}))
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = mustOpen(t, Options{Dir: dir, VolumeMemory: memory})
			if n := len(s.Segments("door", time.Time{}, time.Time{})); n != listed || n == 0 {
				t.Errorf("%d segments after a restart, %d before", n, listed)
			}
		})
	}
}

// A deleted file that is still recorded to takes nothing more.
func TestADeletedFileIsNotRecordedTo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := mustOpen(t, Options{Dir: dir})
	w := startSegment(t, s, "door", begin, 2)
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "door", layout.WritingName(w.Key().ID()))); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err == nil || !strings.Contains(err.Error(), "deleted the file") {
		t.Errorf("%v", err)
	}
}
