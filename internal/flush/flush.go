// Package flush owns how the files of one disk are made durable together, so that the disk empties its cache seldom, however many files
// there are. It must not know what is in them, nor when that is done.
//
// A disk empties its cache twice for a transaction of ext4's journal, and once more for each fdatasync that comes too late for it. So
// data is first written out, without any of this (sync_file_range). Then, where the disk is of our own, one syncfs makes all durable: one
// transaction. Elsewhere it would write, and wait for, the data of other programs, so there all files are synced at the same time: the
// kernel has what comes together share transactions and flushes.
package flush

import (
	"errors"
	"os"
	"slices"
	"sync"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
)

// Whole is a file system that makes everything on the disk of a directory durable at once. An error means that anything written since
// the last call may be lost, to any file.
type Whole interface {
	SyncFS(dir string) error
}

// Noting is a file that notes the failure of a sync: what do returns is the result of one.
type Noting interface {
	Do(do func(atomicfile.File) error) error
}

// Item is a file, a directory, or both, with the result of syncing them.
type Item struct {
	File atomicfile.File // nil: none
	Dir  string          // whose names are to be durable; "": none
	Idle bool            // nothing is to be made durable, but a failure that may concern any file concerns it
	Err  error           // the result
}

// Disk is a disk on which files are made durable together. Its methods are for one goroutine.
type Disk struct {
	files atomicfile.FileSystem
	dir   string
	whole Whole // nil: it has other data, too
	real  *syncer
}

// NewDisk returns the disk of a directory. Call Close in the end.
func NewDisk(files atomicfile.FileSystem, dir string) *Disk {
	d := &Disk{files: files, dir: dir}
	switch f := files.(type) {
	case atomicfile.OS:
		d.real = newSyncer(dir)
	case Whole:
		d.whole = f
	}
	return d
}

// NewShared returns a disk that has the data of others, too.
func NewShared(files atomicfile.FileSystem) *Disk { return &Disk{files: files} }

// Close releases the disk.
func (d *Disk) Close() error {
	if d.real == nil {
		return nil
	}
	return d.real.close()
}

// Sync makes the items durable, and notes the result in each.
func (d *Disk) Sync(items []Item) {
	if !slices.ContainsFunc(items, func(it Item) bool { return !it.Idle && it.Err == nil }) {
		return
	}
	if whole := d.wholeNow(); whole != nil {
		writeOut(items)
		if err := whole.SyncFS(d.dir); !errors.Is(err, errNotWhole) {
			d.settle(items, err)
			return
		}
	}
	writeOut(items)
	Each(len(items), atOnce, func(i int) { d.one(&items[i]) })
}

// wholeNow returns how the complete disk is synced, or nil.
func (d *Disk) wholeNow() Whole {
	if d.real != nil && d.real.usable() {
		return d.real
	}
	return d.whole
}

// settle notes the result of a sync of the complete disk, which all items on it have in common, and syncs the others.
func (d *Disk) settle(items []Item, err error) {
	var others []*Item
	for i := range items {
		switch it := &items[i]; {
		case it.Err != nil:
		case d.real != nil && !it.Idle && !d.real.covers(it):
			others = append(others, it)
		case err != nil && it.File != nil:
			it.Err = noted(it.File, func(atomicfile.File) error { return err })
		default:
			it.Err = err
		}
	}
	Each(len(others), atOnce, func(i int) { d.one(others[i]) })
}

// one syncs an item by itself.
func (d *Disk) one(it *Item) {
	if it.Idle || it.Err != nil {
		return
	}
	if it.File != nil {
		it.Err = noted(it.File, dataSync)
	}
	if it.Err == nil && it.Dir != "" {
		it.Err = d.files.SyncDir(it.Dir)
	}
}

// writeOut has the data of all files written to the disk, from where a flush makes it durable. Errors count as those of a sync, as the
// kernel reports each only once.
func writeOut(items []Item) {
	for _, wait := range []bool{false, true} { // the disk gets all, before the first one is waited for
		for i := range items {
			if it := &items[i]; it.File != nil && !it.Idle && it.Err == nil {
				it.Err = noted(it.File, func(f atomicfile.File) error { return rangeOut(f, wait) })
			}
		}
	}
}

// noted does something to a file that counts as a sync of it.
func noted(f atomicfile.File, do func(atomicfile.File) error) error {
	if n, ok := f.(Noting); ok {
		return n.Do(do)
	}
	return do(f)
}

// Around is a file that has another one in it, of which the same is made durable.
type Around interface{ Real() atomicfile.File }

// realFile returns the file of the operating system.
func realFile(f atomicfile.File) (*os.File, bool) {
	if around, ok := f.(Around); ok {
		f = around.Real()
	}
	r, ok := f.(*os.File)
	return r, ok
}

// dataSync makes the data of a file durable, with its size.
func dataSync(f atomicfile.File) error {
	if r, ok := realFile(f); ok {
		return fdatasync(r)
	}
	return f.Sync()
}

// atOnce is how many goroutines, and so threads, wait for syncs at a time: what comes together shares transactions and flushes.
const atOnce = 32

// Each calls do with 0 to n-1, so many at a time, and returns when all have returned.
func Each(n, atOnce int, do func(i int)) {
	if n == 1 {
		do(0)
		return
	}
	turns := make(chan struct{}, atOnce)
	var running sync.WaitGroup
	for i := range n {
		turns <- struct{}{}
		running.Go(func() {
			defer func() { <-turns }()
			do(i)
		})
	}
	running.Wait()
}
