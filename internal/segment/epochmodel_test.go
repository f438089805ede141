package segment

import (
	"errors"
	"math"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/catalog"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// epochModel is a store of one stream, and what it must say.
type epochModel struct {
	dir      string
	s        *Store
	segments []*modelSegment // in the order in which they were recorded
	notes    []layout.ClockNote
	begins   map[uint32]int64
	epoch    uint32
	last     int64 // of the epoch, math.MinInt64 for none
}

type modelSegment struct {
	key   Key
	end   int64
	state State
}

func (m *epochModel) bound(epoch uint32) int64 {
	bound := int64(math.MaxInt64)
	for e, at := range m.begins {
		if e > epoch {
			bound = min(bound, at)
		}
	}
	return bound
}

// note finds the note about a time in a segment by a linear search.
func (m *epochModel) note(g *modelSegment, t int64) (found layout.ClockNote, ok bool) {
	if bound := m.bound(g.key.Epoch); bound < math.MaxInt64 && t > bound+catalog.TimesAhead.Milliseconds() {
		found, ok = layout.ClockNote{Ahead: true}, true
	}
	for _, n := range m.notes {
		from := n.From
		if hubclock.Unset(g.key.StartTime()) && from >= g.key.Start && from <= g.end {
			from = g.key.Start
		}
		in := n.Epoch == g.key.Epoch && t >= from && (t <= n.Until || n.Ahead && n.Until == 0)
		if in && (!ok || n.Known() || !found.Known()) {
			found, ok = n, true
		}
	}
	return found, ok
}

func (m *epochModel) recorded(g *modelSegment, t int64) int64 {
	n, _ := m.note(g, t)
	add := n.AddMS
	if n.Ahead && add == 0 {
		add = n.GuessMS
	}
	return min(t+add, m.bound(g.key.Epoch))
}

func (m *epochModel) span(g *modelSegment) (from, to int64) {
	from = m.recorded(g, g.key.Start)
	return from, max(from, m.recorded(g, g.end))
}

// where are the times at which something happens: the clock was never set, right, or ahead.
var where = []time.Time{time.Unix(30, 0).UTC(), begin, begin.Add(2 * time.Hour), begin.AddDate(1, 0, 0)}

func someTime(t *rapid.T, label string) time.Time {
	return rapid.SampledFrom(where).Draw(t, label).Add(time.Duration(rapid.IntRange(0, 60).Draw(t, label+" s")) * time.Second)
}

func someTimeOrNone(t *rapid.T, label string) time.Time {
	if rapid.Bool().Draw(t, label+"?") {
		return time.Time{}
	}
	return someTime(t, label)
}

func (m *epochModel) record(t *rapid.T) {
	start := someTime(t, "start")
	if m.last != math.MinInt64 && rapid.IntRange(0, 9).Draw(t, "after") > 0 {
		start = time.UnixMilli(m.last + 1 + int64(rapid.IntRange(0, 5000).Draw(t, "gap"))).UTC()
	}
	w, err := m.s.Create("door", headerAt(start))
	if start.UnixMilli() <= m.last {
		if !errors.Is(err, ErrOverlap) {
			t.Fatalf("a segment at %s was created: %v", start, err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	n := rapid.IntRange(1, 4).Draw(t, "fragments")
	for i := range n {
		at := time.Duration(i) * time.Second
		err := errors.Join(w.BeginFragment(at, true), w.WriteFrame(1, at, true, [][]byte{payload(i)}),
			w.WriteFrame(1, at+900*time.Millisecond, false, [][]byte{{1}}))
		if _, endErr := w.EndFragment(); err != nil || endErr != nil {
			t.Fatal(err, endErr)
		}
	}
	if err := m.s.BeginEpoch("door", time.Time{}, time.Time{}, 0, start); !errors.Is(err, ErrBusy) {
		t.Fatalf("an epoch began while a segment was written: %v", err)
	}
	if err := w.Seal(); err != nil {
		t.Fatal(err)
	}
	g := &modelSegment{key: w.Key(), end: start.UnixMilli() + int64(n-1)*1000 + 900, state: Sealed}
	if g.key.Epoch != m.epoch {
		t.Fatalf("it was recorded into epoch %d, not %d", g.key.Epoch, m.epoch)
	}
	m.segments, m.last = append(m.segments, g), g.end
}

func (m *epochModel) beginEpoch(t *rapid.T) {
	from, until, at := someTimeOrNone(t, "from"), someTimeOrNone(t, "until"), someTime(t, "at")
	add := rapid.SampledFrom([]time.Duration{0, -2 * time.Hour, -365 * 24 * time.Hour}).Draw(t, "add")
	if err := m.s.BeginEpoch("door", from, until, add, at); err != nil {
		t.Fatal(err)
	}
	switch {
	case m.last == math.MinInt64 && m.epoch == 0:
		return
	case m.last == math.MinInt64:
		m.begins[m.epoch] = at.UnixMilli()
		return
	}
	n := layout.ClockNote{Epoch: m.epoch, From: at.Add(catalog.TimesAhead).UnixMilli() + 1, AddMS: add.Milliseconds(), Ahead: true}
	if !from.IsZero() {
		n.From = from.UnixMilli()
	}
	if !until.IsZero() {
		n.Until = until.UnixMilli()
	}
	n.GuessMS = min(0, at.UnixMilli()-m.last)
	m.notes = append(m.notes, n)
	m.epoch++
	m.begins[m.epoch], m.last = at.UnixMilli(), math.MinInt64
}

func (m *epochModel) noteClock(t *rapid.T) {
	from := someTime(t, "from")
	until := from.Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "length")) * time.Second)
	if until.UnixMilli() > m.last {
		t.Skip("nothing is noted before it was recorded")
	}
	add := time.Duration(rapid.IntRange(-100, 100).Draw(t, "add")) * time.Minute
	if err := m.s.NoteClock("door", from, until, add); err != nil {
		if !errors.Is(err, ErrClosed) || len(m.segments) > 0 {
			t.Fatal(err)
		}
		return
	}
	m.notes = append(m.notes, layout.ClockNote{Epoch: m.epoch, From: from.UnixMilli(), Until: until.UnixMilli(), AddMS: add.Milliseconds()})
}

func (m *epochModel) some(t *rapid.T) (int, *modelSegment) {
	if len(m.segments) == 0 {
		t.Skip("there is none")
	}
	i := rapid.IntRange(0, len(m.segments)-1).Draw(t, "segment")
	return i, m.segments[i]
}

func (m *epochModel) delete(t *rapid.T) {
	i, g := m.some(t)
	if err := m.s.Delete(g.key); err != nil {
		t.Fatal(err)
	}
	m.segments = slices.Delete(m.segments, i, i+1)
}

func (m *epochModel) upload(t *rapid.T) {
	_, g := m.some(t)
	r, err := m.s.OpenSegment(g.key)
	if err != nil {
		t.Fatal(err)
	}
	list, _, err := r.Fragments()
	for _, f := range list {
		err = errors.Join(err, m.s.MarkPersisted(g.key, f))
	}
	if err := errors.Join(err, r.Close(), m.s.MarkUploaded(g.key)); err != nil {
		t.Fatal(err)
	}
	g.state = Uploaded
}

func (m *epochModel) restart(t *rapid.T) {
	if err := m.s.Close(); err != nil {
		t.Fatal(err)
	}
	var err error
	if m.s, err = Open(Options{Dir: m.dir, Files: unsyncedFiles{}}); err != nil {
		t.Fatal(err)
	}
}

// check holds the store against the model.
func (m *epochModel) check(t *rapid.T) {
	if !slices.IsSortedFunc(m.segments, func(a, b *modelSegment) int { return a.key.Compare(b.key) }) {
		t.Fatal("keys are not in the order of recording")
	}
	m.checkQuery(t, time.Time{}, time.Time{})
	m.checkQuery(t, someTimeOrNone(t, "query from"), someTimeOrNone(t, "query to"))
	for _, g := range m.segments {
		for _, at := range []int64{g.key.Start, g.end} {
			n, _ := m.note(g, at)
			wire, recorded := m.s.Offsets(g.key, time.Duration(at-g.key.Start)*time.Millisecond)
			if wire.Milliseconds() != n.AddMS || at+recorded.Milliseconds() != m.recorded(g, at) {
				t.Fatalf("%s at %d: %s on the wire, recorded %s, want %+v %d", g.key.ID(), at, wire, recorded, n, m.recorded(g, at))
			}
		}
	}
	if got := m.s.LastEnd("door"); got.IsZero() != (m.last == math.MinInt64) || !got.IsZero() && got.UnixMilli() != m.last {
		t.Fatalf("the epoch ends at %s, want %d", got, m.last)
	}
	if got := m.s.Usage("door").Segments; got != len(m.segments) {
		t.Fatalf("%d segments are counted, want %d", got, len(m.segments))
	}
	i := 0
	for info := range m.s.Walk("door", Finished) {
		if i == len(m.segments) || info.Key != m.segments[i].key {
			t.Fatalf("a walk comes to %s as number %d", info.ID(), i)
		}
		i++
	}
	if i != len(m.segments) {
		t.Fatalf("a walk comes to %d of %d", i, len(m.segments))
	}
	at, want := someTime(t, "newest before"), int64(math.MinInt64)
	for _, g := range m.segments {
		if from, to := m.span(g); from < at.UnixMilli() {
			want = max(want, min(to, at.UnixMilli()))
		}
	}
	if got := m.s.NewestBefore("door", at); got.IsZero() != (want == math.MinInt64) || !got.IsZero() && got.UnixMilli() != want {
		t.Fatalf("the newest before %s is of %s, want %d", at, got, want)
	}
}

func (m *epochModel) checkQuery(t *rapid.T, from, to time.Time) {
	var want, pending []Key
	for _, g := range m.segments {
		begin, end := m.span(g)
		if (from.IsZero() || end >= from.UnixMilli()) && (to.IsZero() || begin < to.UnixMilli()) {
			if want = append(want, g.key); g.state == Sealed {
				pending = append(pending, g.key)
			}
		}
	}
	var got []Key
	for _, info := range m.s.Segments("door", from, to) {
		got = append(got, info.Key)
		g := m.segments[slices.IndexFunc(m.segments, func(g *modelSegment) bool { return g.key == info.Key })]
		begin, end := m.span(g)
		if info.RecordedFrom.UnixMilli() != begin || info.RecordedTo.UnixMilli() != end ||
			info.End.UnixMilli() != g.end || info.State != g.state {
			t.Fatalf("%+v, want %d to %d, %+v", info, begin, end, g)
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("from %s to %s there are %v, want %v", from, to, got, want)
	}
	got = nil
	for k, ok := m.s.NextPending(Before("door"), from, to); ok; k, ok = m.s.NextPending(k, from, to) {
		got = append(got, k)
	}
	if !slices.Equal(got, pending) {
		t.Fatalf("from %s to %s there waits %v, want %v", from, to, got, pending)
	}
}

// Whatever happens to the epochs of a stream, nothing is lost or listed twice, and it is found by when it was recorded.
func TestEpochsAgreeWithAModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "epochs")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		m := &epochModel{dir: dir, begins: make(map[uint32]int64), last: math.MinInt64}
		if m.s, err = Open(Options{Dir: dir, Files: unsyncedFiles{}}); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = m.s.Close() }()
		t.Repeat(map[string]func(*rapid.T){
			"record": m.record, "record more": m.record, "begin": m.beginEpoch, "note": m.noteClock, "delete": m.delete,
			"upload": m.upload, "restart": m.restart, "": m.check,
		})
	})
}
