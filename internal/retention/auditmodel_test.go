package retention_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/audit"
	"github.com/kvs-edge/kvs-edge-agent/internal/deleteafter"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// modelAudits is what DeleteAfterUpload waits for, of a cloud that answers at random.
type modelAudits struct {
	*deleteafter.Audits
	on bool
	// answers has a source of randomness for each stream: streams are audited at the same time.
	answers map[string]*modelCloud

	asked, confirmed, missing, failed, forgotten int
}

func (a *modelAudits) String() string {
	return fmt.Sprintf("%d segments audited, %d confirmed, %d with media missing, %d audits failed, %d confirmations ended with the process",
		a.asked, a.confirmed, a.missing, a.failed, a.forgotten)
}

// modelCloud answers the audits of a stream in one round.
type modelCloud struct {
	random                            *rand.Rand
	asked, confirmed, missing, failed int
}

// openAudits begins as a process does: nothing is confirmed.
func (m *model) openAudits() {
	for _, s := range m.streams {
		for _, g := range s.segments {
			if g.confirmed {
				m.audits.forgotten++
			}
			g.confirmed = false
		}
	}
	m.audits.Audits = deleteafter.New(deleteafter.Options{
		Store: m.store, On: func() bool { return m.audits.on }, Policy: m.keeper.PolicyOf, Audit: m.answer, Resend: m.resend,
		Confirmed: m.keeper.Wake, Health: m.health, Log: zap.NewNop(), Now: m.wallClock,
	})
}

func (m *model) wallClock() time.Time { return m.now }

// audit has all that is due audited.
func (m *model) audit() string {
	m.audits.answers = make(map[string]*modelCloud)
	for _, s := range m.streams {
		m.audits.answers[s.name] = &modelCloud{random: rand.New(rand.NewPCG(m.random.Uint64(), 22))}
		for _, g := range s.segments {
			if !m.audits.on || !s.policy.DeleteAfterUpload || s.held(g) {
				g.confirmed = false // nobody waits for it
			}
		}
	}
	m.audits.Round(m.t.Context())
	before := m.audits.confirmed
	for _, c := range m.audits.answers {
		m.audits.asked, m.audits.confirmed = m.audits.asked+c.asked, m.audits.confirmed+c.confirmed
		m.audits.missing, m.audits.failed = m.audits.missing+c.missing, m.audits.failed+c.failed
	}
	return fmt.Sprintf("audit: %d confirmed", m.audits.confirmed-before)
}

// confirmAndCrash kills the agent between an audit and the deletion that it allows.
func (m *model) confirmAndCrash() string {
	return m.audit() + ", " + m.crash() + ", " + m.pass()
}

// answer is what an audit says about segments.
func (m *model) answer(_ context.Context, stream string, keys []segment.Key) (audit.Segments, error) {
	s, cloud := m.stream(stream), m.audits.answers[stream]
	cloud.asked += len(keys)
	for _, k := range keys {
		if g := s.find(k); g == nil || !g.whole() || g.confirmed || s.held(g) {
			m.t.Errorf("%s: a segment is audited that is %+v", stream, g)
			return audit.Segments{}, errors.New("the model fails")
		}
	}
	switch n := cloud.random.IntN(100); {
	case n < 10:
		cloud.failed++
		return audit.Segments{}, health.SystemFault(audit.CodeCloud, nil, "The cloud did not answer.")
	case n < 15:
		cloud.failed++
		return audit.Segments{}, errors.New("no answer")
	case n < 20:
		cloud.failed++
		for _, k := range keys {
			s.find(k).confirmed = true // as after the acknowledgement
		}
		return audit.Segments{}, health.UserFault(audit.CodeDenied, nil, "The right is missing.")
	}
	found := audit.Segments{Of: make(map[segment.Key]audit.Counts)}
	for _, k := range keys {
		g, c := s.find(k), audit.Counts{Fragments: 1}
		switch n := cloud.random.IntN(100); {
		case n < 15:
			c.Missing = 1
			cloud.missing++
			found.Lost = append(found.Lost, audit.Missing{ID: audit.ID{Segment: k}, Recorded: true, Bytes: g.bytes})
		case n < 25:
			c.Pending = 1
		case n < 30:
			c.Refused = 1
		case n < 35:
			c.Unreadable = 1
		case n < 40:
			continue // as if it was deleted meanwhile
		case n < 45:
			c.Expired = 1
			g.confirmed = true
		default:
			c.Present = 1
			g.confirmed = true
			cloud.confirmed++
		}
		found.Of[k] = c
	}
	return found, nil
}

// resend sends nothing, or fails.
func (m *model) resend(_ context.Context, stream string, lost []audit.Missing) error {
	if len(lost) == 0 || m.audits.answers[stream].random.IntN(3) == 0 {
		return errors.New("not sent")
	}
	return nil
}

func (m *model) stream(name string) *modelStream {
	return m.streams[slices.IndexFunc(m.streams, func(s *modelStream) bool { return s.name == name })]
}

// find returns a segment, or nil.
func (s *modelStream) find(k segment.Key) *modelled {
	i, found := slices.BinarySearchFunc(s.segments, k.Start, func(g *modelled, start int64) int {
		return cmp.Compare(g.start.UnixMilli(), start)
	})
	if !found {
		return nil
	}
	return s.segments[i]
}

// compareAudits holds what may be deleted for its upload against the model.
func (m *model) compareAudits(s *modelStream) {
	for _, g := range s.segments {
		if got, want := m.audits.May(segment.Key{Stream: s.name, Start: g.start.UnixMilli()}), !m.audits.on || g.confirmed; got != want {
			m.fail("%s: the segment of %s may be deleted for its upload %v, want %v", s.name, g.start, got, want)
		}
	}
}
