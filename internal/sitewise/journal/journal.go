// Package journal owns the files that note what the SiteWise parts must know after a restart: a line for each fact, behind its checksum,
// appended and synced, and the whole written again once most of it is out of date. It must not know what the lines say.
package journal

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/crcline"
)

// RewriteAt is from which size on, in bytes, a journal is written again.
const RewriteAt = 256 << 10

const (
	fileMode = 0o600
	dirMode  = 0o700
	// rewriteFactor is how many times as large a journal becomes as the last rewriting left it.
	rewriteFactor = 2
	// maxSize bounds what is read.
	maxSize = 256 << 20
)

// Journal is one of these files. Not safe for concurrent use.
type Journal struct {
	files atomicfile.FileSystem
	path  string
	size  int64 // of its whole lines
	least int64 // what the last rewriting left
	wrong bool  // it is to be written as a whole: it was not read, ends with a torn line, or an append failed
}

// New is the journal at a path, which is a new one unless Read reads it.
func New(files atomicfile.FileSystem, path string) *Journal {
	return &Journal{files: files, path: path, wrong: true}
}

// Path is where it is.
func (j *Journal) Path() string { return j.path }

// Size is that of its lines, in bytes.
func (j *Journal) Size() int64 { return j.size }

// Read calls each with the body of each complete line with the right sum. A file that does not exist has none.
func (j *Journal) Read(each func(body []byte)) error {
	info, err := j.files.Stat(j.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Size() > maxSize {
		return fmt.Errorf("%s is larger than the agent writes it", j.path)
	}
	data, err := j.files.ReadFile(j.path)
	if err != nil {
		return err
	}
	Lines(data, each)
	j.size, j.wrong = int64(len(data)), len(data) > 0 && data[len(data)-1] != '\n'
	return nil
}

// Lines calls each with the body of each complete line of a journal with the right sum.
func Lines(data []byte, each func(body []byte)) {
	for line := range bytes.Lines(data) {
		text, whole := bytes.CutSuffix(line, []byte("\n"))
		if body, sound := crcline.Body(text); whole && sound {
			each(body)
		}
	}
}

// Note makes lines of crcline.Append durable: it appends them, or writes what whole returns instead, which has what they say, too. After an
// error the file says what it said before, or is written as a whole by the next call.
func (j *Journal) Note(lines []byte, whole func() []byte) error {
	if j.wrong || j.size+int64(len(lines)) > max(RewriteAt, rewriteFactor*j.least) || len(lines) > 0 && j.changed() {
		return j.replace(whole())
	}
	if len(lines) == 0 {
		return nil
	}
	if err := atomicfile.Append(j.files, j.path, lines, j.size); err != nil {
		j.wrong = true
		return err
	}
	j.size += int64(len(lines))
	return nil
}

// changed reports whether somebody removed or cut the file.
func (j *Journal) changed() bool {
	info, err := j.files.Stat(j.path)
	return err != nil || info.Size() != j.size
}

// replace writes the file with these lines only; one that does not exist is not needed for none.
func (j *Journal) replace(lines []byte) error {
	if len(lines) == 0 && j.size == 0 {
		if _, err := j.files.Stat(j.path); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	j.wrong = true
	if err := j.files.MkdirAll(filepath.Dir(j.path), dirMode); err != nil {
		return err
	}
	if err := atomicfile.Replace(j.files, j.path, lines, fileMode); err != nil {
		return err
	}
	j.size, j.least, j.wrong = int64(len(lines)), int64(len(lines)), false
	return nil
}
