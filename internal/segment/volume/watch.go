package volume

import (
	"errors"
	"io/fs"
	"sync"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// Watch ends the conditions of directories whose cause somebody has removed. Safe for concurrent use.
type Watch struct {
	files   atomicfile.FileSystem
	health  *health.Component
	watched sync.Map // by directory, the condition
}

// newWatch returns a watch without directories.
func newWatch(files atomicfile.FileSystem, component *health.Component) *Watch {
	return &Watch{files: files, health: component}
}

// watched is a directory with a condition.
type watched struct {
	scope health.Scope
	holds func(files []fs.DirEntry) bool
}

// Until ends the condition of scope once holds reports that the content of dir is no longer its cause.
func (w *Watch) Until(dir string, scope health.Scope, holds func(files []fs.DirEntry) bool) {
	w.watched.Store(dir, watched{scope, holds})
}

// Check reads the directories.
func (w *Watch) Check() {
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
