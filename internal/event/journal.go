package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
)

// File is the name of the journal in the state directory.
const File = "events.journal"

const (
	fileMode = 0o600
	dirMode  = 0o700
	// maxJournal bounds what is read: MaxKept events with some versions each are far smaller.
	maxJournal = 64 << 20
	// slack is how much of the file may be out of date, beside as much again as is valid, before it is written again.
	slack = 256 << 10
)

var table = crc32.MakeTable(crc32.Castagnoli)

// journal is a file to which each change of an event is appended as a line: its CRC-32C, a space, and the event as JSON. The last
// line of an event counts. A line whose checksum is wrong counts for nothing: the last one may be torn by a power cut.
type journal struct {
	files atomicfile.FileSystem
	path  string
	size  int64 // of the file, up to the last line that was synced
	valid int64 // of the lines that count
	whole bool  // the file is as size says; else the next write replaces it
}

// line is an event as the journal has it.
func line(e *Event) ([]byte, error) {
	body, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "%08x %s\n", crc32.Checksum(body, table), body), nil
}

// parse reads a line without its end.
func parse(text []byte) (*Event, bool) {
	sum, body, ok := bytes.Cut(text, []byte(" "))
	if !ok || string(sum) != fmt.Sprintf("%08x", crc32.Checksum(body, table)) {
		return nil, false
	}
	e := new(Event)
	if json.Unmarshal(body, e) != nil || !IsID(e.ID) || len(e.Streams) == 0 || !e.From.Before(e.To) {
		return nil, false
	}
	return e, true
}

// read returns the events of the file, the last version of each, in the order of their first ones, and how many lines could not be
// read in between: a torn last line does not count.
func (j *journal) read() (list []*Event, lost int, err error) {
	info, err := j.files.Stat(j.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxJournal {
		return nil, 0, fmt.Errorf("%s is not a journal of events", j.path)
	}
	data, err := j.files.ReadFile(j.path)
	if err != nil {
		return nil, 0, err
	}
	at := make(map[string]int)
	last := bytes.LastIndexByte(data, '\n') + 1
	j.whole = last == len(data)
	j.size = int64(len(data))
	for text := range bytes.SplitSeq(data[:last], []byte("\n")) {
		if len(text) == 0 {
			continue
		}
		e, ok := parse(text)
		if !ok {
			lost++
			continue
		}
		if i, known := at[e.ID]; known {
			list[i] = e
			continue
		}
		at[e.ID] = len(list)
		list = append(list, e)
	}
	j.measure(list)
	return list, lost, nil
}

// measure computes how much of a file is valid that has those events.
func (j *journal) measure(list []*Event) {
	j.valid = 0
	for _, e := range list {
		if text, err := line(e); err == nil {
			j.valid += int64(len(text))
		}
	}
}

// add makes a change of an event durable. list has all events, with the changed one. After an error the file has the events as
// they were before, or is replaced by the next call.
func (j *journal) add(e *Event, list func() []*Event) error {
	text, err := line(e)
	if err != nil {
		return err
	}
	if !j.whole || j.size == 0 || j.size > 2*j.valid+slack || j.missing() {
		return j.replace(list())
	}
	if err := j.append(text); err != nil {
		j.whole = false
		return err
	}
	j.size += int64(len(text))
	return nil
}

func (j *journal) append(text []byte) error {
	f, err := j.files.OpenFile(j.path, os.O_WRONLY, fileMode)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(text, j.size); err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// missing reports whether somebody removed or cut the file.
func (j *journal) missing() bool {
	info, err := j.files.Stat(j.path)
	return err != nil || info.Size() != j.size
}

// replace writes the file with these events only.
func (j *journal) replace(list []*Event) error {
	var all []byte
	for _, e := range list {
		text, err := line(e)
		if err != nil {
			return err
		}
		all = append(all, text...)
	}
	j.whole = false
	err := j.files.MkdirAll(filepath.Dir(j.path), dirMode)
	if err == nil {
		err = atomicfile.Replace(j.files, j.path, all, fileMode)
	}
	if err != nil {
		return err
	}
	j.size, j.valid, j.whole = int64(len(all)), int64(len(all)), true
	return nil
}
