package trickle

import (
	"encoding/json"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/crcline"
	"github.com/kvs-edge/kvs-edge-agent/internal/sitewise/journal"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
)

// File is the name of the journal of the marks in the state directory.
const File = "sitewise-trickle.journal"

const (
	// keepFor is how long marks are kept: longer than SiteWise takes values, and than what writes these reads receipts.
	keepFor = 10 * 24 * time.Hour
	// maxMarks bounds those of a stream: more than a fragment a minute makes in that time.
	maxMarks = 20_000
)

// Mark says that a fragment was sent, or was about to be, although nobody had asked for it. Times are in Unix ms.
type Mark struct {
	At, End int64 // the producer timestamps of its first and its last frame
	Shift   int64 // what is to be added to these for when it was recorded
}

// record is a line of the journal, behind its checksum.
type record struct {
	Stream string `json:"n"`
	At     int64  `json:"t"`
	End    int64  `json:"e"`
	Shift  int64  `json:"d,omitempty"`
	Lifted bool   `json:"x,omitempty"`
}

// Marks are those of a hub. They are safe for concurrent use.
type Marks struct {
	now func() time.Time

	mu      sync.Mutex
	journal *journal.Journal  // guarded by mu, as all below
	streams map[string][]Mark // by At
}

// Open reads the marks of a state directory. A journal that cannot be read is set aside, and the error says why; the marks can be used.
func Open(dir string, files atomicfile.FileSystem, now func() time.Time) (*Marks, error) {
	m := &Marks{now: now, journal: journal.New(files, filepath.Join(dir, File)), streams: make(map[string][]Mark)}
	err := m.journal.Read(m.restore)
	if err != nil {
		err = errors.Join(err, files.Rename(m.journal.Path(), m.journal.Path()+statefile.CorruptSuffix))
	}
	return m, err
}

// restore takes a line of the journal.
func (m *Marks) restore(body []byte) {
	var r record
	switch {
	case json.Unmarshal(body, &r) != nil || r.Stream == "" || r.At <= 0 || r.End < r.At:
	case r.Lifted:
		m.drop(r.Stream, r.At)
	default:
		m.put(r.Stream, Mark{r.At, r.End, r.Shift})
	}
}

// put adds a mark. Call with mu held, as drop.
func (m *Marks) put(stream string, mark Mark) {
	list := m.streams[stream]
	i := sort.Search(len(list), func(i int) bool { return list[i].At >= mark.At })
	if i < len(list) && list[i].At == mark.At {
		list[i] = mark
		return
	}
	if list = slices.Insert(list, i, mark); len(list) > maxMarks {
		list = slices.Delete(list, 0, len(list)-maxMarks)
	}
	m.streams[stream] = list
}

func (m *Marks) drop(stream string, at int64) {
	if m.streams[stream] = slices.DeleteFunc(m.streams[stream], func(k Mark) bool { return k.At == at }); len(m.streams[stream]) == 0 {
		delete(m.streams, stream)
	}
}

// Add notes a mark, durably. After an error it is not noted.
func (m *Marks) Add(stream string, mark Mark) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put(stream, mark)
	err := m.note(appendRecord(nil, stream, mark, false))
	if err != nil {
		m.drop(stream, mark.At)
	}
	return err
}

// Lift takes the marks off what was recorded of a stream from (inclusive) to (exclusive), in whole fragments, as somebody asks for it.
// They are off also after an error, but for the next start.
func (m *Marks) Lift(stream string, from, to time.Time) error {
	if !from.Before(to) {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var lines []byte
	m.streams[stream] = slices.DeleteFunc(m.streams[stream], func(k Mark) bool {
		asked := k.End+k.Shift >= from.UnixMilli() && k.At+k.Shift < to.UnixMilli()
		if asked {
			lines = appendRecord(lines, stream, k, true)
		}
		return asked
	})
	if len(m.streams[stream]) == 0 {
		delete(m.streams, stream)
	}
	if len(lines) == 0 {
		return nil
	}
	return m.note(lines)
}

// Has reports whether a fragment, or a part of one, has a mark.
func (m *Marks) Has(stream string, producer time.Time) bool {
	at := producer.UnixMilli()
	m.mu.Lock()
	defer m.mu.Unlock()
	list := m.streams[stream]
	i := sort.Search(len(list), func(i int) bool { return list[i].At > at })
	return i > 0 && at <= list[i-1].End
}

// Newest returns the mark of a stream with the latest time.
func (m *Marks) Newest(stream string) (mark Mark, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := m.streams[stream]
	if len(list) == 0 {
		return Mark{}, false
	}
	return list[len(list)-1], true
}

func appendRecord(to []byte, stream string, k Mark, lifted bool) []byte {
	text, _ := json.Marshal(record{stream, k.At, k.End, k.Shift, lifted}) // texts and numbers
	return crcline.Append(to, text)
}

// note makes lines of the journal durable. Call with mu held.
func (m *Marks) note(lines []byte) error { return m.journal.Note(lines, m.whole) }

// whole forgets old marks, and returns the others as lines. Call with mu held.
func (m *Marks) whole() (lines []byte) {
	old := m.now().Add(-keepFor).UnixMilli()
	for _, stream := range slices.Sorted(maps.Keys(m.streams)) {
		list := slices.DeleteFunc(m.streams[stream], func(k Mark) bool { return k.End < old })
		if m.streams[stream] = list; len(list) == 0 {
			delete(m.streams, stream)
		}
		for _, k := range list {
			lines = appendRecord(lines, stream, k, false)
		}
	}
	return lines
}
