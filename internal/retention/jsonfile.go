package retention

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
)

// jsonFile remembers something over a restart, as JSON. The empty path remembers nothing.
type jsonFile struct {
	path  string
	files atomicfile.FileSystem
}

// load fills v; without a file v stays as it is.
func (f jsonFile) load(v any) error {
	if f.path == "" {
		return nil
	}
	data, err := f.files.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	return err
}

// due reports whether the file is to be written: when there is something new, or somebody removed it although
// there is something to remember.
func (f jsonFile) due(changed bool, entries int) bool {
	return f.path != "" && (changed || entries > 0 && f.vanished())
}

// vanished reports whether somebody removed the file.
func (f jsonFile) vanished() bool {
	_, err := f.files.Stat(f.path)
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// save writes the file in one step, with its directory if that is missing. data and err are those of a marshaller.
func (f jsonFile) save(data []byte, err error) error {
	if err != nil {
		return err
	}
	if err := f.files.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
		return fmt.Errorf("cannot make the directory of a file: %w", err)
	}
	return atomicfile.Replace(f.files, f.path, append(data, '\n'), 0o600)
}
