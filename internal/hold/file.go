package hold

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
)

// fileMode is that of the store's other files.
const fileMode = 0o640

// maxFile bounds the file, in bytes: Most holds with their ends are smaller.
const maxFile = 8 << 20

// slack is how many records may be in the file beside those of its holds, until it is written again without them.
const slack = 64

// File is the file of a stream's holds, and what it says. A record is durable when the method that wrote it returns nil. Its owner
// calls Load, Add, Remove and Keep one at a time, and guards the list: only Load and the commits that these return change it.
type File struct {
	files   atomicfile.FileSystem
	path    string
	live    []Hold
	lines   int
	unknown bool  // the file may have something else than live: it is to be written again before the next record
	broken  error // why it cannot be read; nil when it can
}

// NewFile returns the file with that path, without holds, and reads nothing.
func NewFile(files atomicfile.FileSystem, path string) *File { return &File{files: files, path: path} }

// Load reads the file, and changes nothing. When the file cannot be read, Broken says why, and the holds are those that could be read.
func (f *File) Load() {
	f.live, f.lines, f.unknown, f.broken = nil, 0, false, nil
	data, err := f.files.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		f.broken = f.dangling(err)
		return
	}
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("it has more than %d bytes", maxFile)
	}
	if err != nil {
		f.broken = err
		return
	}
	c, err := parse(data)
	f.live, f.lines, f.unknown, f.broken = c.live, c.lines, c.torn, err
}

// dangling returns why there is no file, although its directory has the name: a symbolic link that leads nowhere, as where the disk with
// the file is not there. nil: there is no file, and never mind the directory.
func (f *File) dangling(missing error) error {
	list, err := f.files.ReadDir(filepath.Dir(f.path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err // nobody knows
	}
	if slices.ContainsFunc(list, func(e fs.DirEntry) bool { return e.Name() == filepath.Base(f.path) }) {
		return fmt.Errorf("it is a symbolic link that leads nowhere: %w", missing)
	}
	return nil
}

// Path returns where the file is.
func (f *File) Path() string { return f.path }

// Broken returns why the file cannot be read; nil when it can. Then all recordings of its stream are held.
func (f *File) Broken() error { return f.broken }

// List returns the holds, in the order in which they were added.
func (f *File) List() []Hold { return slices.Clone(f.live) }

// Len returns the number of holds.
func (f *File) Len() int { return len(f.live) }

// Needed reports whether the file has something to say: holds, or something that cannot be read.
func (f *File) Needed() bool { return len(f.live) > 0 || f.broken != nil }

// Find returns the hold with that ID.
func (f *File) Find(id string) (Hold, bool) {
	i := slices.IndexFunc(f.live, func(h Hold) bool { return h.ID == id })
	if i < 0 {
		return Hold{}, false
	}
	return f.live[i], true
}

// Add adds a hold, durably, in place of one with the same ID. It is in the list once commit was called; after an error it is not, though
// the disk may have it.
func (f *File) Add(h Hold) (commit func(), err error) {
	after := append(slices.DeleteFunc(f.List(), func(other Hold) bool { return other.ID == h.ID }), h)
	if err := f.write(record{Add: &h}, after); err != nil {
		return nil, err
	}
	return func() { f.live = after }, nil
}

// Remove ends a hold, durably. It is in the list until commit was called, and after an error.
func (f *File) Remove(id, by string, at time.Time) (commit func(), err error) {
	left := slices.DeleteFunc(f.List(), func(h Hold) bool { return h.ID == id })
	if err := f.write(record{Remove: &removal{ID: id, By: by, At: whole(at)}}, left); err != nil {
		return nil, err
	}
	return func() { f.live = left }, nil
}

// write appends a record, after which the holds are those. It writes the file again without the holds that ended where they are many,
// and where it is not known what the file has.
func (f *File) write(r record, after []Hold) error {
	if f.broken != nil {
		return fmt.Errorf("the file of holds cannot be read: %w", f.broken)
	}
	if f.unknown || f.lines >= len(after)+slack {
		return f.rewrite(after)
	}
	line, err := r.line()
	if err != nil {
		return err
	}
	switch err := f.append(line); {
	case errors.Is(err, fs.ErrNotExist) && f.lines > 0: // somebody removed it
		return f.rewrite(after)
	case err != nil:
		f.unknown = true
		_ = f.rewrite(f.live) // so that a record that nobody counts on does not come back after a restart
		return err
	}
	f.lines++
	return nil
}

// append writes a line to the end of the file, durably.
func (f *File) append(line []byte) error {
	flags := os.O_APPEND | os.O_WRONLY
	if f.lines == 0 { // otherwise it has holds: without it a new one would lack them
		flags |= os.O_CREATE
	}
	out, err := f.files.OpenFile(f.path, flags, fileMode)
	if err != nil {
		return err
	}
	if _, err = out.Write(line); err == nil {
		err = out.Sync()
	}
	err = errors.Join(err, out.Close())
	if err == nil && f.lines == 0 {
		err = f.files.SyncDir(filepath.Dir(f.path))
	}
	return err
}

// rewrite writes the file again with those holds only, in one step.
func (f *File) rewrite(live []Hold) error {
	data, err := encode(live)
	if err == nil {
		err = atomicfile.Replace(f.files, f.path, data, fileMode)
	}
	f.unknown = err != nil
	if err == nil {
		f.lines = len(live)
	}
	return err
}

// Keep writes the file again when somebody removed it, or when it is not known what it has. It reads again a file that could not be
// read: commit is not nil when that succeeds, and makes the list that of the file.
func (f *File) Keep() (commit func(), err error) {
	if f.broken != nil {
		again := *f
		again.Load()
		if again.broken != nil {
			return nil, nil
		}
		return func() { *f = again }, nil
	}
	if len(f.live) > 0 {
		if _, err := f.files.Stat(f.path); errors.Is(err, fs.ErrNotExist) {
			f.unknown = true
		}
	}
	if f.unknown {
		return nil, f.rewrite(f.live)
	}
	return nil, nil
}
