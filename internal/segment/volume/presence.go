package volume

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// scopeVolume is for keeping the files that identify the recording directory.
const scopeVolume health.Scope = "volume"

// Present fails when the recording directory is not the one that was opened: its disk was unplugged or unmounted, and data
// written now would fill the disk below. Two files prove that it is the same, the volume's mark and the lock file, which is
// kept open; where one of them was removed it is created again. Where both were, the disk must be that of the lock file, and
// the lock file deleted, not just hidden by a mount.
func (v *Volume) Present() error {
	id, err := v.ID()
	if v.mark == "" { // read-only
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return Fault(v.dir, err)
	}
	locked, _ := v.lockInPlace()
	if err == nil && id == v.mark && locked {
		v.health.OK(scopeVolume)
		return nil
	}
	v.proving <- struct{}{} // only one goroutine creates files again
	defer func() { <-v.proving }()
	id, err = v.ID()
	marked := err == nil && id == v.mark
	locked, lockErr := v.lockInPlace()
	switch {
	case marked && locked:
		v.health.OK(scopeVolume)
		return nil
	case locked && passing(err):
		return nil // what is done to the disk now says how it is
	case locked:
		v.keep(MarkFileName, v.writeMark())
		return nil
	case marked:
		return v.relock(lockErr)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return Fault(v.dir, err)
	case lockErr != nil && !errors.Is(lockErr, fs.ErrNotExist):
		return Fault(v.dir, lockErr)
	}
	return v.refound(err)
}

// passing reports whether an error proves nothing about the file.
func passing(err error) bool {
	return slices.ContainsFunc([]error{syscall.EIO, syscall.EMFILE, syscall.ENFILE, syscall.EINTR, syscall.ENOMEM, syscall.ESTALE},
		func(other error) bool { return errors.Is(err, other) })
}

// lockInPlace reports whether the lock file that is kept open is the one in the directory.
func (v *Volume) lockInPlace() (bool, error) {
	held, err := v.lock.Load().Stat()
	if err != nil {
		return false, err
	}
	there, err := v.files.Stat(filepath.Join(v.dir, LockFileName))
	return err == nil && os.SameFile(held, there), err
}

// relock locks the directory again when its lock file was removed or replaced. Another agent may have been quicker.
func (v *Volume) relock(why error) error {
	if why != nil && !errors.Is(why, fs.ErrNotExist) {
		return nil // only the check failed
	}
	next, err := lock(v.dir)
	var taken *health.Fault
	if errors.As(err, &taken) && taken.Code == codeLocked {
		return err
	}
	v.keep(LockFileName, err)
	if err == nil {
		_ = v.lock.Swap(next).Close()
		v.replugged.Store(Device(v.dir)) // the mark says that it is the same disk
	}
	return nil
}

// Restore restores the volume's own files that were removed, with the format that is needed, and checks the directories
// of Watch. While the disk is not present it does nothing.
func (v *Volume) Restore(format int32) {
	if v.Present() != nil {
		return
	}
	if err := v.Remember(); err != nil {
		logevent.VolumeNotNoted.Log(v.log, zap.Error(err))
	}
	if err := v.RestoreFormat(format); err != nil {
		logevent.FormatNotNoted.Log(v.log, zap.Error(err))
	}
	v.Watch.Check()
}

// keep reports that a file was created again. A failure of that does not stop the recording.
func (v *Volume) keep(name string, err error) {
	path := filepath.Join(v.dir, name)
	if err == nil {
		v.health.OK(scopeVolume)
		logevent.VolumeFileRestored.Log(v.log, zap.String("file", path))
		return
	}
	fault := health.SystemFault(CodeDisk, err,
		"The file %s was removed and cannot be created again, so that the agent may refuse the disk at its next start: move the file "+
			"that has its name now away, and do not delete it.", path)
	if v.health.Report(scopeVolume, health.Degraded, fault) {
		logevent.Condition(v.log, fault, zap.String("file", path))
	}
}

// refound creates the recording directory again when it, or everything in it, was deleted. why is the result of reading the
// mark.
func (v *Volume) refound(why error) error {
	held, err := v.lock.Load().Stat()
	if err != nil {
		return Fault(v.dir, err)
	}
	st, ok := held.Sys().(*syscall.Stat_t)
	if !ok || nearestDevice(v.dir) != uint64(st.Dev) {
		return health.SystemFault(CodeDisk, errors.Join(ErrGone, why),
			"The disk of the recording directory %s is gone: mount it again; recording then resumes by itself.", v.dir)
	}
	if st.Nlink > 0 {
		return health.SystemFault(CodeDisk, errors.Join(ErrGone, why),
			"The recording directory %s is not the one that was opened, as that was moved or is no longer mounted: put it back, or restart "+
				"the agent to record to the directory that exists now.", v.dir)
	}
	if err := v.files.MkdirAll(v.dir, layout.DirectoryMode); err != nil {
		return Fault(v.dir, err)
	}
	next, err := lock(v.dir)
	if err != nil {
		return err
	}
	_ = v.lock.Swap(next).Close()
	v.format.Store(layout.FormatFirst) // its file is gone as well: the code that needs another format writes it again
	logevent.RecordingsVanished.Log(v.log, zap.String("directory", v.dir))
	return Fault(v.dir, v.writeMark())
}
