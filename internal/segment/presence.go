package segment

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// scopeVolume is keeping the files that tell the recording directory from another one.
const scopeVolume health.Scope = "volume"

// present fails when the recording directory is not the one that was opened: its disk was unplugged or
// unmounted, and what is written now would fill the disk below. Two files prove that it is the same, the
// volume's mark and the lock file, which is held open; where one of them was removed it is made again. Where
// both were, the disk must be the one of the lock file, and the lock file deleted, not just out of sight.
func (s *Store) present() error {
	id, err := s.volumeID()
	if s.volume == "" { // read-only
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return diskFault(s.dir, err)
	}
	locked, _ := s.lockInPlace()
	if err == nil && id == s.volume && locked {
		s.health.OK(scopeVolume)
		return nil
	}
	s.proving <- struct{}{} // one at a time makes files again
	defer func() { <-s.proving }()
	id, err = s.volumeID()
	marked := err == nil && id == s.volume
	locked, lockErr := s.lockInPlace()
	switch {
	case marked && locked:
		s.health.OK(scopeVolume)
		return nil
	case locked && passing(err):
		return nil // what is done to the disk now says how it is
	case locked:
		s.keep("the mark of the disk", volumeName, s.markVolume())
		return nil
	case marked:
		return s.relock(lockErr)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return diskFault(s.dir, err)
	case lockErr != nil && !errors.Is(lockErr, fs.ErrNotExist):
		return diskFault(s.dir, lockErr)
	}
	return s.refound(err)
}

// passing reports whether an error says nothing about the file that was asked for.
func passing(err error) bool {
	return slices.ContainsFunc([]error{syscall.EIO, syscall.EMFILE, syscall.ENFILE, syscall.EINTR, syscall.ENOMEM, syscall.ESTALE},
		func(other error) bool { return errors.Is(err, other) })
}

// lockInPlace reports whether the lock file that is held open is the one in the directory.
func (s *Store) lockInPlace() (bool, error) {
	held, err := s.lock.Load().Stat()
	if err != nil {
		return false, err
	}
	there, err := s.files.Stat(filepath.Join(s.dir, lockName))
	return err == nil && os.SameFile(held, there), err
}

// relock locks the directory again, of which the lock file was removed or replaced. Another agent may have been
// quicker.
func (s *Store) relock(why error) error {
	if why != nil && !errors.Is(why, fs.ErrNotExist) {
		return nil // only the look at it failed
	}
	next, err := lock(s.dir)
	var taken *health.Fault
	if errors.As(err, &taken) && taken.Code == codeLocked {
		return err
	}
	s.keep("the lock file", lockName, err)
	if err == nil {
		_ = s.lock.Swap(next).Close()
	}
	return nil
}

// keep accounts for a file that was made again. That it cannot be is no reason not to record.
func (s *Store) keep(what, name string, err error) {
	path := filepath.Join(s.dir, name)
	if err == nil {
		s.health.OK(scopeVolume)
		s.log.Warn("somebody removed "+what+" from the recording directory: it is made again", zap.String("file", path))
		return
	}
	fault := health.SystemFault(CodeDisk, err,
		"The file %s was removed and cannot be made again, so that the agent may refuse the disk at its next start: move away what is in its place, and do not delete it.", path)
	if s.health.Report(scopeVolume, health.Degraded, fault) {
		s.log.Error("cannot make "+what+" again", zap.String("file", path), zap.Error(err))
	}
}

// refound makes the recording directory again when it, or all that was in it, was deleted. why is what became of
// the mark.
func (s *Store) refound(why error) error {
	held, err := s.lock.Load().Stat()
	if err != nil {
		return diskFault(s.dir, err)
	}
	st, ok := held.Sys().(*syscall.Stat_t)
	if !ok || nearestDevice(s.dir) != uint64(st.Dev) {
		return health.SystemFault(CodeDisk, errors.Join(ErrDiskGone, why),
			"The disk of the recording directory %s is gone: mount it again; recording goes on by itself then.", s.dir)
	}
	if st.Nlink > 0 {
		return health.SystemFault(CodeDisk, errors.Join(ErrDiskGone, why),
			"The recording directory %s is not the one that was opened, as that was moved or is no longer mounted: put it back, or restart the agent to record to what is there now.", s.dir)
	}
	if err := s.files.MkdirAll(s.dir, layout.DirectoryMode); err != nil {
		return diskFault(s.dir, err)
	}
	next, err := lock(s.dir)
	if err != nil {
		return err
	}
	_ = s.lock.Swap(next).Close()
	s.format.Store(layout.FormatFirst) // its file is gone as well: who needs another one writes it again
	s.log.Error("somebody deleted all that was in the recording directory: recording begins again", zap.String("directory", s.dir))
	return diskFault(s.dir, s.markVolume())
}

// markVolume writes the mark of the disk.
func (s *Store) markVolume() error {
	return atomicfile.Replace(s.files, filepath.Join(s.dir, volumeName), []byte(s.volume+"\n"), layout.FileMode)
}

// nearestDevice is the device of a directory, or of the nearest above it that is there.
func nearestDevice(dir string) uint64 {
	for dir = absolute(dir); ; dir = filepath.Dir(dir) {
		if _, err := os.Lstat(dir); err == nil || dir == filepath.Dir(dir) {
			return device(dir)
		}
	}
}
