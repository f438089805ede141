package segment

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// Verified is what Verify read of a segment.
type Verified struct {
	Fragments  int // that could be found, also the damaged ones
	NoChecksum int // of these, as all of earlier versions
	Damaged    []DamagedMedia
}

// DamagedMedia is media that is not what was recorded.
type DamagedMedia struct {
	Gap
	Err error // what is wrong with it
}

// Verify reads a segment as a whole. It fails with what is wrong with the file itself; what is wrong with
// its media is listed. One that is being written is read as far as it is completed.
func (s *Store) Verify(k Key) (Verified, error) {
	r, err := s.OpenSegment(k)
	if err != nil {
		return Verified{}, err
	}
	defer func() { _ = r.Close() }()
	m, err := r.container()
	if err != nil {
		return Verified{}, err
	}
	info := s.infoOf(k)
	found, err := m.Verify(info.State != Writing)
	v := Verified{Fragments: len(found.Fragments), NoChecksum: found.Unsummed}
	for _, d := range found.Damaged {
		gap := Gap{From: k.StartTime().Add(d.From), To: k.StartTime().Add(d.To)}
		if d.To == 0 {
			gap.To = info.End
		}
		v.Damaged = append(v.Damaged, DamagedMedia{gap, d.Err})
	}
	if err == nil && r.header.Start.UnixMilli() != k.Start {
		err = fmt.Errorf("the file says that it starts at %s", r.header.Start.Format(time.RFC3339Nano))
	}
	return v, err
}

// infoOf gives what is known of a segment; one that is gone meanwhile was sealed.
func (s *Store) infoOf(k Key) Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.streams[k.Stream]; st != nil {
		if i, ok := st.catalog.Find(k.id()); ok {
			return st.info(st.catalog.Entries[i])
		}
	}
	return Info{Key: k, State: Sealed}
}

// Quarantined lists the files that recovery set aside, in the order of their paths.
func (s *Store) Quarantined() ([]string, error) {
	s.mu.Lock()
	var dirs []string
	for _, st := range s.streams {
		dirs = append(dirs, filepath.Join(st.dir, layout.QuarantineName))
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
		if i, ok := st.catalog.Find(k.id()); ok {
			return filepath.Join(st.dir, st.catalog.Entries[i].Name())
		}
	}
	return ""
}
