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
)

// quarantineEvery is how often the directories are read in which files were set aside.
const quarantineEvery = 30 * time.Second

// quarantine sets a file aside that cannot be understood. Nothing is ever deleted for that.
func (s *Store) quarantine(st *stream, name string, cause error) error {
	dir := filepath.Join(st.dir, quarantineName)
	if err := st.files.MkdirAll(dir, directoryMode); err != nil {
		return diskFault(dir, err)
	}
	if err := st.files.Rename(filepath.Join(st.dir, name), filepath.Join(dir, name)); err != nil {
		return diskFault(dir, err)
	}
	s.log.Warn("set an unreadable file aside", zap.String("stream", st.name), zap.String("file", filepath.Join(dir, name)), zap.Error(cause))
	s.loadAside(st)
	return diskFault(dir, errors.Join(st.files.SyncDir(dir), st.sync()))
}

// loadAside counts what was set aside of a stream, also by a process before, and says so.
func (s *Store) loadAside(st *stream) {
	dir := filepath.Join(st.dir, quarantineName)
	files, bytes, err := s.measure(dir)
	if err != nil || files == 0 {
		return
	}
	s.mu.Lock()
	st.aside = bytes
	st.recheck()
	s.mu.Unlock()
	s.aside.Store(dir, st.name)
	s.reportAside(dir, bytes)
}

// measure counts the files in a directory and their bytes.
func (s *Store) measure(dir string) (files int, bytes int64, err error) {
	list, err := s.files.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, 0, nil
	}
	for _, f := range list {
		if info, err := f.Info(); err == nil {
			bytes += info.Size()
		}
	}
	return len(list), bytes, err
}

func (s *Store) reportAside(dir string, bytes int64) {
	s.health.Report(quarantineScope(dir), health.Info, health.SystemFault(codeQuarantine, nil,
		"Unreadable files were set aside in %s (%s, which count as recordings of the stream): look at them and delete them.", dir, humanize.Bytes(bytes)))
}

func quarantineScope(dir string) health.Scope { return health.Scope("quarantine/" + dir) }

// watchQuarantine follows what is done to the files that were set aside, and ends their condition when they are gone.
func (s *Store) watchQuarantine(ctx context.Context) {
	ticker := time.NewTicker(quarantineEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for key, value := range s.aside.Range {
			dir, _ := key.(string)
			name, _ := value.(string)
			files, bytes, err := s.measure(dir)
			if err != nil || s.present() != nil {
				continue
			}
			s.mu.Lock()
			if st := s.streams[name]; st != nil {
				st.aside = bytes
				st.recheck()
			}
			s.mu.Unlock()
			if files > 0 {
				s.reportAside(dir, bytes)
				continue
			}
			s.aside.Delete(dir)
			s.health.OK(quarantineScope(dir))
		}
	}
}
