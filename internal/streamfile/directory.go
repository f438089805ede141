package streamfile

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/supervise"
)

const (
	// extension is how the names of stream files end; other files in the directory are not read.
	extension = ".json"
	// allowedMode has all permissions that a file may have: it may contain a camera's password.
	allowedMode = 0o640
	// maxFiles is how many stream files are read at most: more than a hub can record.
	maxFiles = 1000
)

// contents is what one reading of a file found.
type contents struct {
	data     []byte
	modified time.Time
	mode     fs.FileMode
	problem  string // why it was not read; empty when it was
}

// sum changes whenever the content, the time, the mode or the problem of a file does.
func (s contents) sum() [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(s.data, "\x00%d %o %s", s.modified.UnixNano(), s.mode, s.problem))
}

// listing is what a directory held when it was read.
type listing struct {
	found  map[string]contents // the stream files that were read, by name
	unread map[string]bool     // the names of the stream files beyond maxFiles
	none   bool                // there is no file at all, not even another one: perhaps the directory is not mounted
	err    error               // why the directory was not read
	broken error               // reading it panicked
}

// errSlow means that the directory could not be read in time, for example as its server does not answer.
var errSlow = fmt.Errorf("no answer within %.0f s", readPatience.Seconds())

// begin reads a directory in a goroutine of its own, which ends when the file system answers. Nobody has to wait for a file
// system that hangs, not even the agent when it stops.
func begin(read func(dir string, first map[string]bool) listing, dir string, first map[string]bool) <-chan listing {
	answer := make(chan listing, 1)
	go func() {
		var l listing
		l.broken = supervise.Do("Reading the directory of stream files", func() error { l = read(dir, first); return nil })
		answer <- l
	}()
	return answer
}

// readDirectory reads the stream files of a directory, at most maxFiles: those in first before the others. It may block for as
// long as the file system does.
func readDirectory(dir string, first map[string]bool) listing {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return listing{err: err}
	}
	l := listing{found: make(map[string]contents), unread: make(map[string]bool), none: true}
	slices.SortStableFunc(entries, func(a, b fs.DirEntry) int { // so that files that are followed are read, however many there are
		return cmp.Compare(rankIn(first, a.Name()), rankIn(first, b.Name()))
	})
	for _, entry := range entries {
		if entry.IsDir() {
			continue
		}
		l.none = false
		name := entry.Name()
		switch {
		case !isStreamFile(name):
		case len(l.found) >= maxFiles:
			l.unread[name] = true
		default:
			if s := readOne(filepath.Join(dir, name)); s.problem != absent {
				l.found[name] = s
			}
		}
	}
	return l
}

// rankIn is 0 for a name of the set, and 1 for others.
func rankIn(set map[string]bool, name string) int {
	if set[name] {
		return 0
	}
	return 1
}

// isStreamFile reports whether a file of that name is read. Copies of editors and temporary files are not: their names begin
// with a dot or end otherwise.
func isStreamFile(name string) bool {
	return strings.HasSuffix(name, extension) && !strings.HasPrefix(name, ".")
}

// absent is the problem of a file that was removed while the directory was read, or whose link leads nowhere.
const absent = "absent"

// readOne reads a file. Only regular files are opened: opening a pipe wakes its writer, and opening a device may start
// anything, such as a watchdog.
func readOne(path string) (s contents) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return contents{problem: "must be a regular file", modified: info.ModTime(), mode: info.Mode().Perm()}
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return contents{problem: absent}
	case errors.Is(err, fs.ErrPermission):
		return contents{problem: "cannot be read: give it to the agent's group (chgrp kvs-edge-agent, chmod 0640)"}
	case err != nil:
		return contents{problem: "cannot be read (" + cause(err) + "): check the disk, and where a link leads"}
	}
	defer func() { _ = f.Close() }()
	info, err = f.Stat() // it may be another file by now
	if err != nil {
		return contents{problem: "cannot be read (" + cause(err) + "): check the disk"}
	}
	s = contents{modified: info.ModTime(), mode: info.Mode().Perm()}
	switch {
	case !info.Mode().IsRegular():
		s.problem = "must be a regular file"
	case s.mode&^allowedMode != 0:
		s.problem = fmt.Sprintf("has the mode %04o, and must have 0640 or less, as it may hold a password: `chmod 0640` it", s.mode)
	case info.Size() > maxFile:
		s.problem = fmt.Sprintf("has %d bytes; at most %d are allowed", info.Size(), maxFile)
	}
	if s.problem != "" {
		return s
	}
	if s.data, err = io.ReadAll(io.LimitReader(f, maxFile)); err != nil {
		s.problem = "cannot be read (" + cause(err) + "): check the disk"
	}
	return s
}

// cause says why an operation failed, without naming the path.
func cause(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}
