package segment

import (
	"encoding/json"
	"math"
	"path/filepath"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
)

// clockName is the side file of a stream that says which of its times are wrong, and when its
// epochs began.
const clockName = ".clock"

// maxClockNotes bounds the side file; the newest count. One is added when a clock was set or corrected.
const maxClockNotes = 256

// clockNote is something known of a stream's times: which are wrong, or when an epoch began. Times are in Unix ms.
type clockNote struct {
	Epoch uint32 `json:"epoch,omitempty"`
	// From and Until are the first and the last wrong time as the files have them; Until 0 is the epoch's end.
	From  int64 `json:"from"`
	Until int64 `json:"until"`
	// AddMS is to be added to them. With Ahead, 0 means that nobody knows.
	AddMS int64 `json:"addMs"`
	// Ahead says that the times were ahead, which ended the epoch; otherwise the clock was not set.
	Ahead bool `json:"ahead,omitempty"`
	// GuessMS takes the place of AddMS where that is not known, for all but the wire: with it the last frame
	// was recorded when the next epoch began.
	GuessMS int64 `json:"guessMs,omitempty"`
	// Begin says when Epoch began. Such a note says nothing else.
	Begin int64 `json:"begin,omitempty"`
}

// last is the last wrong time.
func (n clockNote) last() int64 {
	if n.Ahead && n.Until == 0 {
		return math.MaxInt64 - 1
	}
	return n.Until
}

// known reports whether it is known what is to be added.
func (n clockNote) known() bool { return !n.Ahead || n.AddMS != 0 }

// NoteClock notes that the hub's clock was not set while the media in [from, until] of the present
// epoch was recorded: add is to be added to its times. It is durable when NoteClock returns.
func (s *Store) NoteClock(stream string, from, until time.Time, add time.Duration) error {
	s.clocks.Lock()
	defer s.clocks.Unlock()
	s.mu.Lock()
	st := s.streams[stream]
	if s.closed || st == nil {
		s.mu.Unlock()
		return ErrClosed
	}
	notes := st.noted(clockNote{Epoch: st.epoch, From: from.UnixMilli(), Until: until.UnixMilli(), AddMS: add.Milliseconds()})
	st.setClock(notes)
	s.mu.Unlock()
	return st.writeClock(notes)
}

// noted gives the notes that matter, and some that are new. Call with mu held.
func (st *stream) noted(added ...clockNote) []clockNote {
	var notes []clockNote
	for _, n := range st.clock {
		if st.matters(n) {
			notes = append(notes, n)
		}
	}
	notes = append(notes, added...)
	for i := 0; len(notes) > maxClockNotes && i < len(notes); {
		if notes[i].Begin != 0 && notes[i].Epoch >= st.epoch {
			i++ // nothing else says that there is this epoch
			continue
		}
		notes = slices.Delete(notes, i, i+1)
	}
	return notes
}

// matters reports whether a note says something of media that is there. Call with mu held.
func (st *stream) matters(n clockNote) bool {
	x := &st.index
	switch {
	case n.Epoch >= st.epoch || len(st.broken) > 0:
		return true
	case n.Begin != 0:
		return len(x.entries) > 0 && x.entries[0].epoch < n.Epoch
	}
	r := x.of(n.Epoch)
	i := x.endingFrom(r, n.From)
	return i < r.to && x.entries[i].start <= n.last()
}

func (st *stream) writeClock(notes []clockNote) error {
	data, err := json.Marshal(notes)
	if err != nil {
		return err
	}
	return diskFault(st.dir, atomicfile.Replace(st.files, filepath.Join(st.dir, clockName), append(data, '\n'), fileMode))
}

// keepClocks writes the side files again that went with a stream's directory.
func (s *Store) keepClocks() {
	s.clocks.Lock()
	defer s.clocks.Unlock()
	s.mu.Lock()
	owing := make(map[*stream][]clockNote)
	for _, st := range s.streams {
		if st.untimed && !st.deleting {
			owing[st] = st.clock
		}
	}
	s.mu.Unlock()
	for st, notes := range owing {
		if err := st.writeClock(notes); err != nil {
			s.log.Warn("cannot note yet which times are wrong", zap.String("stream", st.name), zap.Error(err))
			continue
		}
		s.mu.Lock()
		st.untimed = false
		s.mu.Unlock()
	}
}

// readClock reads the side file. One that is missing or torn says nothing.
func readClock(files fileSystem, dir string) (notes []clockNote) {
	data, err := files.ReadFile(filepath.Join(dir, clockName))
	if err != nil || json.Unmarshal(data, &notes) != nil {
		return nil
	}
	return slices.DeleteFunc(notes, func(n clockNote) bool { return n.Epoch > maxEpoch })
}

// setClock takes in notes. Call with mu held, and again when segments were loaded.
func (st *stream) setClock(notes []clockNote) {
	st.clock = notes
	st.times = newCalendar(notes, &st.index)
}
