package segment

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

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
	s.aside.Store(dir, true)
	s.health.Report(quarantineScope(dir), health.Info, health.SystemFault(codeQuarantine, cause,
		"Unreadable files were set aside in %s: look at them and delete them.", dir))
	return diskFault(dir, errors.Join(st.files.SyncDir(dir), st.sync()))
}

func quarantineScope(dir string) health.Scope { return health.Scope("quarantine/" + dir) }

// watchQuarantine ends the conditions of the files that were set aside when somebody has deleted them.
func (s *Store) watchQuarantine(ctx context.Context) {
	ticker := time.NewTicker(quarantineEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for key := range s.aside.Range {
			dir, _ := key.(string)
			files, err := s.files.ReadDir(dir)
			if len(files) > 0 || err != nil && !errors.Is(err, fs.ErrNotExist) || s.present() != nil {
				continue
			}
			s.aside.Delete(dir)
			s.health.OK(quarantineScope(dir))
		}
	}
}
