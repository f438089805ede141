package streamfile

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	// extension is that of stream files; whatever else lies in the directory is not read.
	extension = ".json"
	// allowedMode is the most that a file may allow: it may hold a camera's password.
	allowedMode = 0o640
	// maxFiles bounds how many are read: more than a hub can record.
	maxFiles = 1000
)

// sight is a file as it was found at one time.
type sight struct {
	data     []byte
	modified time.Time
	mode     fs.FileMode
	problem  string // why it was not read; empty when it was
}

// sum tells whether a file is as it was.
func (s sight) sum() [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(s.data, "\x00%d %o %s", s.modified.UnixNano(), s.mode, s.problem))
}

// readDirectory reads all stream files of a directory, by name. others is how many it has beyond what is read. A directory
// without any file is told by none: it is one that is not mounted, perhaps.
func readDirectory(dir string) (found map[string]sight, others int, none bool, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, 0, false, err
	}
	found, none = make(map[string]sight), true
	for _, entry := range entries {
		if entry.IsDir() {
			continue
		}
		none = false
		name := entry.Name()
		switch {
		case !isStreamFile(name):
		case len(found) >= maxFiles:
			others++
		default:
			if s := look(filepath.Join(dir, name)); s.problem != absent {
				found[name] = s
			}
		}
	}
	return found, others, none, nil
}

// isStreamFile reports whether a file of that name is read: editors' copies and files that are being written are not.
func isStreamFile(name string) bool {
	return strings.HasSuffix(name, extension) && !strings.HasPrefix(name, ".")
}

// absent is the problem of a file that went while the directory was read, or whose link leads nowhere.
const absent = "absent"

// look reads a file. A pipe in its place does not hold it up.
func look(path string) (s sight) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return sight{problem: absent}
	case errors.Is(err, fs.ErrPermission):
		return sight{problem: "cannot be read: give it to the agent's group (chgrp kvs-edge-agent, chmod 0640)"}
	case err != nil:
		return sight{problem: "cannot be read (" + cause(err) + "): check the disk and what the name stands for"}
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return sight{problem: "cannot be read (" + cause(err) + "): check the disk"}
	}
	s = sight{modified: info.ModTime(), mode: info.Mode().Perm()}
	switch {
	case !info.Mode().IsRegular():
		s.problem = "must be a file"
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

// cause is why an operation failed, without the path.
func cause(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}
