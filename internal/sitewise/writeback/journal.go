package writeback

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"

	"github.com/kvs-edge/kvs-edge-agent/internal/crcline"
	"github.com/kvs-edge/kvs-edge-agent/internal/sitewise/journal"
)

// File is the name of the journal in the state directory.
const File = "sitewise-rows.journal"

// record is a line of the journal, behind its checksum.
type record struct {
	Asset    string `json:"a"`
	Property string `json:"p"`
	Start    int64  `json:"s"`
	Sent     *int64 `json:"v,omitempty"` // Unix ms; without it the point was perhaps sent
	Gone     bool   `json:"x,omitempty"` // it is forgotten
}

// restore reads the journal into what is known of the points.
func (w *Writer) restore() error {
	return w.journal.Read(func(body []byte) {
		of(body, func(asset, property string, start int64, sent *int64, gone bool) {
			s := w.all[id{asset, property}]
			if s == nil {
				s = &series{id: id{asset, property}}
				w.all[s.id] = s
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
	})
}

// Scan calls each with the points of a journal, in the order of its lines: the start in Unix s, and the end that SiteWise accepted last
// in Unix ms, nil where it is not known to have accepted any. Damaged lines are left out.
func Scan(data []byte, each func(asset, property string, start int64, sent *int64, gone bool)) {
	journal.Lines(data, func(body []byte) { of(body, each) })
}

// of calls each with the point of a line, unless it is none.
func of(body []byte, each func(asset, property string, start int64, sent *int64, gone bool)) {
	var r record
	if json.Unmarshal(body, &r) != nil || r.Asset == "" || r.Property == "" || !plausible(r.Start) ||
		r.Sent != nil && !plausible(*r.Sent/1000) {
		return
	}
	each(r.Asset, r.Property, r.Start, r.Sent, r.Gone)
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

// save makes what has changed of the points durable, and that those of gone are forgotten. It comes before a point is sent for the first
// time, so that no point is ever forgotten that SiteWise has.
func (w *Writer) save() error {
	lines := w.gone
	w.gone = nil // after an error the journal is written as a whole
	for _, key := range sorted(w.all) {
		for _, p := range w.all[key].points {
			if p.dirty {
				lines = appendLine(lines, key, p.Start, p.sent, false)
			}
		}
	}
	err := w.journal.Note(lines, w.whole)
	if err == nil {
		clean(w.all)
	}
	return err
}

// whole returns the lines of all points.
func (w *Writer) whole() (lines []byte) {
	for _, key := range sorted(w.all) {
		for _, p := range w.all[key].points {
			if p.tried {
				lines = appendLine(lines, key, p.Start, p.sent, false)
			}
		}
	}
	return lines
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
