package volume_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment/volume"
)

// asked records when a path is checked.
type asked struct {
	atomicfile.OS
	path string
	was  bool
}

// Stat implements atomicfile.FileSystem.
func (a *asked) Stat(path string) (fs.FileInfo, error) {
	a.was = a.was || path == a.path
	return a.OS.Stat(path)
}

// What is reserved may lie on a server that is away: a stream that has its directory, or gets a new one, does not wait for it.
func TestReservedPlacesAreNotWaitedFor(t *testing.T) {
	t.Parallel()
	dir, away := t.TempDir(), t.TempDir()
	door, gate := filepath.Join(dir, "door"), filepath.Join(dir, "gate")
	for _, path := range []string{door, gate} {
		if err := os.Mkdir(path, 0o750); err != nil {
			t.Fatal(err)
		}
	}
	if err := layout.WriteStreamFile(atomicfile.OS{}, door, "door", 1, 0); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]struct{ marked, looked bool }{"door": {true, false}, "yard": {}, "gate": {false, true}} {
		files := &asked{path: away}
		got, marked, err := volume.New(volume.Options{Dir: dir, Files: files, Reserved: []string{away}}).Choose(name)
		if err != nil || got != filepath.Join(dir, name) || marked != want.marked || files.was != want.looked {
			t.Errorf("%s: %s, marked %t, looked %t, %v", name, got, marked, files.was, err)
		}
	}
}
