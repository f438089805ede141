package segment

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/catalog"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/streams"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/volume"
)

// load indexes the directory and repairs what a crash left.
func (s *Store) load() error {
	directories, err := s.files.ReadDir(s.dir)
	if err != nil {
		return volume.Fault(s.dir, err)
	}
	for _, d := range directories {
		if !d.IsDir() && d.Type()&fs.ModeSymlink == 0 {
			continue
		}
		if err := s.loadStream(d.Name()); err != nil {
			if s.readOnly { // a command reports it at once
				if errors.Is(err, volume.ErrDangling) {
					continue // the agent continues; the other streams can be read
				}
				return err
			}
			s.volume.Unread.Set(d.Name(), err)
		}
	}
	s.volume.Unread.Report()
	return nil
}

// loadUnread tries again the directories that could not be read.
func (s *Store) loadUnread() {
	names := s.volume.Unread.Names()
	if len(names) == 0 || s.volume.Present() != nil {
		return
	}
	for _, name := range names {
		s.volume.Unread.Set(name, s.loadStream(name))
	}
	s.volume.Unread.Report()
}

// loadStream indexes one directory, if it is a stream's. When it fails no segment of it is listed.
func (s *Store) loadStream(name string) error {
	dir := filepath.Join(s.dir, name)
	files, err := s.files.ReadDir(dir)
	switch {
	case errors.Is(err, syscall.ENOTDIR):
		return nil // a link to a file
	case errors.Is(err, fs.ErrNotExist):
		return cmp.Or(s.volume.Dangling(dir), s.volume.Present()) // removed meanwhile, or its disk is gone
	case err != nil:
		return volume.Fault(dir, err)
	}
	mark, ok, err := s.volume.OwnerOf(dir, files)
	if err != nil || !ok {
		return err
	}
	if other := s.directoryBefore(mark.Stream, dir); other != "" {
		s.reportDouble(mark.Stream, dir, other)
		return nil
	}
	st := s.newStream(mark.Stream)
	st.SetDir(dir)
	st.Device, st.Shared = s.volume.Number(dir), volume.SharesSpace(s.dir, dir)
	st.Catalog.Clock = layout.ReadClock(s.files, dir)
	st.Catalog.SeeEpoch(mark.Epoch)
	if mark.LastEnd != nil {
		st.Catalog.Keep(st.Catalog.Epoch, *mark.LastEnd)
	}
	for _, n := range st.Catalog.Clock {
		if n.Begin != 0 {
			st.Catalog.SeeEpoch(n.Epoch)
		}
	}
	torn, sideFiles, err := s.loadNames(st, files)
	if err != nil {
		return err
	}
	s.loadGaps(st, torn)
	for _, k := range torn {
		if err := s.loadTorn(st, k); err != nil {
			return err
		}
	}
	for _, k := range sideFiles {
		s.loadSideFile(st, k)
	}
	st.Holds.Load()
	st.FollowHolds()
	st.Catalog.SetClock(st.Catalog.Clock)
	s.loadQuarantine(st)
	s.adopt(st)
	return nil
}

// loadNames indexes a stream's files by their names, and returns the segments that were being written and those with a side
// file. Garbage is removed.
func (s *Store) loadNames(st *streams.Stream, files []fs.DirEntry) (torn, sideFiles []layout.ID, err error) {
	sizes := volume.Sizes(files, layout.SegmentSuffix)
	for i, f := range files {
		p, ok := layout.ParseName(strings.TrimSuffix(f.Name(), atomicfile.BesideSuffix))
		if !ok {
			continue
		}
		if strings.HasSuffix(f.Name(), atomicfile.BesideSuffix) {
			if !s.readOnly {
				_ = s.files.Remove(filepath.Join(st.Dir, f.Name())) // was to replace another file
			}
			continue
		}
		st.Catalog.SeeEpoch(p.Epoch)
		switch p.Suffix {
		case layout.ProgressSuffix:
			sideFiles = append(sideFiles, p.ID)
		case layout.GarbageSuffix:
			if !s.readOnly {
				_ = s.files.Remove(filepath.Join(st.Dir, f.Name())) // tried again at the next start
			}
		case layout.DoubtSuffix:
			st.Doubts.Load(p.ID)
		case layout.WritingSuffix:
			torn = append(torn, p.ID)
		default:
			if errors.Is(sizes[i].Err, fs.ErrNotExist) {
				continue // deleted by the running agent
			}
			if err := sizes[i].Err; err != nil {
				return nil, nil, volume.Fault(st.Dir, err)
			}
			e := catalog.Entry{ID: p.ID, Bytes: sizes[i].Bytes, Length: uint32(p.Length), State: p.State, Refused: p.Refused}
			if err := s.loadFinished(st, e); err != nil {
				return nil, nil, err
			}
		}
	}
	for _, k := range st.Doubts.IDs() {
		if !s.readOnly && !slices.Contains(torn, k) {
			st.Doubts.Clear(k) // it was given up, or written again
		}
	}
	return torn, sideFiles, nil
}

// loadFinished indexes a finished segment. When a restored backup leaves two files of one segment, the longer one is used,
// or else the one in the later state; the other is moved to quarantine.
func (s *Store) loadFinished(st *streams.Stream, e catalog.Entry) error {
	i, twice := st.Catalog.Find(e.ID)
	if !twice {
		st.Catalog.Insert(e)
		return nil
	}
	other := st.Catalog.Entries[i]
	if cmp.Or(cmp.Compare(e.Length, other.Length), cmp.Compare(e.Kind(), other.Kind())) > 0 {
		st.Catalog.Replace(i, e)
		other, e = e, other
	}
	return s.setAside(st, e.Name(), fmt.Errorf("%s is the same segment", other.Name()))
}

// adopt adds a loaded stream. It may have watchers, or be paused, already.
func (s *Store) adopt(loaded *streams.Stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stream(loaded.Name).Adopt(loaded)
}

// loadSideFile reads which fragments of a segment are persisted. One that cannot be read is tried again by Run.
func (s *Store) loadSideFile(st *streams.Stream, k layout.ID) {
	path := filepath.Join(st.Dir, layout.ProgressName(k))
	switch i, ok := st.Catalog.Find(k); {
	case !ok && slices.Contains(st.Catalog.Broken, k): // is listed once it is recovered
	case !ok:
		if !s.readOnly {
			_ = st.Files.Remove(path) // its segment was deleted
		}
		return
	case st.Catalog.Entries[i].Kind() == catalog.KindRefused:
		st.LoadRefused(i, s.readOnly, s.log)
		return
	case st.Catalog.Entries[i].Kind() == catalog.KindUploaded:
		if !s.readOnly {
			_ = st.Files.Remove(path)
		}
		return
	}
	st.LoadNotes(k, s.readOnly, s.log)
}
