package segment

import (
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment/catalog"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

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
	notes := st.catalog.Noted(layout.ClockNote{Epoch: st.catalog.Epoch, From: from.UnixMilli(), Until: until.UnixMilli(), AddMS: add.Milliseconds()})
	st.catalog.SetClock(notes)
	s.mu.Unlock()
	return st.writeClock(notes)
}

func (st *stream) writeClock(notes []layout.ClockNote) error {
	return diskFault(st.dir, layout.WriteClock(st.files, st.dir, notes))
}

// keepClocks writes the side files again that went with a stream's directory.
func (s *Store) keepClocks() {
	s.clocks.Lock()
	defer s.clocks.Unlock()
	s.mu.Lock()
	owing := make(map[*stream][]layout.ClockNote)
	for _, st := range s.streams {
		if st.untimed && !st.deleting {
			owing[st] = st.catalog.Clock
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

// date fills in what is known of the clock by which a segment was recorded, and when it was.
func (st *stream) date(info *Info, e catalog.Entry) {
	d := st.catalog.Dating(e)
	info.RecordedFrom, info.RecordedTo = time.UnixMilli(d.From).UTC(), time.UnixMilli(d.To).UTC()
	info.ClockUnset, info.ClockAhead, info.ClockOffset = d.Unset, d.Ahead, d.Offset
}

// Offsets says where the frame lies that a segment's file dates `at` after its start: wire is to be added for
// its time in the cloud, and recorded for when it was recorded. Both are 0 unless the time is wrong.
func (s *Store) Offsets(k Key, at time.Duration) (wire, recorded time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[k.Stream]
	if st == nil {
		return 0, 0
	}
	return st.catalog.Offsets(k.Epoch, k.Start+at.Milliseconds())
}

// Misdated is media whose times are wrong.
type Misdated = catalog.Misdated

// Misdated lists the spans of a stream whose times are wrong, in order, as long as there is media of them.
// O(log n) for each, and for each epoch.
func (s *Store) Misdated(stream string) []Misdated {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.streams[stream]; st != nil {
		return st.catalog.Misdated()
	}
	return nil
}
