package segment

import (
	"encoding/json"
	"path/filepath"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/durable"
)

// clockName is the side file of a stream that says which of its times were those of a clock that
// was not set.
const clockName = ".clock"

// clockSetSince is a year before which no hub of ours ran.
const clockSetSince = 2020

// ClockUnset reports whether a hub's clock that shows now was never set.
func ClockUnset(now time.Time) bool { return now.Year() < clockSetSince }

// maxClockNotes bounds the side file: one a start of the hub, and the newest count.
const maxClockNotes = 256

// clockNote places media in time that was recorded before the hub's clock was set. Times are in Unix ms.
type clockNote struct {
	From  int64 `json:"from"`
	Until int64 `json:"until"`
	AddMS int64 `json:"addMs"`
}

// NoteClock notes that the hub's clock was not set while the media in [from, until] was recorded:
// add is to be added to its times. It is durable when NoteClock returns.
func (s *Store) NoteClock(stream string, from, until time.Time, add time.Duration) error {
	s.mu.Lock()
	st := s.streams[stream]
	if s.closed || st == nil {
		s.mu.Unlock()
		return ErrClosed
	}
	notes := append(st.clock[:len(st.clock):len(st.clock)], clockNote{from.UnixMilli(), until.UnixMilli(), add.Milliseconds()})
	notes = notes[max(0, len(notes)-maxClockNotes):]
	st.clock = notes
	s.mu.Unlock()
	data, err := json.Marshal(notes)
	if err != nil {
		return err
	}
	if err := durable.Replace(st.files, filepath.Join(st.dir, clockName), append(data, '\n'), fileMode); err != nil {
		return diskFault(st.dir, err)
	}
	return nil
}

// readClock reads the side file. One that is missing or torn says nothing.
func readClock(files fileSystem, dir string) (notes []clockNote) {
	data, err := files.ReadFile(filepath.Join(dir, clockName))
	if err != nil || json.Unmarshal(data, &notes) != nil {
		return nil
	}
	return notes
}

// placeInTime fills in what is known of the clock by which a segment was recorded.
func (st *stream) placeInTime(info *Info) {
	info.ClockUnset = ClockUnset(info.StartTime())
	for _, n := range st.clock {
		if info.Start <= n.Until && info.End.UnixMilli() >= n.From {
			info.ClockUnset, info.ClockOffset = true, time.Duration(n.AddMS)*time.Millisecond
		}
	}
}
