package segment

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
)

// Verify reads a segment as a whole and fails with what is wrong with it. One that is being
// written is read as far as it is completed.
func (s *Store) Verify(k Key) (fragments int, err error) {
	r, err := s.OpenSegment(k)
	if err != nil {
		return 0, err
	}
	defer func() { _ = r.Close() }()
	m, err := r.container()
	if err != nil {
		return 0, err
	}
	var list []mkv.Fragment
	if s.stateOf(k) == Writing {
		list, err = m.Fragments()
	} else {
		list, err = m.Verify()
	}
	if err == nil && r.header.Start.UnixMilli() != k.Start {
		err = fmt.Errorf("the file says that it starts at %s", r.header.Start.Format(time.RFC3339Nano))
	}
	return len(list), err
}

func (s *Store) stateOf(k Key) State {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.streams[k.Stream]; st != nil {
		if i, ok := st.index.find(k.id()); ok {
			return st.index.entries[i].state
		}
	}
	return Sealed
}

// Quarantined lists the files that recovery set aside, in the order of their paths.
func (s *Store) Quarantined() ([]string, error) {
	s.mu.Lock()
	var dirs []string
	for _, st := range s.streams {
		dirs = append(dirs, filepath.Join(st.dir, quarantineName))
	}
	s.mu.Unlock()
	var list []string
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if os.IsNotExist(err) {
				return nil
			}
			if err == nil && !d.IsDir() {
				list = append(list, path)
			}
			return err
		})
		if err != nil {
			return list, s.reading(diskFault(dir, err))
		}
	}
	slices.Sort(list)
	return list, nil
}

// Path gives the name of a segment's file, for people.
func (s *Store) Path(k Key) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.streams[k.Stream]; st != nil {
		if i, ok := st.index.find(k.id()); ok {
			return filepath.Join(st.dir, st.index.entries[i].name())
		}
	}
	return ""
}
