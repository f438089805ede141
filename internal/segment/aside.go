package segment

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// watchEvery is how often the directories are read of which something is reported, and the files written again
// that somebody removed.
const watchEvery = 30 * time.Second

// codeQuarantine is raised when files were set aside.
const codeQuarantine = "quarantine"

// watched is a directory of which something is reported.
type watched struct {
	scope health.Scope
	// while says what is in it for as long as that holds.
	while func(files []fs.DirEntry) bool
}

// setAside takes a file out of the way that cannot be understood, or whose segment is there twice. Nothing is ever
// deleted for that.
func (s *Store) setAside(st *stream, name string, cause error) error {
	if s.readOnly {
		return nil
	}
	dir := filepath.Join(st.dir, layout.QuarantineName)
	if err := st.files.MkdirAll(dir, layout.DirectoryMode); err != nil {
		return diskFault(dir, err)
	}
	to := name
	for n := 1; s.exists(filepath.Join(dir, to)); n++ {
		to = layout.AsideName(name, n)
	}
	if err := st.files.Rename(filepath.Join(st.dir, name), filepath.Join(dir, to)); err != nil {
		return diskFault(dir, err)
	}
	s.log.Warn("set a file aside", zap.String("stream", st.name), zap.String("file", filepath.Join(dir, to)), zap.Error(cause))
	s.loadAside(st)
	return diskFault(dir, errors.Join(st.files.SyncDir(dir), st.sync()))
}

// loadAside counts what was set aside of a stream, also by a process before, and says so.
func (s *Store) loadAside(st *stream) {
	dir := filepath.Join(st.dir, layout.QuarantineName)
	files, err := s.files.ReadDir(dir)
	if err != nil || len(files) == 0 {
		return
	}
	s.countAside(st, dir, files)
	name := st.name
	s.watched.Store(dir, watched{quarantineScope(dir), func(files []fs.DirEntry) bool {
		s.mu.Lock()
		st := s.streams[name]
		s.mu.Unlock()
		if st != nil {
			s.countAside(st, dir, files)
		}
		return len(files) > 0
	}})
}

// countAside takes in what there is in the directory of what was set aside of a stream.
func (s *Store) countAside(st *stream, dir string, files []fs.DirEntry) {
	var bytes int64
	for _, f := range files {
		if info, err := f.Info(); err == nil {
			bytes += info.Size()
		}
	}
	s.mu.Lock()
	st.aside = bytes
	st.recheck()
	s.mu.Unlock()
	if len(files) > 0 {
		s.health.Report(quarantineScope(dir), health.Info, health.SystemFault(codeQuarantine, nil,
			"Files that are unreadable, or second copies of a segment, were set aside in %s (%s, which count as recordings of the stream): look at them and delete them.",
			dir, humanize.Bytes(bytes)))
	}
}

func (s *Store) exists(path string) bool {
	_, err := s.files.Stat(path)
	return err == nil
}

func quarantineScope(dir string) health.Scope { return health.Scope("quarantine/" + dir) }

// doubled gives the directory that a stream has already, if that is another one.
func (s *Store) doubled(stream, dir string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.streams[stream]; st != nil && st.device != 0 && st.dir != dir {
		return st.dir
	}
	return ""
}

// reportDouble says that a stream has two directories, of which only the first is used.
func (s *Store) reportDouble(stream, dir, used string) {
	scope := health.Scope("double/" + dir)
	fault := health.SystemFault(codeUnread, nil,
		"Stream %s has two directories, of which only %s is used: stop the agent, and move what is in %s into it or elsewhere.", stream, used, dir)
	if s.health.Report(scope, health.Degraded, fault) {
		s.log.Error("a stream has two directories", zap.Error(fault))
	}
	s.watched.Store(dir, watched{scope, func(files []fs.DirEntry) bool { return len(files) > 0 }})
}

// sameAsOwn reports whether a directory is, by another name, the one of a stream.
func (s *Store) sameAsOwn(dir, stream string) bool {
	for _, name := range layout.DirectoriesOf(stream) {
		if s.sameFile(dir, filepath.Join(s.dir, name)) {
			return true
		}
	}
	return false
}

// watchDirectories ends the conditions of directories whose cause somebody has removed, and writes again what
// somebody removed of ours.
func (s *Store) watchDirectories(ctx context.Context) {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if s.present() != nil {
			continue
		}
		if err := s.rememberVolume(); err != nil {
			s.log.Warn("cannot note which disk the recordings are on: it is tried again", zap.Error(err))
		}
		if err := s.restoreFormat(); err != nil {
			s.log.Warn("cannot note the format of the recordings: it is tried again", zap.Error(err))
		}
		for key, value := range s.watched.Range {
			dir, _ := key.(string)
			w, _ := value.(watched)
			files, err := s.files.ReadDir(dir)
			if err != nil && !errors.Is(err, fs.ErrNotExist) || w.while(files) {
				continue
			}
			s.watched.Delete(dir)
			s.health.OK(w.scope)
		}
	}
}
