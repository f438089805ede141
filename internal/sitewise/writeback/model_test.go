package writeback

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	cloud "github.com/kvs-edge/kvs-edge-agent/internal/cloud/sitewise"
	"github.com/kvs-edge/kvs-edge-agent/internal/receipt"
)

// TestWhateverHappensAPlayerSeesTheTruth: recordings, gaps, uploads in any order, deletions, outages and kills in any order; once
// SiteWise answers, AWS's player shows what exists, to the second.
func TestWhateverHappensAPlayerSeesTheTruth(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp(root, "")
		if err != nil {
			t.Fatal(err)
		}
		m := &model{hub: newHub(t, dir), sent: begin}
		t.Repeat(map[string]func(*rapid.T){
			"record":      m.record,
			"gap":         m.gap,
			"upload":      m.upload,
			"upload some": m.uploadSome,
			"trickle":     m.trickleOne,
			"delete":      m.delete,
			"outage":      m.outage,
			"refusals":    m.refusals,
			"kill":        m.kill,
			"stop":        m.stop,
			"wait":        func(t *rapid.T) { m.pass(time.Duration(rapid.IntRange(1, 12).Draw(t, "passes")) * passEvery) },
		})
		m.cloud.fail, m.cloud.refuse, m.cloud.after = nil, nil, nil
		m.pass(75 * time.Minute) // the longest wait after a refusal is over
		m.check(begin.Add(-time.Minute), m.now)
		if got := m.conditions(); len(got) > 0 {
			t.Fatalf("conditions %v", got)
		}
		if n := m.cloud.twice(); n > 0 && !m.killed {
			t.Fatalf("%d values were written twice", n)
		}
	})
}

// model is a hub to which things happen.
type model struct {
	*hub
	sent   time.Time // the backlog begins there
	killed bool      // or an answer was lost: values may be written again
}

// record records, with a pass each 15 s.
func (m *model) record(t *rapid.T) {
	for range rapid.IntRange(1, 40).Draw(t, "quarters of a minute") {
		m.hub.record(14 * time.Second)
		m.w.pass(context.Background())
	}
}

func (m *model) gap(t *rapid.T) {
	m.seal()
	m.now = m.now.Add(time.Duration(rapid.IntRange(1, 900).Draw(t, "seconds")) * time.Second)
}

// recorded lists what was ever recorded and is on the disk, from a time on.
func (m *model) recorded(from time.Time) (list []shown) {
	for _, s := range m.segments {
		if s.End.After(from) {
			list = append(list, shown{later(from, s.StartTime()), s.End.Add(frame)})
		}
	}
	return list
}

// upload uploads the oldest of the backlog.
func (m *model) upload(t *rapid.T) {
	n := time.Duration(rapid.IntRange(1, 400).Draw(t, "fragments")) * fragment
	for _, s := range m.recorded(m.sent) {
		end := earlier(s.to, s.from.Add(n))
		m.persist(s.from, end)
		m.sent = end
		if n -= end.Sub(s.from); n <= 0 {
			break
		}
	}
	m.w.pass(context.Background())
}

// uploadSome uploads a range that somebody asks for, in whole fragments.
func (m *model) uploadSome(t *rapid.T) {
	list := m.recorded(time.Time{})
	if len(list) == 0 {
		return
	}
	s := rapid.SampledFrom(list).Draw(t, "segment")
	from := s.from.Add(time.Duration(rapid.IntRange(0, int(s.to.Sub(s.from)/fragment)).Draw(t, "from")) * fragment)
	to := earlier(s.to, from.Add(time.Duration(rapid.IntRange(1, 60).Draw(t, "fragments"))*fragment))
	if rapid.Bool().Draw(t, "known to be asked for") { // else it follows from what is beside it
		for at := from; at.Before(to); at = at.Add(fragment) {
			delete(m.trickle, at.UTC())
		}
	}
	m.persist(from, to)
}

// trickleOne uploads the newest fragment without anybody asking for it.
func (m *model) trickleOne(*rapid.T) {
	list := m.recorded(time.Time{})
	if len(list) == 0 {
		return
	}
	at := list[len(list)-1].to.Add(-fragment)
	if slices.ContainsFunc(m.acked, func(r receipt.Receipt) bool { return r.Producer.Equal(at) }) {
		return
	}
	m.trickle[at.UTC()] = true
	m.persist(at, at.Add(fragment))
}

// delete deletes the oldest segments.
func (m *model) delete(t *rapid.T) {
	if n := len(m.segments); n > 1 {
		m.segments = slices.Clone(m.segments[rapid.IntRange(1, n-1).Draw(t, "segments"):])
	}
}

var errLost = errors.New("read tcp: connection reset by peer")

func (m *model) outage(t *rapid.T) {
	m.cloud.fail, m.cloud.after = nil, nil
	switch rapid.SampledFrom([]string{"ends", "begins", "answers are lost"}).Draw(t, "outage") {
	case "begins":
		m.cloud.fail = errOutage
	case "answers are lost":
		m.killed = true
		m.cloud.after = func() error { return errLost }
	}
}

func (m *model) refusals(t *rapid.T) {
	why := rapid.SampledFrom([]string{"", throttling, conflicting, accessDenied, notFound, invalidRequest}).Draw(t, "why")
	n := 0
	m.cloud.refuse = func(cloud.Entry) string {
		if n++; n%3 == 0 {
			return why
		}
		return ""
	}
}

// kill ends the agent at some place, and starts it.
func (m *model) kill(t *rapid.T) {
	m.killed = true
	switch rapid.SampledFrom([]string{"between passes", "before a call", "after a call"}).Draw(t, "where") {
	case "before a call":
		m.killIn(func(k *killer) { k.before = true })
	case "after a call":
		m.killIn(func(k *killer) { k.before = false })
	}
	m.seal()
	m.start()
}

// killIn has a pass end for good at a call.
func (m *model) killIn(set func(*killer)) {
	k := &killer{Putter: m.cloud}
	set(k)
	m.w.o.Put = k
	defer func() {
		if r := recover(); r != nil && r != errKilled { //nolint:errorlint // the value that was panicked with
			panic(r)
		}
	}()
	m.w.pass(context.Background())
}

var errKilled = errors.New("killed")

// killer ends the process before or after a call.
type killer struct {
	Putter
	before bool
}

func (k *killer) Put(ctx context.Context, values []cloud.Entry) ([]cloud.Refusal, error) {
	if !k.before {
		_, _ = k.Putter.Put(ctx, values)
	}
	panic(errKilled)
}

// stop ends the agent as systemd does, and starts it.
func (m *model) stop(*rapid.T) {
	m.w.close()
	m.seal()
	m.now = m.now.Add(time.Second) // a heartbeat has the time at which it is written: no agent ends and starts within one
	m.start()
}
