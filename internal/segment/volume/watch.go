package volume

import (
	"errors"
	"io/fs"
	"sync"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// Watch ends the conditions of directories of which somebody has removed the cause. Safe for concurrent use.
type Watch struct {
	files   atomicfile.FileSystem
	health  *health.Component
	watched sync.Map // by directory, what is reported of it
}

// newWatch returns a watch of no directory.
func newWatch(files atomicfile.FileSystem, component *health.Component) *Watch {
	return &Watch{files: files, health: component}
}

// watched is a directory of which something is reported.
type watched struct {
	scope health.Scope
	holds func(files []fs.DirEntry) bool
}

// Until ends the condition of scope once holds says that what is in dir is no reason for it any more.
func (w *Watch) Until(dir string, scope health.Scope, holds func(files []fs.DirEntry) bool) {
	w.watched.Store(dir, watched{scope, holds})
}

// Look reads the directories.
func (w *Watch) Look() {
	for key, value := range w.watched.Range {
		dir, _ := key.(string)
		d, _ := value.(watched)
		files, err := w.files.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) || d.holds(files) {
			continue
		}
		w.watched.Delete(dir)
		w.health.OK(d.scope)
	}
}
