package faultdisk

import (
	"errors"
	"os"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
)

// file is an open file of a Disk.
type file struct {
	atomicfile.File
	disk *Disk
	path string
	end  bool  // writes go to the end
	at   int64 // of the next write otherwise
}

// currentPath returns the path under which the file is known now; it may have been renamed since it was opened.
func (f *file) currentPath() string {
	if info, err := f.Stat(); err == nil {
		f.disk.mu.Lock()
		defer f.disk.mu.Unlock()
		for _, of := range []map[string][]span{f.disk.dirty, f.disk.lost} {
			for path := range of {
				if other, err := f.disk.OS.Stat(path); err == nil && os.SameFile(info, other) {
					return path
				}
			}
		}
	}
	return f.path
}

// Write implements atomicfile.File.
func (f *file) Write(p []byte) (n int, err error) {
	failure := f.disk.step("write", f.path, writes|takesRoom)
	if failure != nil {
		if f.disk.isShort(failure) {
			p = p[:len(p)/2]
		} else {
			return 0, failure
		}
	}
	from := f.at
	if f.end {
		if info, err := f.Stat(); err == nil {
			from = info.Size()
		}
	}
	n, err = f.File.Write(p)
	f.at = from + int64(n)
	f.wrote(from, int64(n))
	return n, errors.Join(err, failure)
}

// WriteAt implements atomicfile.File.
func (f *file) WriteAt(p []byte, off int64) (n int, err error) {
	failure := f.disk.step("write", f.path, writes|takesRoom)
	if failure != nil {
		if f.disk.isShort(failure) {
			p = p[:len(p)/2]
		} else {
			return 0, failure
		}
	}
	n, err = f.File.WriteAt(p, off)
	f.wrote(off, int64(n))
	return n, errors.Join(err, failure)
}

// wrote notes what is to be synced. What was dropped and is written again is no longer lost.
func (f *file) wrote(from, n int64) {
	path := f.currentPath()
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	f.disk.dirty[path] = append(f.disk.dirty[path], span{from, from + n})
	f.disk.lost[path] = without(f.disk.lost[path], span{from, from + n})
}

// Truncate implements atomicfile.File.
func (f *file) Truncate(size int64) error {
	if err := f.disk.step("truncate", f.path, 0); err != nil {
		return err
	}
	path := f.currentPath()
	f.disk.mu.Lock()
	end := span{size, 1 << 62}
	f.disk.dirty[path], f.disk.lost[path] = without(f.disk.dirty[path], end), without(f.disk.lost[path], end)
	f.disk.mu.Unlock()
	return f.File.Truncate(size)
}

// Sync implements atomicfile.File.
func (f *file) Sync() error {
	failure := f.disk.step("sync", f.path, syncs)
	path := f.currentPath()
	f.disk.mu.Lock()
	dirty := f.disk.dirty[path]
	switch {
	case failure == nil:
		delete(f.disk.dirty, path)
	case f.disk.fault == Gate:
		f.disk.lost[path] = append(f.disk.lost[path], dirty...)
		delete(f.disk.dirty, path)
	}
	f.disk.mu.Unlock()
	if failure != nil {
		return failure
	}
	return f.File.Sync()
}

// ReadAt implements atomicfile.File.
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	if err := f.disk.step("read", f.path, 0); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

// isShort reports whether a failure is half of a write.
func (d *Disk) isShort(failure error) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return failure != nil && d.fault == Short
}

// without returns the spans but for one.
func without(spans []span, gone span) (left []span) {
	for _, s := range spans {
		if before := (span{s.from, min(s.to, gone.from)}); before.from < before.to {
			left = append(left, before)
		}
		if after := (span{max(s.from, gone.to), s.to}); after.from < after.to {
			left = append(left, after)
		}
	}
	return left
}
