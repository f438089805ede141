package volume

import (
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// CodeFormat is the code of a store that a newer version has written.
const CodeFormat = "store-format"

// expectFormat refuses a store that a newer version has written, before it changes anything in it.
func (v *Volume) expectFormat() error {
	n, by, err := layout.ReadFormat(v.dir)
	if err != nil {
		return Fault(v.dir, err)
	}
	newer := "a newer version"
	if by != "" {
		newer += " (" + by + ")"
	}
	if n > layout.FormatKnown {
		return health.UserFault(CodeFormat, nil,
			"The recordings in %s have format %d, as %s of this program wrote them, and this version knows formats up to %d: install that "+
				"version or a later one again, or record to another directory.", v.dir, n, newer, layout.FormatKnown)
	}
	v.format.Store(n)
	return nil
}

// NeedFormat sets the store's format, durably, before something of that format is written to it.
func (v *Volume) NeedFormat(n int32) error {
	if v.format.Load() >= n {
		return nil
	}
	v.forming.Lock()
	defer v.forming.Unlock()
	if v.format.Load() >= n {
		return nil
	}
	if err := layout.WriteFormat(v.files, v.dir, n, v.version); err != nil {
		return Fault(v.dir, err)
	}
	v.format.Store(n)
	return nil
}

// RestoreFormat writes the present format again when somebody removed its file.
func (v *Volume) RestoreFormat(needed int32) error {
	if _, err := v.files.Stat(filepath.Join(v.dir, layout.FormatFileName)); errors.Is(err, fs.ErrNotExist) {
		v.format.Store(layout.FormatFirst)
	}
	return v.NeedFormat(needed)
}
