package segment

import (
	"errors"
	"fmt"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// errEpochs is that of a stream that has had all epochs that there are names for.
var errEpochs = errors.New("no epoch is left")

// BeginEpoch begins an epoch of a stream, whose times were ahead: what is created from now on may start
// whenever it likes, whatever was recorded before, and LastEnd is zero until something is. The media of the
// epoch that ends with times in [from, until] is dated wrongly: add is to be added to its times, and 0 says
// that nobody knows how much. A zero from is for all times that are well after at, the time now; a zero until
// for all from `from` on.
//
// The epoch has begun, durably, when BeginEpoch returns nil. Else it has not, and the error is a *health.Fault
// of the disk, ErrBusy while a segment of the stream is being written (seal it before), or ErrClosed. An epoch
// without media is not followed by another one: it begins at that time then.
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
		st.creating = false
		st.changed()
	}()
	if err := s.streamPresent(st); err != nil {
		return err
	}
	if err := s.place(st); err != nil {
		return diskFault(st.dir, err)
	}
	s.mu.Lock()
	epoch, notes := st.catalog.Ending(from, until, add, at)
	s.mu.Unlock()
	if epoch > layout.MaxEpoch {
		return fmt.Errorf("cannot correct the times of stream %s: %w", stream, errEpochs)
	}
	if err := s.needFormat(layout.FormatOf(layout.ID{Epoch: epoch})); err != nil {
		return err
	}
	if err := st.writeClock(notes); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.catalog.SeeEpoch(epoch)
	st.catalog.SetClock(notes)
	return nil
}

// reserveEpoch makes sure that no segment is being written, and that none begins until creating is unset.
func (s *Store) reserveEpoch(name string) (*stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.readOnly {
		return nil, fmt.Errorf("cannot correct the times of stream %s: the store is %w", name, ErrClosed)
	}
	if err := s.unreadOf(name); err != nil {
		return nil, err
	}
	st := s.stream(name)
	busy := st.creating || st.deleting
	for _, a := range st.active {
		busy = busy || a.writer != nil
	}
	if busy {
		return nil, fmt.Errorf("cannot correct the times of stream %s: %w", name, ErrBusy)
	}
	st.creating = true
	return st, nil
}
