// Package repair brings files of segments back that a crash or a disk has left: what is to be cut off, to be written
// again, or to be set aside for a person. It must not know what else there is of a stream.
package repair

import (
	"errors"
	"io/fs"
	"os"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// maxEmpty is the size up to which a file without a frame is what a camera sent in its first
// seconds and a power cut took. Somebody may find something in a larger one.
const maxEmpty = 4 << 20

// Recovered is what became of a torn file. It says at least how far the file goes, also after an error.
type Recovered struct {
	mkv.Recovery
	Length  uint32 // ms to the last frame
	InDoubt bool   // a sync of the file failed
}

// Log says what became of a torn file: with a warning when media in it is lost.
func (r Recovered) Log(log *zap.Logger, stream, segment string) {
	frames := 0
	for _, fragment := range r.Fragments {
		frames += fragment.Frames
	}
	fields := []zap.Field{
		zap.String("stream", stream), zap.String("segment", segment),
		zap.Int("frames", frames), zap.Int64("bytesCut", r.Cut), zap.Int64("bytesDamaged", r.Damaged), zap.Int("framesDamaged", r.Lost),
	}
	if r.Damaged > 0 {
		logevent.SegmentRecoveredDamaged.Log(log, fields...)
		return
	}
	logevent.SegmentRecovered.Log(log, fields...)
}

// ErrDisk is in the error of Recover when the disk failed.
var ErrDisk = errors.New("the disk failed")

// Recover repairs a torn file and syncs it; read is called with it when it is whole. The error is mkv.ErrEmpty when
// there was nothing in it, and then the file is gone; it is ErrDisk when the disk failed; and else the file cannot be
// understood.
func Recover(files atomicfile.FileSystem, path string, read func(f atomicfile.File, size int64)) (r Recovered, err error) {
	opened, err := files.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return r, diskError{err}
	}
	f := NewFile(opened)
	defer func() {
		_ = f.Close()
		r.InDoubt = f.InDoubt()
	}()
	info, err := f.Stat()
	if err != nil {
		return r, diskError{err}
	}
	r.Recovery, err = mkv.Recover(f, info.Size())
	for _, fragment := range r.Fragments {
		r.Length = max(r.Length, uint32(min(max(fragment.Last.Milliseconds(), 0), layout.MaxLength)))
	}
	if errors.Is(err, mkv.ErrEmpty) {
		if info.Size() > maxEmpty {
			return r, errors.New("the file has no frame that can be read")
		}
		_ = files.Remove(path)
		return r, err
	}
	var system *fs.PathError
	if err == nil {
		err = f.Failure()
	}
	if errors.As(err, &system) || f.InDoubt() {
		return r, diskError{err}
	}
	if err != nil {
		return r, err
	}
	if err := f.Sync(); err != nil {
		return r, diskError{err}
	}
	read(f, r.Size)
	return r, nil
}

// diskError is an error of the file system, and ErrDisk.
type diskError struct{ error }

// Is implements what errors.Is looks for.
func (e diskError) Is(target error) bool { return target == ErrDisk }

// Unwrap is for errors.As.
func (e diskError) Unwrap() error { return e.error }

// LastFrame reads when the last frame of a torn file is, in ms since its start; ok is false when that cannot be read.
func LastFrame(path string) (length uint32, ok bool) {
	f, err := os.Open(path)
	if err != nil {
		return 0, false
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return 0, false
	}
	m, err := mkv.Open(f, info.Size())
	if err != nil {
		return 0, false
	}
	last, err := m.LastFrame()
	if err != nil {
		return 0, false
	}
	return uint32(min(last.Milliseconds(), layout.MaxLength)), true
}
