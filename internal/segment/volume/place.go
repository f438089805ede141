package volume

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// ErrDangling means that a symbolic link leads to nothing.
var ErrDangling = errors.New("a symbolic link leads to nothing")

// ClaimName waits for other streams whose names differ in case only, until release is called.
func (v *Volume) ClaimName(stream string) (release func()) {
	key, mine := strings.ToLower(stream), make(chan struct{})
	for {
		v.mu.Lock()
		other := v.placing[key]
		if other == nil {
			v.placing[key] = mine
		}
		v.mu.Unlock()
		if other == nil {
			return func() {
				v.mu.Lock()
				defer v.mu.Unlock()
				delete(v.placing, key)
				close(mine)
			}
		}
		<-other
	}
}

// Choose returns the first of a stream's directories that nothing else uses. marked reports whether it is the stream's
// already.
func (v *Volume) Choose(stream string) (dir string, marked bool, err error) {
	for _, name := range layout.DirectoriesOf(stream) {
		dir = filepath.Join(v.dir, name)
		info, err := v.files.Stat(dir)
		if errors.Is(err, fs.ErrNotExist) {
			if err := v.Dangling(dir); err != nil {
				return dir, false, err
			}
		} else if err != nil {
			return dir, false, err
		}
		if v.isReserved(stream, dir, info) {
			continue
		}
		if info == nil {
			return dir, false, nil
		}
		if !info.IsDir() {
			return dir, false, &fs.PathError{Op: "mkdir", Path: dir, Err: syscall.ENOTDIR}
		}
		switch mark, err := layout.ReadStreamFile(v.files, dir); {
		case errors.As(err, new(*fs.PathError)) && !errors.Is(err, fs.ErrNotExist):
			return dir, false, err
		case err != nil: // not used yet, or torn
			return dir, false, nil
		case mark.Stream == stream:
			return dir, true, nil
		}
	}
	return dir, false, health.UserFault(CodeDisk, nil,
		"Stream %s cannot be recorded, as something else has the directory %s: move that away.", stream, dir)
}

// isReserved reports whether a path is one of Options.Reserved, or the recording directory, also under another name. info is
// nil when there is nothing. Reserved paths may be on a server that is not reachable, so they are checked only where the
// path has something that is not the stream's already.
func (v *Volume) isReserved(stream, dir string, info fs.FileInfo) bool {
	paths := append([]string{v.dir}, v.reserved...)
	if slices.ContainsFunc(paths, func(path string) bool { return absolute(path) == absolute(dir) }) {
		return true
	}
	if info == nil {
		return false
	}
	if mark, err := layout.ReadStreamFile(v.files, dir); info.IsDir() && err == nil && mark.Stream == stream {
		return false
	}
	return slices.ContainsFunc(paths, func(path string) bool {
		other, err := v.files.Stat(path)
		return err == nil && os.SameFile(info, other)
	})
}

// Dangling returns an error when a path is a symbolic link that leads to nothing.
func (v *Volume) Dangling(dir string) error {
	target, err := os.Readlink(dir)
	if err != nil {
		return nil // it is not a link
	}
	if _, err := v.files.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return health.SystemFault(CodeDisk, errors.Join(ErrGone, ErrDangling),
		"The disk of %s is not mounted: it is a link to %s, which is not there; mount that disk, or remove the link.", dir, target)
}

// DirectoryPresent fails when the disk that a stream's directory was on, of that Number, is not mounted. A disk of the stream's own may
// come back as another device: its stream file says that it is the same.
func (v *Volume) DirectoryPresent(stream, dir string, before uint64) error {
	if err := v.Dangling(dir); err != nil {
		return err
	}
	now := v.number(nearestDevice(dir))
	if now != before && before != v.device && now != v.device {
		if mark, err := layout.ReadStreamFile(v.files, dir); err == nil && mark.Stream == stream {
			return nil
		}
	}
	if now != before {
		return health.SystemFault(CodeDisk, ErrGone,
			"The disk of %s, where stream %s is recorded, is not mounted: mount it again; recording then resumes by itself.", dir, stream)
	}
	return nil
}

// MakeDirectory creates a stream's directory with its file, durably: the file has epoch, and highest, the newest producer
// time of it, math.MinInt64 when there is none.
func (v *Volume) MakeDirectory(stream, dir string, epoch uint32, highest int64) error {
	made := !v.exists(dir)
	if err := v.files.MkdirAll(dir, layout.DirectoryMode); err != nil {
		return err
	}
	// The directory first: a stream file whose directory is lost has no effect. What is not durable is created again
	// completely.
	if err := v.files.SyncDir(filepath.Dir(dir)); err != nil {
		if made {
			_ = v.files.Remove(dir)
		}
		return err
	}
	if err := layout.WriteStreamFile(v.files, dir, stream, epoch, highest); err != nil {
		_ = v.files.Remove(filepath.Join(dir, layout.StreamFileName))
		return err
	}
	return nil
}
