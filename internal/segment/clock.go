package segment

import (
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/streams"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/volume"
)

// NoteClock records that the hub's clock was not set while the media in [from, until] of the current epoch was recorded: add
// is to be added to its times. The note is durable when NoteClock returns.
func (s *Store) NoteClock(stream string, from, until time.Time, add time.Duration) error {
	s.clocks.Lock()
	defer s.clocks.Unlock()
	s.mu.Lock()
	st := s.streams[stream]
	if s.closed || st == nil {
		s.mu.Unlock()
		return ErrClosed
	}
	notes := st.Catalog.Noted(
		layout.ClockNote{Epoch: st.Catalog.Epoch, From: from.UnixMilli(), Until: until.UnixMilli(), AddMS: add.Milliseconds()},
	)
	st.Catalog.SetClock(notes)
	s.mu.Unlock()
	return writeClock(st, notes)
}

func writeClock(st *streams.Stream, notes []layout.ClockNote) error {
	return volume.Fault(st.Dir, layout.WriteClock(st.Files, st.Dir, notes))
}

// keepClocks writes again the clock files that were lost with a stream's directory.
func (s *Store) keepClocks() {
	s.clocks.Lock()
	defer s.clocks.Unlock()
	s.mu.Lock()
	unsaved := make(map[*streams.Stream][]layout.ClockNote)
	for _, st := range s.streams {
		if st.Untimed && !st.Deleting {
			unsaved[st] = st.Catalog.Clock
		}
	}
	s.mu.Unlock()
	for st, notes := range unsaved {
		if err := writeClock(st, notes); err != nil {
			logevent.CorrectionNotNoted.Log(s.log, zap.String("stream", st.Name), zap.Error(err))
			continue
		}
		s.mu.Lock()
		st.Untimed = false
		s.mu.Unlock()
	}
}

// Offsets returns the corrections of a frame that a segment's file dates `at` after its start: wire is to be added for its
// producer timestamp, and recorded for the time of its recording. Both are 0 unless the time is wrong.
func (s *Store) Offsets(k Key, at time.Duration) (wire, recorded time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[k.Stream]
	if st == nil {
		return 0, 0
	}
	return st.Catalog.Offsets(k.Epoch, k.Start+at.Milliseconds())
}

// Misdated returns the spans of a stream whose times are wrong, in order, as long as there is media in them. O(log n) for
// each, and for each epoch.
func (s *Store) Misdated(stream string) []Misdated {
	return of(s, stream, func(st *streams.Stream) []Misdated { return st.Catalog.Misdated() })
}

// errEpochs is returned for a stream that has used the last epoch for which there is a name.
var errEpochs = errors.New("no epoch is left")

// BeginEpoch begins a new epoch of a stream whose times were ahead: segments created from now on may start at any time,
// whatever was recorded before, and LastEnd is zero until media is recorded. The media with times in [from, until] of the
// epoch that ends is dated wrongly: add is to be added to its times; 0 means that the error is not known. A zero from means
// all times that are well after at, the time now; a zero until, all from `from` on.
//
// The epoch has begun, durably, when BeginEpoch returns nil. Otherwise it has not, and the error is a *health.Fault of the
// disk, ErrBusy while a segment of the stream is being written (seal it before), or ErrClosed. An epoch without media is not
// followed by another one: its start is moved to at.
func (s *Store) BeginEpoch(stream string, from, until time.Time, add time.Duration, at time.Time) error {
	s.clocks.Lock()
	defer s.clocks.Unlock()
	st, err := s.reserveEpoch(stream)
	if err != nil {
		return err
	}
	defer func() { // also when something panics
		s.mu.Lock()
		defer s.mu.Unlock()
		st.Creating = false
		st.Watchers.Notify()
	}()
	if err := s.streamPresent(st); err != nil {
		return err
	}
	if err := s.ensureDirectory(st); err != nil {
		return volume.Fault(st.Dir, err)
	}
	s.mu.Lock()
	epoch, notes := st.Catalog.Ending(from, until, add, at)
	s.mu.Unlock()
	if epoch > layout.MaxEpoch {
		return fmt.Errorf("cannot correct the times of stream %s: %w", stream, errEpochs)
	}
	if err := s.volume.NeedFormat(layout.FormatOf(layout.ID{Epoch: epoch})); err != nil {
		return err
	}
	if err := writeClock(st, notes); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Catalog.SeeEpoch(epoch)
	st.Catalog.SetClock(notes)
	return nil
}

// reserveEpoch makes sure that no segment is being written, and that none is created until creating is unset.
func (s *Store) reserveEpoch(name string) (*streams.Stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.readOnly {
		return nil, fmt.Errorf("cannot correct the times of stream %s: the store is %w", name, ErrClosed)
	}
	if err := s.volume.Unread.Of(name); err != nil {
		return nil, err
	}
	st := s.stream(name)
	if st.Creating || st.Deleting || st.Recorded() {
		return nil, fmt.Errorf("cannot correct the times of stream %s: %w", name, ErrBusy)
	}
	st.Creating = true
	return st, nil
}
