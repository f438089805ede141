package segment

import (
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// CodeFormat is the code of a store that a newer version has written.
const CodeFormat = "store-format"

// expectFormat refuses a store that a newer version has written, before anything is changed in it.
func (s *Store) expectFormat() error {
	n, by, err := layout.ReadFormat(s.dir)
	if err != nil {
		return diskFault(s.dir, err)
	}
	newer := "a newer version"
	if by != "" {
		newer += " (" + by + ")"
	}
	if n > layout.FormatKnown {
		return health.UserFault(CodeFormat, nil,
			"The recordings in %s have format %d, as %s of this program wrote them, and this version knows formats up to %d: install that version or a later one again, or record to another directory.",
			s.dir, n, newer, layout.FormatKnown)
	}
	s.format.Store(n)
	return nil
}

// needFormat has the store be of a format, durably, before something of that format is written to it.
func (s *Store) needFormat(n int32) error {
	if s.format.Load() >= n {
		return nil
	}
	s.forming.Lock()
	defer s.forming.Unlock()
	if s.format.Load() >= n {
		return nil
	}
	if err := layout.WriteFormat(s.files, s.dir, n, s.version); err != nil {
		return diskFault(s.dir, err)
	}
	s.format.Store(n)
	return nil
}

// restoreFormat writes the format again when somebody removed its file.
func (s *Store) restoreFormat() error {
	if _, err := s.files.Stat(filepath.Join(s.dir, layout.FormatFileName)); errors.Is(err, fs.ErrNotExist) {
		s.format.Store(layout.FormatFirst)
	}
	return s.keepFormat()
}

// keepFormat has the store be of the format that its streams need: one that was lost, say.
func (s *Store) keepFormat() error {
	needed := int32(layout.FormatFirst)
	s.mu.Lock()
	for _, st := range s.streams {
		needed = max(needed, layout.FormatOf(layout.ID{Epoch: st.catalog.Epoch}))
	}
	s.mu.Unlock()
	return s.needFormat(needed)
}
