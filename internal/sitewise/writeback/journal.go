package writeback

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/crcline"
)

// File is the name of the journal in the state directory.
const File = "sitewise-rows.journal"

const (
	fileMode = 0o600
	// rewriteAt is from which size on the journal is written again without what was superseded, and rewriteFactor how many times as
	// large as that it is then.
	rewriteAt     = 256 << 10
	rewriteFactor = 3
	// maxJournal bounds what is read.
	maxJournal = 256 << 20
)

// record is a line of the journal, behind its checksum.
type record struct {
	Asset    string `json:"a"`
	Property string `json:"p"`
	Start    int64  `json:"s"`
	Sent     *int64 `json:"v,omitempty"` // Unix ms; without it the point was perhaps sent
	Gone     bool   `json:"x,omitempty"` // it is forgotten
}

// journal is the file with the points that SiteWise has or may have. It is synced before a point is sent for the first time, so that no
// point is ever forgotten that SiteWise has.
type journal struct {
	files atomicfile.FileSystem
	path  string

	size  int64 // of whole lines
	least int64 // what the last rewriting left
	wrong bool  // it has to be written as a whole: an append failed, or left a torn line
}

// open reads the journal into series. What is torn or damaged is left out.
func (j *journal) open(all map[id]*series) error {
	j.wrong = true
	info, err := j.files.Stat(j.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Size() > maxJournal {
		return fmt.Errorf("%s is larger than the agent writes it", j.path)
	}
	data, err := j.files.ReadFile(j.path)
	if err != nil {
		return err
	}
	Scan(data, func(asset, property string, start int64, sent *int64, gone bool) {
		s := all[id{asset, property}]
		if s == nil {
			s = &series{id: id{asset, property}}
			all[s.id] = s
		}
		switch {
		case gone:
			s.forget(start)
		case sent != nil:
			s.restore(start, *sent)
		default:
			s.restore(start, unsent)
		}
	})
	return nil
}

// Scan calls each with the points of a journal, in the order of its lines: the start in Unix s, and the end that SiteWise accepted last
// in Unix ms, nil where it is not known to have accepted any. Damaged lines are left out.
func Scan(data []byte, each func(asset, property string, start int64, sent *int64, gone bool)) {
	for line := range bytes.Lines(data) {
		text, whole := bytes.CutSuffix(line, []byte("\n"))
		body, sound := crcline.Body(text)
		if !whole || !sound {
			continue
		}
		var r record
		if json.Unmarshal(body, &r) != nil || r.Asset == "" || r.Property == "" || !plausible(r.Start) ||
			r.Sent != nil && !plausible(*r.Sent/1000) {
			continue
		}
		each(r.Asset, r.Property, r.Start, r.Sent, r.Gone)
	}
}

// plausible reports whether a time can be one of a value.
func plausible(seconds int64) bool { return seconds >= 0 && seconds <= 1e10 }

// appendLine adds the line of a point.
func appendLine(to []byte, s id, start, sent int64, gone bool) []byte {
	r := record{Asset: s.asset, Property: s.property, Start: start, Gone: gone}
	if sent != unsent && !gone {
		r.Sent = &sent
	}
	text, _ := json.Marshal(r) // texts and numbers
	return crcline.Append(to, text)
}

// note writes what has changed of the points, and syncs it.
func (j *journal) note(all map[id]*series, gone []byte) error {
	lines := gone
	for _, key := range sorted(all) {
		s := all[key]
		for _, p := range s.points {
			if p.dirty {
				lines = appendLine(lines, key, p.Start, p.sent, false)
			}
		}
	}
	if j.wrong || j.size+int64(len(lines)) > max(rewriteAt, rewriteFactor*j.least) {
		return j.rewrite(all)
	}
	if len(lines) == 0 {
		return nil
	}
	if err := j.append(lines); err != nil {
		j.wrong = true
		return err
	}
	clean(all)
	return nil
}

func (j *journal) append(lines []byte) error {
	f, err := j.files.OpenFile(j.path, os.O_WRONLY, fileMode)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(lines, j.size)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		j.size += int64(len(lines))
	}
	return err
}

// rewrite writes the whole journal.
func (j *journal) rewrite(all map[id]*series) error {
	var lines []byte
	for _, key := range sorted(all) {
		for _, p := range all[key].points {
			if p.tried {
				lines = appendLine(lines, key, p.Start, p.sent, false)
			}
		}
	}
	if len(lines) == 0 && j.size == 0 {
		if _, err := j.files.Stat(j.path); errors.Is(err, fs.ErrNotExist) {
			return nil // there is no need for it yet
		}
	}
	if err := j.files.MkdirAll(filepath.Dir(j.path), 0o700); err != nil {
		return err
	}
	if err := atomicfile.Replace(j.files, j.path, lines, fileMode); err != nil {
		j.wrong = true
		return err
	}
	j.size, j.least, j.wrong = int64(len(lines)), int64(len(lines)), false
	clean(all)
	return nil
}

func clean(all map[id]*series) {
	for _, s := range all {
		for i := range s.points {
			s.points[i].dirty = false
		}
	}
}

func sorted(all map[id]*series) []id {
	return slices.SortedFunc(maps.Keys(all), func(a, b id) int {
		return cmp.Or(cmp.Compare(a.asset, b.asset), cmp.Compare(a.property, b.property))
	})
}
