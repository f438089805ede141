package event

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/crcline"
)

// File is the name of the journal in the state directory.
const File = "events.journal"

const (
	fileMode = 0o600
	dirMode  = 0o700
	// maxLine bounds a line. That of an event with 16 streams, whose names have 256 bytes each, has about 12 KB.
	maxLine = 64 << 10
	// slack is how much of the file may be out of date, beside as much again as is valid, before it is written again.
	slack = 256 << 10
)

// journal is a file to which each change of an event is appended as a line: the event as JSON, behind its checksum. The last
// line of an event counts, unless a later line is of one that took its place. A line whose checksum is wrong counts for nothing:
// the last one may be torn by a power cut.
type journal struct {
	files atomicfile.FileSystem
	path  string
	size  int64 // of the file, up to the last line that was synced
	valid int64 // of the lines that count
	whole bool  // the file is as size says; else the next write replaces it
	// again is the size from which on the file is written again without what is out of date; 0: as slack says.
	again int64
}

// record is a line of the journal.
type record struct {
	Event
	// InsteadOf is the id of an event that is no longer kept, to make room for this one.
	InsteadOf string `json:"insteadOf,omitempty"`
}

// line is an event as the journal has it.
func line(e *Event, insteadOf string) ([]byte, error) {
	body, err := json.Marshal(record{*e, insteadOf})
	if err != nil {
		return nil, err
	}
	return crcline.Append(nil, body), nil
}

// parse reads a line without its end.
func parse(text []byte) (*record, bool) {
	body, ok := crcline.Body(text)
	if !ok {
		return nil, false
	}
	r := new(record)
	if json.Unmarshal(body, r) != nil || !IsID(r.ID) || len(r.Streams) == 0 || !r.From.Before(r.To) {
		return nil, false
	}
	return r, true
}

// read returns the events of the file, the last version of each, in the order of their first ones, and how many lines could not be
// read in between: a torn last line does not count. After an error it returns what it could read. It has one line in memory at a time.
func (j *journal) read(known names) (list []*Event, lost int, err error) {
	info, err := j.files.Stat(j.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%s is not a journal of events", j.path)
	}
	f, err := j.files.OpenFile(j.path, os.O_RDONLY, 0)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = f.Close() }() // was only read
	kept := versions{events: make(map[string]version)}
	j.size = info.Size()
	j.whole, err = lines(io.NewSectionReader(f, 0, j.size), func(text []byte) {
		r, ok := parse(text)
		if !ok {
			lost++
			return
		}
		known.intern(&r.Event)
		kept.add(r)
	})
	list = kept.list()
	j.measure(list)
	return list, lost, err
}

// lines calls each with the lines of a file, without their ends and the empty ones; one that is too long is passed as nil. whole
// is false when the last one has no end, which is left out.
func lines(file io.Reader, each func([]byte)) (whole bool, err error) {
	in := bufio.NewReaderSize(file, maxLine)
	for long := false; ; {
		text, err := in.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			long = true
		case errors.Is(err, io.EOF):
			return len(text) == 0 && !long, nil
		case err != nil:
			return false, err
		case long:
			each(nil)
			long = false
		case len(text) > 1:
			each(text[:len(text)-1])
		}
	}
}

// versions are the last versions of the events of a journal that is being read.
type versions struct {
	events map[string]version // by id
	lines  int
}

type version struct {
	*Event
	first int // its first line
}

// add takes the next line.
func (v *versions) add(r *record) {
	delete(v.events, r.InsteadOf)
	first := v.lines
	v.lines++
	if before, known := v.events[r.ID]; known {
		first = before.first
	}
	v.events[r.ID] = version{&r.Event, first}
}

// list returns them in the order of their first lines.
func (v *versions) list() (list []*Event) {
	all := slices.SortedFunc(maps.Values(v.events), func(a, b version) int { return cmp.Compare(a.first, b.first) })
	for _, x := range all {
		list = append(list, x.Event)
	}
	return list
}

// measure computes how much of a file is valid that has those events.
func (j *journal) measure(list []*Event) {
	j.valid = 0
	for _, e := range list {
		j.valid += measured(e)
	}
}

// add makes a change of an event durable. list has all events, with the changed one. After an error the file has the events as
// they were before, or is replaced by the next call.
func (j *journal) add(e *Event, insteadOf string, list func() []*Event) error {
	text, err := line(e, insteadOf)
	if err != nil {
		return err
	}
	if !j.whole || j.size == 0 || j.missing() {
		return j.replace(list())
	}
	if j.size > max(j.again, 2*j.valid+slack) {
		if err = j.replace(list()); err == nil || j.missing() {
			return err
		}
		// Where there is no room for another file there may be some for a line.
		j.whole, j.again = true, j.size+slack
	}
	if err := atomicfile.Append(j.files, j.path, text, j.size); err != nil {
		j.whole = false
		return err
	}
	j.size += int64(len(text))
	return nil
}

// missing reports whether somebody removed or cut the file.
func (j *journal) missing() bool {
	info, err := j.files.Stat(j.path)
	return err != nil || info.Size() != j.size
}

// replace writes the file with these events only.
func (j *journal) replace(list []*Event) error {
	all := &journalText{list: list}
	j.whole = false
	err := j.files.MkdirAll(filepath.Dir(j.path), dirMode)
	if err == nil {
		err = atomicfile.Swap(j.files, j.path, all, fileMode)
	}
	if err == nil {
		err = j.files.SyncDir(filepath.Dir(j.path))
	}
	if err != nil {
		return err
	}
	j.size, j.valid, j.whole, j.again = all.size, all.size, true, 0
	return nil
}

// journalText is the text of a journal, of which it has one line in memory at a time.
type journalText struct {
	list []*Event
	next []byte
	size int64 // that was read
}

// Read implements io.Reader.
func (t *journalText) Read(p []byte) (n int, err error) {
	if len(t.next) == 0 {
		if len(t.list) == 0 {
			return 0, io.EOF
		}
		if t.next, err = line(t.list[0], ""); err != nil {
			return 0, err
		}
		t.list = t.list[1:]
	}
	n = copy(p, t.next)
	t.next = t.next[n:]
	t.size += int64(n)
	return n, nil
}

// measured is the length of an event's line.
func measured(e *Event) int64 {
	text, err := line(e, "")
	if err != nil {
		return 0
	}
	return int64(len(text))
}

// names are the names of streams, each of them once: many events have the same.
type names map[string]string

// intern has an event use them.
func (n names) intern(e *Event) {
	of := func(name string) string {
		if known, ok := n[name]; ok {
			return known
		}
		n[name] = name
		return name
	}
	for i, name := range e.Streams {
		e.Streams[i] = of(name)
	}
	if e.Done != nil {
		done := make(map[string]Progress, len(e.Done))
		for name, p := range e.Done {
			done[of(name)] = p
		}
		e.Done = done
	}
}
