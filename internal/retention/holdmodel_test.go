package retention_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/hold"
	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// modelHoldMost is what all holds of the model may have.
const modelHoldMost = 300_000

// held reports whether a hold holds a segment, by what was asked for alone.
func (s *modelStream) held(g *modelled) bool {
	if s.unread != nil {
		return true
	}
	return slices.ContainsFunc(s.holds, func(h hold.Hold) bool {
		return hubclock.Unset(g.start) || g.start.Before(h.To) && !g.end.Before(h.From)
	})
}

// kept sums up what is held, as the store counts bytes, with a hold more if that is not nil.
func (m *model) kept(more *modelStream, h hold.Hold) (bytes int64) {
	for _, s := range m.streams {
		with := *s
		if s == more {
			with.holds = append(slices.Clone(s.holds), h)
		}
		for i, info := range m.store.Segments(s.name, time.Time{}, time.Time{}) {
			if with.held(s.segments[i]) {
				bytes += info.Bytes
				if s.segments[i].state == segment.Writing && s == more && s.held(s.segments[i]) || s != more && s.segments[i].state == segment.Writing {
					bytes += m.store.Usage(s.name).Growing
				}
			}
		}
	}
	return bytes
}

// hold adds a hold of some minutes around now, which may end in the future, or removes one.
func (m *model) hold(s *modelStream) string {
	if len(s.holds) > 0 && m.random.IntN(3) > 0 {
		i := m.random.IntN(len(s.holds))
		_, err := m.store.Holding().Remove(s.holds[i].ID, "the model", m.now)
		if (err == nil) != (s.unread == nil) {
			m.fail("remove with unread %v: %v", s.unread != nil, err)
		}
		if err == nil {
			s.holds = slices.Delete(s.holds, i, i+1)
		}
		return "remove a hold of " + s.name
	}
	from := m.now.Add(time.Duration(m.random.IntN(30)-25) * time.Minute)
	to := from.Add(time.Duration(1+m.random.IntN(15*60)) * time.Second)
	h := hold.Hold{Stream: s.name, From: from, To: to, Reason: "model", Source: "model"}
	if m.random.IntN(3) == 0 {
		h.Until = m.now.Add(time.Duration(1+m.random.IntN(60)) * time.Minute)
	}
	h, err := hold.Complete(h, m.now)
	if err != nil {
		return "no hold: " + err.Error()
	}
	fits := m.kept(s, h) <= modelHoldMost
	_, err = m.store.Holding().Add(m.t.Context(), h)
	switch {
	case err == nil && fits && s.unread == nil:
		s.holds = append(s.holds, h)
	case err == nil:
		m.fail("a hold of %s was added though it does not fit (%v), or the others cannot be read (%v)", s.name, !fits, s.unread != nil)
	case fits && s.unread == nil && m.store.Holds(s.name):
		m.fail("a hold of %s was refused: %v", s.name, err)
	}
	return "hold " + s.name
}

// expire ends the holds whose time is over, as a pass does with a clock that it trusts.
func (m *model) expire(trusted bool) {
	for _, s := range m.streams {
		if trusted && s.unread == nil {
			s.holds = slices.DeleteFunc(s.holds, func(h hold.Hold) bool { return !h.Until.IsZero() && !m.now.Before(h.Until) })
		}
	}
}

// measured has the keeper measure the disk before and after a deletion that is not its own: another disk size in between would look like
// a disk that does not free what is deleted.
func (m *model) measured() (after func()) {
	m.keeper.Measure()
	return func() { m.keeper.Measure() }
}

// erase deletes a segment for a reason that is not known to retention.
func (m *model) erase(s *modelStream) string {
	if len(s.segments) == 0 {
		return "nothing to erase"
	}
	defer m.measured()()
	i := m.random.IntN(len(s.segments))
	g := s.segments[i]
	err := m.store.Delete(segment.Key{Stream: s.name, Start: g.start.UnixMilli()})
	busy := g.state == segment.Writing || len(g.readers) > 0
	switch {
	case busy && !errors.Is(err, segment.ErrBusy), !busy && s.held(g) != errors.Is(err, hold.ErrHeld):
		m.fail("a segment that is held %v and in use %v: %v", s.held(g), busy, err)
	case err == nil:
		s.segments = slices.Delete(s.segments, i, i+1)
	case !busy && !s.held(g):
		m.fail("delete: %v", err)
	}
	return "erase of " + s.name
}

// remove deletes all recordings of a stream, as when its configuration is deleted.
func (m *model) remove(s *modelStream) string {
	if s.writer != nil {
		m.seal(s)
	}
	for _, g := range s.segments {
		for _, r := range g.readers {
			_ = r.Close()
		}
		g.readers = nil
	}
	defer m.measured()()
	err := m.store.DeleteStream(m.t.Context(), s.name)
	stays := len(s.holds) > 0 || s.unread != nil
	if stays != (err != nil) || s.unread == nil && stays != errors.Is(err, hold.ErrHeld) {
		m.fail("delete %s with %d holds: %v", s.name, len(s.holds), err)
	}
	s.segments = slices.DeleteFunc(s.segments, func(g *modelled) bool { return !s.held(g) })
	if !stays {
		s.last = time.Time{}
		m.keeper.SetPolicy(s.name, s.policy)
	}
	return "delete " + s.name
}

// corrupt damages the file of holds while the agent does not run, or repairs it.
func (m *model) corrupt(s *modelStream) string {
	path := filepath.Join(m.dir, s.name, ".holds")
	if s.unread != nil {
		if err := os.WriteFile(path, s.unread, 0o600); err != nil {
			m.fail("%v", err)
		}
		s.unread = nil
		m.store.Holding().Keep()
		return "repair the holds of " + s.name
	}
	good, err := os.ReadFile(path)
	if err != nil || len(good) < 100 {
		return "no holds to corrupt"
	}
	s.unread = good
	bad := slices.Clone(good)
	bad[30] ^= 4
	if err := os.WriteFile(path, bad, 0o600); err != nil {
		m.fail("%v", err)
	}
	m.crash()
	return "corrupt the holds of " + s.name
}

// holdStep is a step of the model with holds.
func (m *model) holdStep() string {
	s := m.streams[m.random.IntN(len(m.streams))]
	switch n := m.random.IntN(1000); {
	case n < 60:
		return m.hold(s)
	case n < 70:
		return m.erase(s)
	case n < 76:
		return m.remove(s)
	case n < 80:
		return m.corrupt(s)
	case n < 180:
		return m.audit()
	case n < 190:
		return m.confirmAndCrash()
	case n < 194:
		m.audits.on = m.random.IntN(4) > 0
		return fmt.Sprintf("deletion waits for an audit: %v", m.audits.on)
	}
	return m.step()
}

// compareHolds holds what is held against the model.
func (m *model) compareHolds(s *modelStream) {
	var bytes int64
	held := 0
	for i, info := range m.store.Segments(s.name, time.Time{}, time.Time{}) {
		if want := s.held(s.segments[i]); info.Held != want {
			g := s.segments[i]
			m.fail("%s: the segment of %s to %s is held %v, want %v by %+v", s.name, g.start, g.end, info.Held, want, s.holds)
		}
		if info.Held {
			held, bytes = held+1, bytes+info.Bytes
		}
	}
	if u := m.store.Usage(s.name); u.HeldBytes != bytes || u.HeldSegments != held {
		m.fail("%s: %d bytes of %d segments are held, want %d of %d", s.name, u.HeldBytes, u.HeldSegments, bytes, held)
	}
	list := m.store.Holding().List(s.name)
	if s.unread == nil && len(list) != len(s.holds) {
		m.fail("%s: the holds are %+v, want %+v", s.name, list, s.holds)
	}
}

// TestHeldMediaIsNeverGone records, uploads, audits, deletes by every rule, removes configurations and kills the agent, with holds that
// come and go: what is held stays, and what is not held is deleted as without holds.
func TestHeldMediaIsNeverGone(t *testing.T) {
	t.Parallel()
	steps := testtools.Proof(t, "holds", testtools.Sizes[int]{Short: 3_000, Middle: 40_000, Long: 1_000_000})
	runModel(t, 22, steps, (*model).holdStep, func(m *model, s *modelStream) {
		m.compare(s)
		m.compareHolds(s)
		m.compareAudits(s)
	})
}
