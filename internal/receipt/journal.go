package receipt

import (
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
)

// The permissions of files and directories, as those of the state directory.
const (
	fileMode = 0o600
	dirMode  = 0o700
)

const (
	suffix = ".receipts"
	digits = 8 // of a file's number in its name
	// fewRecords is what a file must have before another is started for a receipt that does not fit into it: otherwise
	// numbers without any order would make a file each.
	fewRecords = 16
)

// journal has the files of one stream. Its owner calls it from one goroutine at a time.
type journal struct {
	files atomicfile.FileSystem
	dir   string

	known bool // list is read
	list  []file
	open  atomicfile.File // the last of list; nil before the first record of this process
	from  base            // of open
}

// file is one file of a stream.
type file struct {
	number int
	size   int64
	// first and last are the earliest and the latest producer timestamp, in Unix ms, of the records up to scanned.
	first, last int64
	scanned     int64
}

func (j *journal) path(number int) string {
	return filepath.Join(j.dir, fmt.Sprintf("%0*d%s", digits, number, suffix))
}

// load lists the files, oldest first.
func (j *journal) load() error {
	if j.known {
		return nil
	}
	entries, err := j.files.ReadDir(j.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	j.list = nil
	for _, e := range entries {
		stem, ok := strings.CutSuffix(e.Name(), suffix)
		number, err := strconv.Atoi(stem)
		if !ok || err != nil || number < 1 || len(stem) != digits {
			continue
		}
		info, err := e.Info()
		if err != nil {
			continue // deleted meanwhile
		}
		j.list = append(j.list, file{number: number, size: info.Size()})
	}
	slices.SortFunc(j.list, func(a, b file) int { return a.number - b.number })
	j.known = true
	return nil
}

// append adds receipts, and deletes the oldest files beyond limit bytes.
func (j *journal) append(list []Receipt, limit int64) error {
	if err := j.load(); err != nil {
		return err
	}
	var pending []byte
	for _, r := range list {
		number, ok := parseNumber(r.Number)
		if !ok {
			continue // without a receipt an audit compares time and length
		}
		if j.open == nil {
			j.resume()
		}
		var last *file
		if j.open != nil {
			last = &j.list[len(j.list)-1]
			if last.size+int64(len(pending))+recordSize <= maxFile {
				var fits bool
				if pending, fits = j.from.appendRecord(pending, r, number); fits {
					continue
				}
				if last.size+int64(len(pending)) < headSize+fewRecords*recordSize {
					continue
				}
			}
		}
		if err := j.write(pending); err != nil {
			return err
		}
		pending = pending[:0]
		if err := j.begin(r, number); err != nil {
			return err
		}
	}
	if err := j.write(pending); err != nil {
		return err
	}
	return j.trim(limit)
}

// write appends records to the open file.
func (j *journal) write(records []byte) error {
	if len(records) == 0 {
		return nil
	}
	last := &j.list[len(j.list)-1]
	n, err := j.open.WriteAt(records, last.size)
	if err != nil {
		// A part that was written is written over, or cut off at the next start.
		last.size += int64(n - n%recordSize)
		return err
	}
	last.size += int64(n)
	return nil
}

// resume continues the last file, behind its last whole record, if there is one that this version writes.
func (j *journal) resume() {
	if len(j.list) == 0 {
		return
	}
	last := &j.list[len(j.list)-1]
	f, err := j.files.OpenFile(j.path(last.number), os.O_RDWR, fileMode)
	if err != nil {
		return // another file is started
	}
	var head [headSize]byte
	if _, err := f.ReadAt(head[:], 0); err == nil {
		if from, ok := readHead(head[:]); ok {
			last.size -= (last.size - headSize) % recordSize
			if f.Truncate(last.size) == nil {
				j.open, j.from = f, from
				return
			}
		}
	}
	_ = f.Close() // it is not continued
}

// begin begins a file with a receipt.
func (j *journal) begin(r Receipt, number *big.Int) error {
	from := baseOf(r, number)
	data := appendHead(nil, from)
	data, ok := from.appendRecord(data, r, number)
	if !ok {
		return nil // its acknowledgement is years from its media
	}
	j.close()
	next := 1
	if n := len(j.list); n > 0 {
		next = j.list[n-1].number + 1
	}
	if err := j.files.MkdirAll(j.dir, dirMode); err != nil {
		return err
	}
	f, err := j.files.OpenFile(j.path(next), os.O_RDWR|os.O_CREATE|os.O_TRUNC, fileMode)
	if err != nil {
		return err
	}
	if _, err := f.WriteAt(data, 0); err != nil {
		return errors.Join(err, f.Close())
	}
	j.open, j.from = f, from
	j.list = append(j.list, file{number: next, size: int64(len(data))})
	return nil
}

// trim deletes the oldest files while all together are larger than limit; one is always kept.
func (j *journal) trim(limit int64) error {
	total := int64(0)
	for _, f := range j.list {
		total += f.size
	}
	for len(j.list) > 1 && total > limit {
		if err := j.files.Remove(j.path(j.list[0].number)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		total -= j.list[0].size
		j.list = j.list[1:]
	}
	return nil
}

// read calls each with the receipts of media from (inclusive) to (exclusive). Damaged records are left out.
func (j *journal) read(from, to time.Time, each func(Receipt)) error {
	if err := j.load(); err != nil {
		return err
	}
	first, end := from.UnixMilli(), to.UnixMilli()
	var failed error
	for i := range j.list {
		f := &j.list[i]
		if f.scanned == f.size && (f.last < first || f.first >= end) {
			continue
		}
		data, err := j.files.ReadFile(j.path(f.number))
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				failed = errors.Join(failed, err)
			}
			continue
		}
		f.first, f.last = Scan(data[:min(int64(len(data)), f.size)], func(r Receipt) {
			if at := r.Producer.UnixMilli(); at >= first && at < end {
				each(r)
			}
		})
		f.scanned = f.size
	}
	return failed
}

func (j *journal) close() {
	if j.open != nil {
		_ = j.open.Close() // nothing that was promised is lost
		j.open = nil
	}
}

// forget deletes all files.
func (j *journal) forget() error {
	j.close()
	if err := j.load(); err != nil {
		return err
	}
	for len(j.list) > 0 {
		if err := j.files.Remove(j.path(j.list[0].number)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		j.list = j.list[1:]
	}
	if err := j.files.Remove(j.dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
