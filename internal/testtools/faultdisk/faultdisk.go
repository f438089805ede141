// Package faultdisk owns a file system of which one operation fails, the n-th of a kind, in the ways in which disks
// and kernels fail. It must not know what is stored.
package faultdisk

import (
	"io"
	"io/fs"
	"os"
	"sync"
	"syscall"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
)

// Fault is a way in which an operation fails.
type Fault string

// The faults. Each strikes the operations that it can happen to.
const (
	EIO    Fault = "EIO"                 // any
	ENOSPC Fault = "ENOSPC"              // what takes room
	EMFILE Fault = "EMFILE"              // what opens
	EINTR  Fault = "EINTR"               // any
	Short  Fault = "short write"         // half of a write is done
	Gate   Fault = "fsync, then success" // an fsync fails, the pages are dropped, and the next one succeeds
)

// Faults lists all.
var Faults = []Fault{EIO, ENOSPC, EMFILE, EINTR, Short, Gate}

// property is a set of properties of an operation.
type property uint8

const (
	opens property = 1 << iota
	takesRoom
	writes
	syncs
)

// Disk is the file system. Safe for concurrent use.
type Disk struct {
	atomicfile.OS

	mu     sync.Mutex
	fault  Fault
	left   int // operations up to the first that fails; 0: none does
	times  int // how many fail
	struck string
	dirty  map[string][]span // by path: written and not synced
	lost   map[string][]span // by path: what an fsync that failed dropped
}

// span is bytes of a file.
type span struct{ from, to int64 }

// New makes a disk without a fault.
func New() *Disk { return &Disk{dirty: make(map[string][]span), lost: make(map[string][]span)} }

// Arm makes the n-th operation from now on fail that the fault can happen to, and those after it, so many. n = 0
// disarms.
func (d *Disk) Arm(f Fault, n, times int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault, d.left, d.times, d.struck = f, n, times, ""
}

// Over disarms, and leaves what Struck returns.
func (d *Disk) Over() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.left = 0
}

// Struck returns the operation that failed, "" while none has.
func (d *Disk) Struck() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.struck
}

// Evict has the machine forget what is only in memory, as time or a power cut does: what an fsync dropped is zeros.
func (d *Disk) Evict() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for path, spans := range d.lost {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return err
		}
		for _, s := range spans {
			if _, err := f.WriteAt(make([]byte, s.to-s.from), s.from); err != nil {
				return err
			}
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	clear(d.lost)
	return nil
}

// hits reports whether a fault can happen to an operation.
func (f Fault) hits(w property) bool {
	switch f {
	case ENOSPC:
		return w&takesRoom != 0
	case EMFILE:
		return w&opens != 0
	case Short:
		return w&writes != 0
	case Gate:
		return w&syncs != 0
	}
	return true
}

// step says how an operation fails.
func (d *Disk) step(op, path string, w property) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.left == 0 || !d.fault.hits(w) {
		return nil
	}
	if d.left > 1 {
		d.left--
		return nil
	}
	if d.times--; d.times <= 0 {
		d.left = 0
	}
	d.struck = op + " " + path
	errno := map[Fault]error{EIO: syscall.EIO, ENOSPC: syscall.ENOSPC, EMFILE: syscall.EMFILE, EINTR: syscall.EINTR, Short: io.ErrShortWrite,
		Gate: syscall.EIO}
	return &fs.PathError{Op: op, Path: path, Err: errno[d.fault]}
}

// OpenFile implements atomicfile.FileSystem.
func (d *Disk) OpenFile(name string, flag int, mode fs.FileMode) (atomicfile.File, error) {
	w := opens
	if flag&os.O_CREATE != 0 {
		w |= takesRoom
	}
	if err := d.step("open", name, w); err != nil {
		return nil, err
	}
	f, err := d.OS.OpenFile(name, flag, mode)
	if err != nil {
		return nil, err
	}
	return &file{File: f, disk: d, path: name, end: flag&os.O_APPEND != 0}, nil
}

// ReadFile implements atomicfile.FileSystem.
func (d *Disk) ReadFile(name string) ([]byte, error) {
	if err := d.step("read", name, opens); err != nil {
		return nil, err
	}
	return d.OS.ReadFile(name)
}

// Stat implements atomicfile.FileSystem.
func (d *Disk) Stat(name string) (fs.FileInfo, error) {
	if err := d.step("stat", name, 0); err != nil {
		return nil, err
	}
	return d.OS.Stat(name)
}

// ReadDir implements atomicfile.FileSystem.
func (d *Disk) ReadDir(dir string) ([]fs.DirEntry, error) {
	if err := d.step("list", dir, opens); err != nil {
		return nil, err
	}
	return d.OS.ReadDir(dir)
}

// MkdirAll implements atomicfile.FileSystem.
func (d *Disk) MkdirAll(dir string, mode fs.FileMode) error {
	if err := d.step("mkdir", dir, takesRoom); err != nil {
		return err
	}
	return d.OS.MkdirAll(dir, mode)
}

// Rename implements atomicfile.FileSystem.
func (d *Disk) Rename(from, to string) error {
	if err := d.step("rename", from, takesRoom); err != nil {
		return err
	}
	err := d.OS.Rename(from, to)
	if err == nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		for _, of := range []map[string][]span{d.dirty, d.lost} {
			delete(of, to)
			if spans, ok := of[from]; ok {
				of[to] = spans
				delete(of, from)
			}
		}
	}
	return err
}

// Remove implements atomicfile.FileSystem.
func (d *Disk) Remove(name string) error {
	if err := d.step("remove", name, 0); err != nil {
		return err
	}
	err := d.OS.Remove(name)
	if err == nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.dirty, name)
		delete(d.lost, name)
	}
	return err
}

// SyncDir implements atomicfile.FileSystem.
func (d *Disk) SyncDir(dir string) error {
	if err := d.step("sync of the directory", dir, opens|syncs); err != nil {
		return err
	}
	return d.OS.SyncDir(dir)
}
