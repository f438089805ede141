package simulate

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
)

// disk is the hub's: real files on a file system in memory, and what a power cut would leave of them. It knows of each operation whether
// it was synced. Safe for concurrent use.
type disk struct {
	root, grave string
	watch       diskWatch

	mu      sync.Mutex
	random  *rand.Rand
	files   map[string]*inode // by path below root; all below is guarded by mu
	count   int
	names   []nameOp // that are not synced
	used    int64
	room    int64 // bytes that all files may have
	state   diskState
	wasFull time.Time // when that ended last
	current *view     // of the process that runs; others are dead
	ops     int64
	// unsynced is a planted bug: syncs do nothing, and nobody notices.
	unsynced bool
}

// diskWatch is notified of what happens to access units. It must not call the disk.
type diskWatch interface {
	written(ino int, list []unit)
	synced(list []unit)
	// removed is called when a file with media loses its name, or gets one as garbage: how much its directory has, and what is free.
	removed(ino int, name string, usage, free int64)
}

// diskState is how the disk does.
type diskState struct {
	slow     time.Duration // what each write and sync takes
	failing  int64         // of 1000 operations
	dropping bool          // a sync that fails loses what was written, as Linux does it
	full     bool
}

// inode is a file, whatever its name.
type inode struct {
	id   int
	path string // "" when it has none
	size int64
	ops  []fileOp    // that are not synced
	data []byte      // what is in it, so that reading costs no system call; nil when that is not known
	info fs.FileInfo // as it is; nil when that is not known
}

// fileOp is a write, or a truncation.
type fileOp struct {
	off          int64
	data, before []byte // what was written, and what was there
	from, to     int64  // the size before and after
	truncates    bool
	dropped      bool // it never reaches the disk
	at           time.Time
	units        []unit
}

// nameOp makes, renames or removes a file.
type nameOp struct {
	dir      string
	ino      *inode
	from, to string // "" for none
	replaced *inode
	at       time.Time
}

// writeback is how long the kernel keeps what nobody syncs.
const writeback = 45 * time.Second

const sector = 512

func newDisk(dir string, random *rand.Rand, watch diskWatch) (*disk, error) {
	d := &disk{root: filepath.Join(dir, "hub"), grave: filepath.Join(dir, "grave"), random: random, watch: watch,
		files: make(map[string]*inode), room: 1 << 30}
	for _, dir := range []string{d.root, d.grave} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (d *disk) rel(path string) string { return strings.TrimPrefix(path, d.root+"/") }
func (d *disk) abs(rel string) string  { return d.root + "/" + rel }
func (d *disk) tomb(i *inode) string   { return filepath.Join(d.grave, strconv.Itoa(i.id)) }

// mount is the disk for another process; that before it changes nothing any more.
func (d *disk) mount() *view {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.current = &view{disk: d}
	return d.current
}

// unplug ends what the process of the time does.
func (d *disk) unplug() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.current = nil
}

func (d *disk) set(change func(*diskState)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.state.full {
		d.wasFull = time.Now()
	}
	change(&d.state)
}

// paths are the names of the files that have one.
func (d *disk) paths() map[int]string {
	d.mu.Lock()
	defer d.mu.Unlock()
	names := make(map[int]string)
	for name, i := range d.files {
		names[i.id] = fmt.Sprintf("%s of %d bytes", name, i.size)
	}
	return names
}

// free is what is left.
func (d *disk) free() (free, total uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.state.full {
		return 0, uint64(d.room)
	}
	return uint64(max(0, d.room-d.used)), uint64(d.room)
}

// squeeze has others take all of the disk but that many bytes.
func (d *disk) squeeze(left int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.room = d.used + left
}

func (d *disk) unsqueeze() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.room, d.wasFull = 1<<30, time.Now()
}

// age takes as synced what the kernel has written by itself. mu is held.
func (d *disk) age(i *inode) {
	now := time.Now()
	for len(d.names) > 0 && now.Sub(d.names[0].at) > writeback {
		d.settle(d.names[0])
		d.names = d.names[1:]
	}
	for i != nil && len(i.ops) > 0 && now.Sub(i.ops[0].at) > writeback && !i.ops[0].dropped {
		i.ops = i.ops[1:]
	}
}

// settle buries what no power cut restores. mu is held.
func (d *disk) settle(op nameOp) {
	for _, i := range []*inode{op.ino, op.replaced} {
		if i != nil && i.path == "" {
			_ = os.Remove(d.tomb(i))
		}
	}
}

// cut is a power cut: what was synced is there; of the rest, in order or not, some is. mu is not held.
func (d *disk) cut(ordered bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.current = nil
	names := d.names
	d.names = nil
	for k := len(names) - 1; k >= 0; k-- {
		d.undo(names[k])
	}
	kept := make(map[*inode]int) // of the operations of a file so many stay
	total := make(map[*inode]int)
	for _, op := range names {
		total[op.ino]++
	}
	for _, op := range names {
		if _, drawn := kept[op.ino]; !drawn {
			kept[op.ino] = d.random.IntN(total[op.ino] + 1)
		}
	}
	prefix := d.random.IntN(len(names) + 1)
	for k, op := range names {
		switch {
		case ordered && k >= prefix, !ordered && kept[op.ino] == 0:
			continue
		}
		kept[op.ino]--
		d.redo(op)
	}
	d.used = 0
	for _, i := range d.files {
		d.restore(i, ordered)
		d.used += i.size
	}
	entries, _ := os.ReadDir(d.grave)
	for _, e := range entries {
		_ = os.Remove(filepath.Join(d.grave, e.Name()))
	}
}

// bury takes a file its name. mu is held.
func (d *disk) bury(i *inode) {
	_ = os.Rename(d.abs(i.path), d.tomb(i))
	delete(d.files, i.path)
	i.path, i.data, i.info = "", nil, nil
}

// raise names a file. mu is held.
func (d *disk) raise(i *inode, name string) {
	from := d.tomb(i)
	if i.path != "" {
		from = d.abs(i.path)
		delete(d.files, i.path)
	}
	if other := d.files[name]; other != nil && other != i {
		d.bury(other)
	}
	_ = os.Rename(from, d.abs(name))
	i.path, i.info, d.files[name] = name, nil, i
}

func (d *disk) undo(op nameOp) {
	if op.from == "" {
		if op.ino.path != "" {
			d.bury(op.ino)
		}
	} else {
		d.raise(op.ino, op.from)
	}
	if op.replaced != nil {
		d.raise(op.replaced, op.to)
	}
}

func (d *disk) redo(op nameOp) {
	switch {
	case op.to != "":
		d.raise(op.ino, op.to)
	case op.ino.path != "":
		d.bury(op.ino)
	}
}

// restore has a file's content as a power cut leaves it. mu is held.
func (d *disk) restore(i *inode, ordered bool) {
	ops := i.ops
	i.ops = nil
	if len(ops) == 0 {
		return
	}
	data, err := os.ReadFile(d.abs(i.path))
	if err != nil {
		return
	}
	resize := func(size int64) {
		if grow := size - int64(len(data)); grow > 0 {
			data = append(data, make([]byte, grow)...)
		}
		data = data[:size]
	}
	for k := len(ops) - 1; k >= 0; k-- {
		op := ops[k]
		resize(op.from)
		copy(data[min(op.off, op.from):], op.before)
	}
	whole := d.random.IntN(len(ops) + 1) // of the first so many
	for k, op := range ops {
		fate := d.random.IntN(4)
		switch {
		case op.dropped:
			fate = 1
		case ordered && k < whole:
			fate = 0
		case ordered && k > whole:
			fate = 1
		}
		if op.truncates {
			if fate == 0 || fate == 3 {
				resize(op.to)
			}
			continue
		}
		end := op.off + int64(len(op.data))
		switch fate {
		case 0:
			resize(max(int64(len(data)), end))
			copy(data[op.off:], op.data)
		case 1: // lost
		case 2: // the size without the data
			resize(max(int64(len(data)), end))
		default: // some of its sectors
			for at := op.off; at < end; {
				next := min(end, (at/sector+1)*sector)
				if d.random.IntN(2) == 0 {
					resize(max(int64(len(data)), next))
					copy(data[at:next], op.data[at-op.off:next-op.off])
				}
				at = next
			}
		}
	}
	i.size, i.data, i.info = int64(len(data)), nil, nil
	_ = os.WriteFile(d.abs(i.path), data, 0o600)
}

// view is the disk as one process has it. It implements atomicfile.FileSystem.
type view struct {
	atomicfile.OS
	disk *disk
}

type opKind uint8

const (
	opOther opKind = iota
	opWrite
	opSync
	opMake
)

// begin waits as long as the disk takes, and says how an operation fails.
func (v *view) begin(kind opKind, op, path string) error {
	d := v.disk
	d.mu.Lock()
	d.ops++
	dead, state := d.current != v, d.state
	fails := state.failing > 0 && d.random.Int64N(1000) < state.failing
	d.mu.Unlock()
	if dead {
		return &fs.PathError{Op: op, Path: path, Err: syscall.EIO}
	}
	if state.slow > 0 && (kind == opWrite || kind == opSync) {
		<-time.After(state.slow)
	}
	if fails {
		return &fs.PathError{Op: op, Path: path, Err: syscall.EIO}
	}
	if state.full && (kind == opWrite || kind == opMake) {
		return &fs.PathError{Op: op, Path: path, Err: syscall.ENOSPC}
	}
	return nil
}

// ours reports whether a path lies on the disk, and its process runs. mu is held.
func (v *view) ours() bool { return v.disk.current == v }

var errDead = &fs.PathError{Op: "any", Path: "the disk of a process that was killed", Err: syscall.EIO}

// OpenFile implements atomicfile.FileSystem.
func (v *view) OpenFile(name string, flag int, mode fs.FileMode) (atomicfile.File, error) {
	kind := opOther
	if flag&os.O_CREATE != 0 {
		kind = opMake
	}
	if err := v.begin(kind, "open", name); err != nil {
		return nil, err
	}
	d := v.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	if !v.ours() {
		return nil, errDead
	}
	rel := d.rel(name)
	i := d.files[rel]
	f, err := os.OpenFile(name, flag, mode)
	if err != nil {
		return nil, err
	}
	if i == nil {
		info, err := f.Stat()
		if err != nil {
			return nil, err
		}
		d.count++
		i = &inode{id: d.count, path: rel, size: info.Size()}
		if i.size == 0 && flag&os.O_CREATE != 0 {
			i.data = []byte{}
		}
		if !info.IsDir() {
			d.files[rel] = i
			if flag&os.O_CREATE != 0 {
				d.names = append(d.names, nameOp{dir: filepath.Dir(rel), ino: i, to: rel, at: time.Now()})
			}
		}
	}
	if flag&os.O_TRUNC != 0 && i.size > 0 { // the content is gone already: as if it had been empty
		d.used -= i.size
		i.size, i.ops, i.data, i.info = 0, nil, []byte{}, nil
	}
	return &file{File: f, view: v, ino: i, end: flag&os.O_APPEND != 0}, nil
}

// ReadFile implements atomicfile.FileSystem.
func (v *view) ReadFile(name string) ([]byte, error) {
	if err := v.begin(opOther, "read", name); err != nil {
		return nil, err
	}
	d := v.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	i := d.files[d.rel(name)]
	if i == nil {
		return os.ReadFile(name)
	}
	if i.data == nil {
		data, err := os.ReadFile(name)
		if err != nil || int64(len(data)) != i.size {
			return data, err
		}
		i.data = data
	}
	return bytes.Clone(i.data), nil
}

// Stat implements atomicfile.FileSystem.
func (v *view) Stat(name string) (info fs.FileInfo, err error) {
	if err := v.begin(opOther, "stat", name); err != nil {
		return nil, err
	}
	d := v.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	i := d.files[d.rel(name)]
	if i == nil {
		return os.Stat(name)
	}
	if i.info == nil {
		if i.info, err = os.Stat(name); err != nil {
			i.info = nil
			return nil, err
		}
	}
	return i.info, nil
}

// ReadDir implements atomicfile.FileSystem.
func (v *view) ReadDir(dir string) ([]fs.DirEntry, error) {
	if err := v.begin(opOther, "list", dir); err != nil {
		return nil, err
	}
	return os.ReadDir(dir)
}

// MkdirAll implements atomicfile.FileSystem.
func (v *view) MkdirAll(dir string, mode fs.FileMode) error {
	if err := v.begin(opMake, "mkdir", dir); err != nil {
		return err
	}
	return os.MkdirAll(dir, mode)
}

// Rename implements atomicfile.FileSystem.
func (v *view) Rename(from, to string) error {
	if err := v.begin(opOther, "rename", from); err != nil {
		return err
	}
	d := v.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	if !v.ours() {
		return errDead
	}
	d.age(nil)
	f, t := d.rel(from), d.rel(to)
	i, replaced := d.files[f], d.files[t]
	if i == nil {
		return os.Rename(from, to)
	}
	if replaced != nil {
		d.bury(replaced)
		d.used -= replaced.size
	}
	d.raise(i, t)
	d.names = append(d.names, nameOp{dir: filepath.Dir(t), ino: i, from: f, to: t, replaced: replaced, at: time.Now()})
	d.noteGarbage(i, f, t)
	return nil
}

// Remove implements atomicfile.FileSystem.
func (v *view) Remove(name string) error {
	if err := v.begin(opOther, "remove", name); err != nil {
		return err
	}
	d := v.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	if !v.ours() {
		return errDead
	}
	d.age(nil)
	rel := d.rel(name)
	i := d.files[rel]
	if i == nil {
		return os.Remove(name)
	}
	d.bury(i)
	d.used -= i.size
	d.names = append(d.names, nameOp{dir: filepath.Dir(rel), ino: i, from: rel, at: time.Now()})
	d.noteGarbage(i, rel, "")
	return nil
}

// noteGarbage notifies of a deletion. mu is held.
func (d *disk) noteGarbage(i *inode, from, to string) {
	if to != "" && !strings.HasSuffix(to, ".garbage") || strings.HasSuffix(from, ".garbage") {
		return
	}
	dir, usage := filepath.Dir(from), i.size
	for name, other := range d.files {
		if filepath.Dir(name) == dir && strings.HasSuffix(name, ".mkv") {
			usage += other.size
		}
	}
	free := d.room - d.used - i.size
	if d.state.full || time.Since(d.wasFull) < 2*time.Minute {
		free = 0
	}
	d.watch.removed(i.id, from, usage, free)
}

// SyncDir implements atomicfile.FileSystem.
func (v *view) SyncDir(dir string) error {
	if err := v.begin(opSync, "sync", dir); err != nil {
		return err
	}
	d := v.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	if !v.ours() {
		return errDead
	}
	rel, left := d.rel(dir), d.names[:0]
	for _, op := range d.names {
		if op.dir == rel || rel == d.root && op.dir == "." {
			d.settle(op)
			continue
		}
		left = append(left, op)
	}
	clear(d.names[len(left):])
	d.names = left
	return nil
}

// file is an open file of a view.
type file struct {
	atomicfile.File
	view *view
	ino  *inode
	end  bool  // writes go to the end
	at   int64 // of the next write otherwise
}

// Write implements atomicfile.File.
func (f *file) Write(p []byte) (int, error) {
	off := f.at
	if f.end {
		f.view.disk.mu.Lock()
		off = f.ino.size
		f.view.disk.mu.Unlock()
	}
	n, err := f.write(p, off, f.File.Write)
	f.at = off + int64(n)
	return n, err
}

// WriteAt implements atomicfile.File.
func (f *file) WriteAt(p []byte, off int64) (int, error) {
	return f.write(p, off, func(p []byte) (int, error) { return f.File.WriteAt(p, off) })
}

func (f *file) write(p []byte, off int64, do func([]byte) (int, error)) (int, error) {
	if err := f.view.begin(opWrite, "write", f.path()); err != nil {
		return 0, err
	}
	d := f.view.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	if !f.view.ours() {
		return 0, errDead
	}
	d.age(f.ino)
	grow := max(0, off+int64(len(p))-f.ino.size)
	if d.used+grow > d.room {
		return 0, &fs.PathError{Op: "write", Path: f.ino.path, Err: syscall.ENOSPC}
	}
	op := fileOp{off: off, data: bytes.Clone(p), from: f.ino.size, to: f.ino.size + grow, at: time.Now()}
	if overlap := min(f.ino.size-off, int64(len(p))); overlap > 0 {
		op.before = f.before(off, overlap)
	}
	n, err := do(p)
	if err != nil {
		return n, err
	}
	if f.ino.data != nil {
		if grow > 0 {
			f.ino.data = append(f.ino.data, make([]byte, off+int64(len(p))-int64(len(f.ino.data)))...)
		}
		copy(f.ino.data[off:], p)
	}
	f.ino.info = nil
	op.units = unitsIn(append(f.before(max(0, off-markSize+1), min(off, markSize-1)), p...)) // one may have begun in the write before
	f.ino.size, d.used = f.ino.size+grow, d.used+grow
	f.ino.ops = append(f.ino.ops, op)
	if len(op.units) > 0 {
		d.watch.written(f.ino.id, op.units)
	}
	return n, nil
}

// before is what a file has in a place, also one that is open for writing alone. mu is held.
func (f *file) before(off, n int64) []byte {
	data := make([]byte, n)
	if off+n <= int64(len(f.ino.data)) {
		copy(data, f.ino.data[off:])
		return data
	}
	if _, err := f.File.ReadAt(data, off); err == nil || f.ino.path == "" {
		return data
	}
	if again, err := os.Open(f.view.disk.abs(f.ino.path)); err == nil {
		_, _ = again.ReadAt(data, off)
		_ = again.Close()
	}
	return data
}

// Truncate implements atomicfile.File.
func (f *file) Truncate(size int64) error {
	if err := f.view.begin(opOther, "truncate", f.path()); err != nil {
		return err
	}
	d := f.view.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	if !f.view.ours() {
		return errDead
	}
	op := fileOp{off: size, from: f.ino.size, to: size, truncates: true, at: time.Now()}
	if lost := f.ino.size - size; lost > 0 {
		op.before = f.before(size, lost)
	}
	if err := f.File.Truncate(size); err != nil {
		return err
	}
	d.used += size - f.ino.size
	f.ino.info = nil
	if f.ino.data != nil && size <= f.ino.size {
		f.ino.data = f.ino.data[:size]
	} else {
		f.ino.data = nil
	}
	f.ino.size = size
	f.ino.ops = append(f.ino.ops, op)
	return nil
}

// path is what the file is called now.
func (f *file) path() string {
	f.view.disk.mu.Lock()
	defer f.view.disk.mu.Unlock()
	return f.ino.path
}

// Sync implements atomicfile.File.
func (f *file) Sync() error {
	err := f.view.begin(opSync, "sync", f.path())
	d := f.view.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	if !f.view.ours() {
		return errDead
	}
	if err != nil {
		for k := range f.ino.ops {
			f.ino.ops[k].dropped = f.ino.ops[k].dropped || d.state.dropping
		}
		return err
	}
	// A copy promises nothing: its name is not durable, and of a torn file it has what is to be cut off. What it has to keep was promised.
	copied := strings.HasSuffix(f.ino.path, atomicfile.BesideSuffix)
	left := f.ino.ops[:0]
	for _, op := range f.ino.ops {
		if len(op.units) > 0 && !op.dropped && !copied {
			d.watch.synced(op.units)
		}
		if op.dropped || d.unsynced {
			left = append(left, op)
		}
	}
	clear(f.ino.ops[len(left):])
	f.ino.ops = left
	return nil
}

// ReadAt implements atomicfile.File.
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	d := f.view.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.state.failing > 0 && d.random.Int64N(1000) < d.state.failing {
		return 0, &fs.PathError{Op: "read", Path: f.ino.path, Err: syscall.EIO}
	}
	if f.ino.data == nil || off >= f.ino.size {
		return f.File.ReadAt(p, off)
	}
	n := copy(p, f.ino.data[off:f.ino.size])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
