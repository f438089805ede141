// Package repair restores files of segments after a crash or a failure of the disk: it truncates them, writes them again, or
// sets them aside for a person. It must not know a stream's other files.
package repair

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// maxEmpty is the size up to which a file without a frame is deleted: a power cut in the first seconds of a recording leaves
// one. A larger one may contain something that a person can recover.
const maxEmpty = 4 << 20

// Recovered is the result of repairing a torn file. Its length is a lower bound, also after an error.
type Recovered struct {
	mkv.Recovery
	Length  uint32 // ms to the last frame
	InDoubt bool   // a sync of the file failed
}

// Log reports the result of repairing a torn file: with a warning when media is lost.
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

// ErrDisk is wrapped by errors of Recover when the disk failed.
var ErrDisk = errors.New("the disk failed")

// Recover repairs a torn file and syncs it; read is called with it when it is complete. The error is mkv.ErrEmpty when it
// had no frame, and then the file is deleted; it wraps ErrDisk when the disk failed, and also when ctx ended, whose error it wraps then:
// the file can be recovered again, as after a crash. With any other error the file cannot be understood.
func Recover(
	ctx context.Context, files atomicfile.FileSystem, path string, read func(f atomicfile.File, size int64),
) (r Recovered, err error) {
	opened, err := files.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return r, diskError{err}
	}
	f := NewFile(atomicfile.While(ctx, opened))
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
	if ended := ctx.Err(); ended != nil {
		return r, diskError{ended} // whatever was made of a file that was not read
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
	if err := ctx.Err(); err != nil {
		return r, diskError{err}
	}
	return r, nil
}

// diskError is an error of the file system that is also ErrDisk.
type diskError struct{ error }

// Is implements the interface of errors.Is.
func (e diskError) Is(target error) bool { return target == ErrDisk }

// Unwrap implements the interface of errors.As.
func (e diskError) Unwrap() error { return e.error }
