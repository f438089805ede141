package segment

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// timesAhead is how far the times of what is recorded may be ahead of a right clock.
const timesAhead = 1500 * time.Millisecond

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
	epoch, notes := st.ending(from, until, add, at)
	s.mu.Unlock()
	if epoch > maxEpoch {
		return fmt.Errorf("cannot correct the times of stream %s: %w", stream, errEpochs)
	}
	if err := s.needFormat(formatOf(id{epoch: epoch})); err != nil {
		return err
	}
	if err := st.writeClock(notes); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.see(epoch)
	st.setClock(notes)
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

// ending gives the epoch that begins at a time, and the notes with that. Call with mu held.
func (st *stream) ending(from, until time.Time, add time.Duration, at time.Time) (epoch uint32, notes []clockNote) {
	begin := clockNote{Epoch: st.epoch, Begin: at.UnixMilli()}
	newest := st.newest()
	if newest == math.MinInt64 {
		if st.epoch == 0 {
			return 0, st.clock
		}
		notes = slices.DeleteFunc(st.noted(), func(n clockNote) bool { return n.Begin != 0 && n.Epoch == st.epoch })
		return st.epoch, append(notes, begin)
	}
	begin.Epoch++
	wrong := clockNote{Epoch: st.epoch, From: at.Add(timesAhead).UnixMilli() + 1, AddMS: add.Milliseconds(), Ahead: true}
	if !from.IsZero() {
		wrong.From = from.UnixMilli()
	}
	if !until.IsZero() {
		wrong.Until = until.UnixMilli()
	}
	if !wrong.known() {
		wrong.GuessMS = min(0, begin.Begin-newest)
	}
	return begin.Epoch, st.noted(wrong, begin)
}

// remember has the epoch's newest time outlive an entry. Call with mu held.
func (st *stream) remember(e entry) {
	if e.epoch == st.epoch {
		st.highest = max(st.highest, e.end())
	}
}

// see takes in that there is an epoch. Call with mu held.
func (st *stream) see(epoch uint32) {
	if epoch > st.epoch && epoch <= maxEpoch {
		st.epoch, st.highest, st.marked = epoch, math.MinInt64, math.MinInt64
	}
}
