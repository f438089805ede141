package tally

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
)

const (
	// journalFile has what was counted since the file was saved: a line each second at most, which a kill leaves. Its first line
	// names the content of the file that it continues, so that it is never added to a later one.
	journalFile = "uploaded.log"
	// journalEvery is how often it is appended to. A kill loses as much of the count.
	journalEvery = time.Second
	// maxJournal bounds it in bytes, for disks on which the file cannot be saved.
	maxJournal = 4 << 20
)

var errFull = errors.New("it has reached its greatest size")

// entry is a line of the journal: what was counted of a stream on a day.
type entry struct {
	Stream  string `json:"stream"`
	Date    string `json:"date"`
	FirstMS int64  `json:"firstMs"`
	Day
}

// head is the first line.
type head struct {
	After string `json:"after"` // see idOf
}

// idOf identifies the content of the file.
func idOf(streams map[string]*counted) string {
	text, err := json.Marshal(streams)
	if err != nil {
		return "" // no number of it is NaN
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// journalKey is what entries are joined by.
type journalKey struct{ stream, date string }

// journal has what is to be appended. Guarded by Tally.mu.
type journal struct {
	base    string // the id of the file
	stale   bool   // the journal that was read continues another file
	size    int    // of the journal in bytes; 0: it is not begun since the file was saved
	pending map[journalKey]entry
	due     signal.Signal // something is pending
}

func newJournal() journal {
	return journal{base: idOf(map[string]*counted{}), pending: make(map[journalKey]entry), due: signal.New()}
}

func (j *journal) add(e entry) {
	key := journalKey{e.Stream, e.Date}
	e.Day = e.Day.Add(j.pending[key].Day)
	j.pending[key] = e
	j.due.Set()
}

// take returns what is pending, in order, and nothing is any more.
func (j *journal) take() (list []entry) {
	for _, e := range j.pending {
		list = append(list, e)
	}
	clear(j.pending)
	slices.SortFunc(list, func(a, b entry) int { return cmp.Or(cmp.Compare(a.Stream, b.Stream), cmp.Compare(a.Date, b.Date)) })
	return list
}

// putBack makes entries pending again.
func (j *journal) putBack(list []entry) {
	for _, e := range list {
		j.add(e)
	}
}

// note appends what is pending to the journal. Where that fails it is saved with the file.
func (t *Tally) note() {
	t.mu.Lock()
	list, size := t.journal.take(), t.journal.size
	if len(list) == 0 { // the file was saved meanwhile
		t.mu.Unlock()
		return
	}
	var lines []byte
	put := t.o.Dir.Append
	if size == 0 {
		put = t.o.Dir.Begin
		lines = appendLine(lines, head{t.journal.base})
	}
	t.mu.Unlock()
	for _, e := range list {
		lines = appendLine(lines, e)
	}
	err := errFull
	if size+len(lines) <= maxJournal {
		err = put(journalFile, lines)
	}
	if err != nil {
		t.o.Log.Debug("journal of uploads not written", zap.Error(err))
		lines, size = nil, maxJournal // nothing follows what is missing
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.journal.size = size + len(lines)
}

func appendLine(lines []byte, v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		return lines
	}
	return append(append(lines, text...), '\n')
}

// replay adds the journal of an earlier process, if it continues the file. It reports whether there was anything in it. A line
// that a power cut tore ends it.
func (t *Tally) replay() (any bool) {
	lines, err := t.o.Dir.Lines(journalFile)
	if err != nil {
		t.o.Log.Debug("journal of uploads unreadable", zap.Error(err))
		return false
	}
	first, rest, _ := bytes.Cut(lines, []byte{'\n'})
	var h head
	if json.Unmarshal(first, &h) != nil || h.After != t.journal.base {
		t.journal.stale = len(lines) > 0
		return false
	}
	for line := range bytes.Lines(rest) {
		var e entry
		if json.Unmarshal(line, &e) != nil || !e.plausible(e.Date) || e.FirstMS < 0 || e.FirstMS > maxFirst || e.Stream == "" {
			break
		}
		c := t.of(e.Stream)
		if sum := c.Days[e.Date].Add(e.Day); sum.plausible(e.Date) {
			c.Days[e.Date] = sum
		}
		if e.FirstMS > 0 && (c.FirstMS == 0 || e.FirstMS < c.FirstMS) {
			c.FirstMS = e.FirstMS
		}
		any = true
	}
	return any
}
