package segment

import (
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/streams"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/volume"
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
	notes := st.Catalog.Noted(layout.ClockNote{Epoch: st.Catalog.Epoch, From: from.UnixMilli(), Until: until.UnixMilli(), AddMS: add.Milliseconds()})
	st.Catalog.SetClock(notes)
	s.mu.Unlock()
	return writeClock(st, notes)
}

func writeClock(st *streams.Stream, notes []layout.ClockNote) error {
	return volume.Fault(st.Dir, layout.WriteClock(st.Files, st.Dir, notes))
}

// keepClocks writes the side files again that went with a stream's directory.
func (s *Store) keepClocks() {
	s.clocks.Lock()
	defer s.clocks.Unlock()
	s.mu.Lock()
	owing := make(map[*streams.Stream][]layout.ClockNote)
	for _, st := range s.streams {
		if st.Untimed && !st.Deleting {
			owing[st] = st.Catalog.Clock
		}
	}
	s.mu.Unlock()
	for st, notes := range owing {
		if err := writeClock(st, notes); err != nil {
			s.log.Warn("cannot note yet which times are wrong", zap.String("stream", st.Name), zap.Error(err))
			continue
		}
		s.mu.Lock()
		st.Untimed = false
		s.mu.Unlock()
	}
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
	return st.Catalog.Offsets(k.Epoch, k.Start+at.Milliseconds())
}

// Misdated lists the spans of a stream whose times are wrong, in order, as long as there is media of them.
// O(log n) for each, and for each epoch.
func (s *Store) Misdated(stream string) []Misdated {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.streams[stream]; st != nil {
		return st.Catalog.Misdated()
	}
	return nil
}
