// Package statefile keeps small JSON documents in the agent's state directory, one a file: written beside and
// renamed, readable by the agent's user only, each with a checksum, so that what a power cut or a dying disk left
// is recognised and set aside rather than believed.
package statefile

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
)

// Dir is a state directory.
type Dir struct {
	path  string
	files atomicfile.FileSystem
}

// Modes of the state directory and its files. A directory that exists keeps its own: recordings may
// lie below, which its group reads.
const (
	dirMode  = 0o700
	fileMode = 0o600
	// othersWrite is the right that makes a directory unfit: who has it could put a configuration there.
	othersWrite = 0o002
)

// systemDirs belong to the system or to all users, also where their modes would do.
var systemDirs = []string{
	"/", "/bin", "/boot", "/dev", "/dev/shm", "/etc", "/home", "/lib", "/media", "/mnt", "/opt", "/proc", "/root", "/run", "/sbin",
	"/srv", "/sys", "/tmp", "/usr", "/usr/local", "/var", "/var/cache", "/var/lib", "/var/log", "/var/spool", "/var/tmp",
}

// maxStateFile bounds what is read: far above 1,000 streams.
const maxStateFile = 16 << 20

// CorruptSuffix is added to the name of a file that is set aside. One is kept.
const CorruptSuffix = ".corrupt"

// checked is the outer document of each file.
type checked struct {
	SHA256 string          `json:"SHA256"`
	State  json.RawMessage `json:"State"`
}

// Open makes the directory when it is missing. One that exists is never changed.
func Open(path string, files atomicfile.FileSystem) (Dir, error) {
	if path == "" {
		return Dir{}, errors.New("the state directory is not set")
	}
	if err := Check(path); err != nil {
		return Dir{}, err
	}
	if _, err := os.Stat(path); err != nil {
		if err := files.MkdirAll(path, dirMode); err != nil {
			return Dir{}, fmt.Errorf("cannot make the state directory: %w", err)
		}
	}
	return Dir{path: path, files: files}, nil
}

// At returns the directory at a path as it is: what is missing is not made.
func At(path string, files atomicfile.FileSystem) Dir { return Dir{path: path, files: files} }

// Path of the directory.
func (d Dir) Path() string { return d.path }

// Check says why a directory cannot be the agent's state directory: it is shared with others. One that
// does not exist can. It changes nothing.
func Check(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("cannot use the state directory: %w", err)
	case !info.IsDir():
		return fmt.Errorf("the state directory %s is a file: name another one", path)
	}
	for _, dir := range systemDirs {
		if other, err := os.Stat(dir); err == nil && os.SameFile(info, other) {
			return fmt.Errorf("the state directory %s belongs to the system: name one of the agent's own, such as %s", path,
				filepath.Join(path, "kvs-edge-agent"))
		}
	}
	if mode := info.Mode(); mode.Perm()&othersWrite != 0 {
		return fmt.Errorf("everybody may write to the state directory %s (mode %04o), and so make the hub record what they like: chmod o-w %s "+
			"if it is the agent's own, or name another one",
			path, unixMode(mode), path)
	}
	return nil
}

// unixMode returns a mode as chmod takes it.
func unixMode(mode fs.FileMode) uint32 {
	bits := uint32(mode.Perm())
	if mode&fs.ModeSticky != 0 {
		bits |= 0o1000
	}
	return bits
}

// ErrCorrupt means that a file was there and has been set aside.
var ErrCorrupt = errors.New("the file is damaged")

// Read fills state from a file. It returns fs.ErrNotExist when there is none, and ErrCorrupt
// after setting a damaged one aside.
func (d Dir) Read(name string, state any) error {
	err := d.ReadOnly(name, state)
	if !errors.Is(err, ErrCorrupt) {
		return err
	}
	path := filepath.Join(d.path, name)
	if err := d.files.Rename(path, path+CorruptSuffix); err != nil {
		return fmt.Errorf("%w and cannot be set aside: %w", ErrCorrupt, err)
	}
	return ErrCorrupt
}

// ReadOnly is Read without setting a damaged file aside.
func (d Dir) ReadOnly(name string, state any) error {
	path := filepath.Join(d.path, name)
	info, err := d.files.Stat(path)
	if err != nil {
		return err
	}
	var data []byte
	if info.Mode().IsRegular() && info.Size() <= maxStateFile {
		if data, err = d.files.ReadFile(path); err != nil {
			return err
		}
	}
	var outer checked
	if json.Unmarshal(data, &outer) == nil && checksum(outer.State) == outer.SHA256 && json.Unmarshal(outer.State, state) == nil {
		return nil
	}
	return ErrCorrupt
}

// Missing reports whether a file that was written is not there any more: somebody removed it, or the directory.
func (d Dir) Missing(name string) bool {
	info, err := d.files.Stat(filepath.Join(d.path, name))
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || err == nil && !info.Mode().IsRegular()
}

// Advice says what to do when a file cannot be written.
func (d Dir) Advice(name string, err error) string {
	path := filepath.Join(d.path, name)
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "free some space on the disk of " + d.path
	case errors.Is(err, syscall.EIO):
		return "replace the disk of " + d.path
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return "raise the limit of open files (LimitNOFILE)"
	case errors.Is(err, syscall.ENOTDIR), d.blocked(d.path, true):
		return fmt.Sprintf("something that is not a directory is in the place of %s, move it away", d.path)
	case d.blocked(path, false):
		return fmt.Sprintf("something that is not a file is in the place of %s, move it away", path)
	case d.blocked(path+".new", false):
		return fmt.Sprintf("something that is not a file is in the place of %s.new, move it away", path)
	}
	return fmt.Sprintf("make %s writable", d.path)
}

// blocked reports whether something of another kind is in a place.
func (d Dir) blocked(path string, dir bool) bool {
	info, err := d.files.Stat(path)
	return err == nil && (dir && !info.IsDir() || !dir && !info.Mode().IsRegular())
}

// Write replaces a file in one step, and makes the directory when that was removed.
func (d Dir) Write(name string, state any) error {
	inner, err := json.Marshal(state)
	if err != nil {
		return err
	}
	data, err := json.Marshal(checked{SHA256: checksum(inner), State: inner})
	if err != nil {
		return err
	}
	path := filepath.Join(d.path, name)
	if old, err := d.files.ReadFile(path); err == nil && bytes.Equal(old, data) {
		return nil // spare the flash
	}
	if err := d.files.MkdirAll(d.path, dirMode); err != nil {
		return err
	}
	return atomicfile.Replace(d.files, path, data, fileMode)
}

// Begin replaces a file of lines by its first ones. Unlike Write it is not synced: the lines outlive the process, but perhaps not
// a power cut.
func (d Dir) Begin(name string, lines []byte) error { return d.put(name, os.O_TRUNC, lines) }

// Append adds lines to a file of lines, as Begin does.
func (d Dir) Append(name string, lines []byte) error { return d.put(name, os.O_APPEND, lines) }

func (d Dir) put(name string, how int, lines []byte) error {
	f, err := d.files.OpenFile(filepath.Join(d.path, name), os.O_WRONLY|os.O_CREATE|how, fileMode)
	if err != nil {
		return err
	}
	_, err = f.Write(lines)
	return errors.Join(err, f.Close())
}

// Lines reads a file of lines; without one there are none. Any of them may be torn.
func (d Dir) Lines(name string) ([]byte, error) {
	path := filepath.Join(d.path, name)
	info, err := d.files.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular() || info.Size() > maxStateFile:
		return nil, ErrCorrupt
	}
	return d.files.ReadFile(path)
}

// Sweep removes what an interrupted write left.
func (d Dir) Sweep() error {
	leftovers, err := filepath.Glob(filepath.Join(d.path, "*.json.new*"))
	if err != nil {
		return err
	}
	for _, path := range leftovers {
		if rmErr := d.files.Remove(path); rmErr != nil && !errors.Is(rmErr, fs.ErrNotExist) {
			err = errors.Join(err, rmErr)
		}
	}
	return err
}

func checksum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
