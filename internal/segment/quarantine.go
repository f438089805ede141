package segment

import (
	"context"
	"io/fs"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/repair"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/streams"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/volume"
)

// watchEvery is how often directories with a condition are read, and the agent's own files restored that somebody removed.
const watchEvery = 30 * time.Second

// codeQuarantine is raised when files were moved to quarantine.
const codeQuarantine = "quarantine"

// setAside moves to quarantine a file that cannot be understood, or that is a second file of its segment. Such a file is
// never deleted.
func (s *Store) setAside(st *streams.Stream, name string, cause error) error {
	if s.readOnly {
		return nil
	}
	path, err := repair.SetAside(st.Files, st.Dir, name)
	if path != "" {
		logevent.FileQuarantined.Log(s.log, zap.String("stream", st.Name), zap.String("file", path), zap.Error(cause))
		s.loadQuarantine(st)
	}
	return volume.Fault(filepath.Join(st.Dir, layout.QuarantineName), err)
}

// loadQuarantine counts the quarantined files of a stream, also those of an earlier process, and reports them.
func (s *Store) loadQuarantine(st *streams.Stream) {
	dir := filepath.Join(st.Dir, layout.QuarantineName)
	files, err := s.files.ReadDir(dir)
	if err != nil || len(files) == 0 {
		return
	}
	s.countQuarantine(st, dir, files)
	name := st.Name
	s.volume.Watch.Until(dir, quarantineScope(dir), func(files []fs.DirEntry) bool {
		s.mu.Lock()
		st := s.streams[name]
		s.mu.Unlock()
		if st != nil {
			s.countQuarantine(st, dir, files)
		}
		return len(files) > 0
	})
}

// countQuarantine counts the files in a stream's quarantine directory.
func (s *Store) countQuarantine(st *streams.Stream, dir string, files []fs.DirEntry) {
	bytes := repair.SizeOf(files)
	s.mu.Lock()
	st.QuarantinedBytes = bytes
	st.Recheck()
	s.mu.Unlock()
	if len(files) > 0 {
		fault := health.SystemFault(codeQuarantine, nil,
			"Files that are unreadable, or second copies of a segment, were set aside in %s (%s, which count as recordings of the stream): "+
				"check and delete them.", dir, health.Varying(humanize.Bytes(bytes)))
		if s.health.Report(quarantineScope(dir), health.Info, fault) {
			logevent.Condition(s.log, fault, zap.String("stream", st.Name))
		}
	}
}

func quarantineScope(dir string) health.Scope { return health.Scope("quarantine/" + dir) }

// directoryBefore returns the directory that a stream already has, if that is another one.
func (s *Store) directoryBefore(stream, dir string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.streams[stream]; st != nil && st.Device != 0 && st.Dir != dir {
		return st.Dir
	}
	return ""
}

// reportDouble reports that a stream has two directories, of which only the first is used.
func (s *Store) reportDouble(stream, dir, used string) {
	scope := health.Scope("double/" + dir)
	fault := health.SystemFault(volume.CodeUnread, nil,
		"Stream %s has two directories, of which only %s is used: stop the agent, and move what is in %s into it or elsewhere.", stream, used,
		dir)
	if s.health.Report(scope, health.Degraded, fault) {
		logevent.Condition(s.log, fault)
	}
	s.volume.Watch.Until(dir, scope, func(files []fs.DirEntry) bool { return len(files) > 0 })
}

// watchDirectories ends the conditions of directories whose cause somebody has removed, and writes again the agent's own
// files that somebody removed.
func (s *Store) watchDirectories(ctx context.Context) {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.volume.Restore(s.neededFormat())
			s.holds.Keep()
		}
	}
}
