package segment

import (
	"errors"
	"io/fs"
	"path/filepath"
	"syscall"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/streams"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/volume"
)

// ensureDirectory makes sure that the stream has a directory with its stream file, durably. Its place is decided once: when
// the store is loaded, by the directories that exist, or else here.
func (s *Store) ensureDirectory(st *streams.Stream) error {
	s.mu.Lock()
	placed := st.Device != 0
	s.mu.Unlock()
	if placed {
		return s.restoreDirectory(st)
	}
	defer s.volume.ClaimName(st.Name)() // where the file system ignores case, a stream finds another one's stream file
	dir, marked, err := s.volume.Choose(st.Name)
	if err != nil {
		return err
	}
	s.mu.Lock()
	st.SetDir(dir)
	s.mu.Unlock()
	if !marked {
		err = s.makeDirectory(st)
	}
	if err == nil {
		s.holds.Read(st)
		s.noteDisk(st)
	}
	return err
}

// restoreDirectory creates again a directory that somebody removed, unless its disk is gone.
func (s *Store) restoreDirectory(st *streams.Stream) error {
	path := filepath.Join(st.Dir, layout.StreamFileName)
	info, err := s.files.Stat(path)
	if err == nil && info.IsDir() {
		return health.UserFault(CodeDisk, nil,
			"%s is the agent's file by which it knows the directory of stream %s, but something else is in its place: move that away.",
			path, st.Name)
	}
	if err == nil || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
		return err
	}
	if err := s.directoryPresent(st); err != nil {
		return err
	}
	if err := s.makeDirectory(st); err != nil {
		return err
	}
	s.mu.Lock() // the side files may be gone as well: Run writes them again
	st.Gaps.Lost()
	st.Untimed = len(st.Catalog.Clock) > 0
	s.mu.Unlock()
	logevent.StreamDirectoryRestored.Log(s.log, zap.String("stream", st.Name), zap.String("directory", st.Dir))
	return nil
}

// streamPresent is present, but also checks the stream's own disk, if it has one.
func (s *Store) streamPresent(st *streams.Stream) error {
	if err := s.volume.Present(); err != nil {
		return err
	}
	return s.directoryPresent(st)
}

// directoryPresent fails when the disk that the stream's directory was on is not mounted.
func (s *Store) directoryPresent(st *streams.Stream) error {
	s.mu.Lock()
	dir, before := st.Dir, st.Device
	s.mu.Unlock()
	if before == 0 {
		return nil
	}
	return s.volume.DirectoryPresent(st.Name, dir, before)
}

// noteDisk records on which disk the stream's directory is.
func (s *Store) noteDisk(st *streams.Stream) {
	now, shared := s.volume.Number(st.Dir), volume.SharesSpace(s.dir, st.Dir)
	s.mu.Lock()
	st.Device, st.Shared = now, shared
	s.mu.Unlock()
}

// SameDisk reports whether a stream is recorded to the disk of the recording directory, so that deleting its media frees
// space there. Its directory may be a link to another disk, or another one may be mounted on it.
func (s *Store) SameDisk(stream string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[stream]
	return st == nil || s.onDisk(st)
}

// onDisk is SameDisk. Call with mu held.
func (s *Store) onDisk(st *streams.Stream) bool {
	return st.Device == 0 || s.volume.SameDisk(st.Device, st.Shared)
}

// makeDirectory creates the stream's directory with its file, durably.
func (s *Store) makeDirectory(st *streams.Stream) error {
	st.File.Lock()
	defer st.File.Unlock()
	s.mu.Lock()
	epoch, highest := st.Catalog.Epoch, st.Catalog.Newest()
	s.mu.Unlock()
	return s.volume.MakeDirectory(st.Name, st.Dir, epoch, highest)
}

// keepFormat writes the format that the store's streams need, for example after its file was lost.
func (s *Store) keepFormat() error { return s.volume.NeedFormat(s.neededFormat()) }

// neededFormat returns the format that the store's streams need.
func (s *Store) neededFormat() int32 {
	needed := int32(layout.FormatFirst)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.streams {
		if needed = max(needed, layout.FormatOf(layout.ID{Epoch: st.Catalog.Epoch})); st.Holds.Needed() {
			needed = layout.FormatHolds
		}
	}
	return needed
}
