package retention_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/hold"
	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/retention"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// modelled is a segment as the model knows it.
type modelled struct {
	start, end time.Time
	fragments  []mkv.Fragment
	done       int // of fragments
	refused    bool
	state      segment.State
	bytes      int64 // as the store says, for the rules that count them
	readers    []*segment.Reader
	confirmed  bool // an audit found it in the cloud since the start of the process
}

// whole reports whether all of a segment is in the cloud.
func (g *modelled) whole() bool { return g.state == segment.Uploaded && !g.refused }

// modelStream is a stream as the model knows it.
type modelStream struct {
	name     string
	segments []*modelled // by start
	writer   *segment.Writer
	last     time.Time
	before   time.Time // last when the open segment began
	growing  int64     // what the limit counts of the open segment beside its bytes
	policy   retention.Policy
	lost     int64
	holds    []hold.Hold
	unread   []byte // the file of holds as it was before it was damaged; nil when it can be read
}

// model is a random test: what the store and the keeper should have come to.
type model struct {
	t       *testing.T
	random  *rand.Rand
	dir     string
	store   *segment.Store
	keeper  *retention.Keeper
	health  *health.Registry
	now     time.Time
	uptime  time.Duration
	free    int64 // of the disk without any media
	synced  bool
	streams []*modelStream
	taken   int // deleted by passes
	audits  modelAudits
}

var modelBegin = time.Date(2026, 11, 21, 4, 0, 0, 0, time.UTC)

const (
	modelReserve = 64 << 10
	modelPlenty  = 16 << 20
	modelRecord  = 16 << 10 // what one step records at most
)

func (m *model) open() {
	m.t.Helper()
	var err error
	if m.store, err = segment.Open(segment.Options{Dir: m.dir, HoldMost: func(uint64) int64 { return modelHoldMost }}); err != nil {
		m.t.Fatal(err)
	}
	m.health = health.NewRegistry(func() time.Time { return m.now })
	m.keeper = retention.New(retention.Options{
		Store: modelDisk{m.store, m}, Health: m.health, Losses: filepath.Join(m.dir, "losses"),
		MinFree: func(uint64) uint64 { return modelReserve },
		Now:     func() time.Time { return m.now }, Uptime: func() time.Duration { return m.uptime },
		SinceBoot: func() time.Duration { return m.uptime }, Synchronised: func() bool { return m.synced },
		Confirmed: func(k segment.Key) bool { return m.audits.May(k) },
	})
	m.openAudits()
	m.keeper.WaitForNoSpace()
	for _, s := range m.streams {
		m.keeper.SetPolicy(s.name, s.policy)
	}
}

// modelDisk is the store with a disk of the model's size.
type modelDisk struct {
	*segment.Store
	m *model
}

func (d modelDisk) DiskFree() (free, total uint64, err error) {
	return uint64(max(0, d.m.room())), 1 << 40, nil
}

// Held does not know the files that a crash of the model leaves open.
func (modelDisk) Held(segment.Key) (held, known bool) { return false, true }

func (m *model) room() int64 {
	room := m.free
	for _, s := range m.streams {
		room -= m.store.Usage(s.name).Bytes
	}
	return room
}

func (m *model) fail(format string, args ...any) {
	m.t.Helper()
	m.t.Fatalf(format, args...)
}

// step does one thing that may happen to a hub.
func (m *model) step() string {
	s := m.streams[m.random.IntN(len(m.streams))]
	m.elapse(time.Duration(m.random.IntN(20_000)) * time.Millisecond)
	switch n := m.random.IntN(1000); {
	case n < 330:
		return m.record(s)
	case n < 600:
		return m.upload(s)
	case n < 700:
		return m.read(s)
	case n < 960:
		return m.pass()
	case n < 970:
		return m.stepClock()
	case n < 985:
		s.policy = m.anyPolicy()
		m.keeper.SetPolicy(s.name, s.policy)
		return fmt.Sprintf("policy of %s: %+v", s.name, s.policy)
	case n < 993:
		m.free = modelPlenty
		if m.random.IntN(2) == 0 {
			m.free += m.random.Int64N(1<<19) - m.room() // a disk never has less than nothing
		}
		return "another disk size"
	default:
		return m.crash()
	}
}

func (m *model) elapse(d time.Duration) {
	m.now = m.now.Add(d)
	m.uptime += d
}

// stepClock steps the clock: a little, by a day, or by years. It was confirmed before: what happens to the times of one that was not has
// tables of its own.
func (m *model) stepClock() string {
	m.synced = true
	m.pass()
	steps := []time.Duration{time.Minute, 25 * time.Hour, 100 * time.Hour, 5 * 365 * 24 * time.Hour}
	d := steps[m.random.IntN(len(steps))]
	if m.random.IntN(2) == 0 || m.now.Sub(modelBegin) > 20*365*24*time.Hour {
		d = -d
	}
	if back := m.now.Add(d); back.Before(time.Unix(0, 0)) {
		d = modelBegin.Sub(m.now)
	}
	m.now = m.now.Add(d)
	m.synced = m.random.IntN(2) == 0
	m.elapse(time.Duration(m.random.IntN(90)) * time.Minute)
	return fmt.Sprintf("the clock steps by %s", d)
}

func (m *model) anyPolicy() retention.Policy {
	var p retention.Policy
	if m.random.IntN(2) == 0 {
		p.MaxAge = time.Duration(1+m.random.IntN(20)) * time.Minute
	}
	if m.random.IntN(4) > 0 { // few without, or the test is slow
		p.MaxBytes = int64(20_000 + m.random.IntN(200_000))
	}
	p.OnFull = desired.OnFull(m.random.IntN(2))
	p.DeleteAfterUpload = m.random.IntN(3) == 0
	return p
}

// record begins a segment, continues it, or ends it.
func (m *model) record(s *modelStream) string {
	if m.room() < modelRecord {
		return "the disk is full"
	}
	if s.writer == nil {
		start := m.now.Truncate(time.Millisecond)
		if !start.After(s.last) {
			start = s.last.Add(time.Millisecond)
		}
		w, err := m.store.Create(s.name, mkv.Header{Start: start, Tracks: []mkv.Track{{Number: 1, Kind: mkv.Video, CodecID: mkv.CodecAVC}}})
		if errors.Is(err, segment.ErrPaused) {
			return s.name + " is paused"
		}
		if err != nil {
			m.fail("create: %v", err)
		}
		s.writer = w
		s.segments = append(s.segments, &modelled{start: start, end: start, state: segment.Writing})
		s.before, s.last = s.last, start
	}
	current := s.segments[len(s.segments)-1]
	for range 1 + m.random.IntN(2) {
		at := current.end.Sub(current.start)
		err := s.writer.BeginFragment(at, true)
		if err == nil {
			err = s.writer.WriteFrame(1, at, true, [][]byte{make([]byte, 1+m.random.IntN(4000))})
		}
		if errors.Is(err, segment.ErrPaused) {
			m.seal(s)
			return s.name + " is full"
		}
		if err == nil {
			err = s.writer.WriteFrame(1, at+time.Second, false, [][]byte{{1}})
		}
		full := errors.Is(err, segment.ErrPaused)
		if full {
			err = nil
		}
		f, endErr := s.writer.EndFragment()
		if err = errors.Join(err, endErr); err != nil {
			m.fail("write: %v", err)
		}
		current.fragments = append(current.fragments, f)
		current.end = current.start.Add(f.Last)
		s.last = current.end
		if full {
			m.seal(s)
			return s.name + " is full"
		}
	}
	if m.random.IntN(2) == 0 {
		m.seal(s)
	}
	return "record " + s.name
}

// seal ends the open segment. One without a fragment leaves nothing.
func (m *model) seal(s *modelStream) {
	if err := s.writer.Seal(); err != nil {
		m.fail("seal: %v", err)
	}
	current := s.segments[len(s.segments)-1]
	s.writer, current.state = nil, segment.Sealed
	if len(current.fragments) == 0 {
		s.segments = s.segments[:len(s.segments)-1]
		s.last = s.before
	}
}

// upload persists some fragments of a segment, and now and then has one refused.
func (m *model) upload(s *modelStream) string {
	i := slices.IndexFunc(s.segments, func(g *modelled) bool { return g.state != segment.Uploaded })
	if i < 0 {
		return "nothing to upload"
	}
	if m.random.IntN(4) == 0 {
		i += m.random.IntN(len(s.segments) - i)
	}
	g := s.segments[i]
	if g.state == segment.Uploaded {
		return "uploaded already"
	}
	k := segment.Key{Stream: s.name, Start: g.start.UnixMilli()}
	for g.done < len(g.fragments) && m.random.IntN(5) > 0 {
		f := g.fragments[g.done]
		var err error
		if m.random.IntN(50) == 0 {
			err = m.store.MarkRefused(k, f, "4006")
			g.refused = true
		} else {
			err = m.store.MarkPersisted(k, f)
		}
		if err != nil {
			m.fail("mark: %v", err)
		}
		g.done++
	}
	err := m.store.MarkUploaded(k)
	complete := g.state == segment.Sealed && g.done == len(g.fragments)
	switch {
	case complete && err == nil:
		g.state = segment.Uploaded
	case complete || !errors.Is(err, segment.ErrIncomplete):
		m.fail("uploaded with %d of %d fragments done, state %s: %v", g.done, len(g.fragments), g.state, err)
	}
	return "upload " + s.name
}

// read opens a segment, or closes one that is open.
func (m *model) read(s *modelStream) string {
	if len(s.segments) == 0 {
		return "nothing to read"
	}
	g := s.segments[m.random.IntN(len(s.segments))]
	if len(g.readers) > 0 {
		if err := g.readers[0].Close(); err != nil {
			m.fail("close: %v", err)
		}
		g.readers = g.readers[1:]
		return "close a reader of " + s.name
	}
	r, err := m.store.OpenSegment(segment.Key{Stream: s.name, Start: g.start.UnixMilli()})
	if err != nil {
		m.fail("open: %v", err)
	}
	list, finished, err := r.Fragments()
	if err != nil || len(list) != len(g.fragments) || finished == (g.state == segment.Writing) {
		m.fail("%d fragments, finished %v, %v; want %d of a segment that is %s", len(list), finished, err, len(g.fragments), g.state)
	}
	if m.random.IntN(4) == 0 {
		g.readers = append(g.readers, r)
		return "hold a reader of " + s.name
	}
	if err := r.Close(); err != nil {
		m.fail("close: %v", err)
	}
	return "read " + s.name
}

// crash ends the process without a word and starts it again.
func (m *model) crash() string {
	for _, s := range m.streams {
		for _, g := range s.segments {
			for _, r := range g.readers {
				_ = r.Close()
			}
			g.readers = nil
			if g.state == segment.Writing {
				g.state = segment.Sealed
			}
		}
		s.writer = nil
	}
	_ = m.store.Close()
	m.open()
	return "crash"
}

// pass has the keeper make a pass and holds what it took against the rules.
func (m *model) pass() string {
	for _, s := range m.streams {
		for i, info := range m.store.Segments(s.name, time.Time{}, time.Time{}) {
			s.segments[i].bytes = info.Bytes
		}
		s.growing = m.store.Usage(s.name).Growing
	}
	roomBefore := m.room()
	lowBefore := roomBefore < modelReserve
	suffices := m.free
	for _, s := range m.streams {
		if s.policy.OnFull == retention.DenyNew {
			for _, g := range s.segments { // a segment goes as a whole or not at all
				if !g.whole() {
					suffices -= g.bytes
				}
			}
		}
	}
	m.keeper.Pass(m.t.Context())
	low := lowBefore || m.room() < modelReserve
	trusted := m.keeper.ClockTrusted()
	m.expire(trusted)
	taken := 0
	uploadedLeft, anyLeft := false, false
	for _, s := range m.streams {
		gone := m.takeAway(s)
		taken += len(gone)
		m.judge(s, gone, trusted, low)
		for _, g := range s.segments {
			free := g.state != segment.Writing && len(g.readers) == 0 && !s.held(g)
			uploadedLeft = uploadedLeft || (free && g.whole())
			anyLeft = anyLeft || (free && (g.whole() || s.policy.OnFull == retention.DeleteOldest && suffices >= modelReserve))
		}
	}
	if m.room() < modelReserve && anyLeft {
		m.fail("the disk has %d bytes (%d before), %d must be free, and there is something to delete: %+v", m.room(), roomBefore, modelReserve,
			m.keeper.Account())
	}
	m.taken += taken
	return fmt.Sprintf("pass: %d deleted", taken)
}

// takeAway moves what the store no longer has out of the model.
func (m *model) takeAway(s *modelStream) []*modelled {
	there := make(map[int64]bool)
	for _, info := range m.store.Segments(s.name, time.Time{}, time.Time{}) {
		there[info.Start] = true
	}
	var gone []*modelled
	s.segments = slices.DeleteFunc(s.segments, func(g *modelled) bool {
		if there[g.start.UnixMilli()] {
			return false
		}
		gone = append(gone, g)
		return true
	})
	return gone
}

// judge holds a deletion against the policy.
func (m *model) judge(s *modelStream, gone []*modelled, trusted, low bool) {
	p := s.policy
	uploaded := func(g *modelled) bool { return p.DeleteAfterUpload && g.whole() && (!m.audits.on || g.confirmed) }
	old := func(g *modelled) bool {
		return p.MaxAge > 0 && trusted && g.state != segment.Writing && g.end.Before(m.now.Add(-p.MaxAge)) && !hubclock.Unset(g.end)
	}
	bytes := s.growing
	for _, g := range s.segments {
		if s.held(g) { // a hold may have ended in this pass
			if g.state == segment.Writing {
				bytes -= s.growing
			}
			continue
		}
		bytes += g.bytes
		if len(g.readers) == 0 && (uploaded(g) || old(g)) {
			m.fail("%s: a segment of %s should be gone: %+v", s.name, g.start, p)
		}
	}
	threshold := p.MaxBytes - p.MaxBytes/1000 - p.MaxBytes/retention.SegmentsPerLimit
	var last *modelled // of what went for the limit, by the order of deletion
	for _, g := range gone {
		if !uploaded(g) && !old(g) && (last == nil || !g.whole() || last.whole()) {
			last = g
		}
	}
	if last != nil && !low && (p.OnFull == retention.DenyNew || p.MaxBytes == 0 || bytes+last.bytes <= threshold) {
		m.fail("%s: deleted without need: %d bytes of %d are left, it had %d", s.name, bytes, threshold, last.bytes)
	}
	for _, g := range gone {
		if g.state == segment.Writing || len(g.readers) > 0 {
			m.fail("%s: a segment in use was deleted", s.name)
		}
		if s.held(g) {
			m.fail("%s: a segment that is held was deleted: %+v of %+v", s.name, g, s.holds)
		}
		if !g.whole() {
			s.lost++
		}
		if uploaded(g) || old(g) {
			continue
		}
		// What is left: for the limit, or for the disk.
		if p.OnFull == retention.DenyNew && !g.whole() {
			m.fail("%s: a stream that denies new media lost what was not uploaded", s.name)
		}
		for _, kept := range s.segments {
			if kept.state == segment.Writing || len(kept.readers) > 0 || s.held(kept) {
				continue
			}
			if kept.whole() == g.whole() && kept.start.Before(g.start) {
				m.fail("%s: a newer segment was deleted before an older one", s.name)
			}
			if kept.whole() && !g.whole() {
				m.fail("%s: a segment that is not uploaded was deleted before an uploaded one", s.name)
			}
		}
	}
	free := slices.ContainsFunc(s.segments, func(g *modelled) bool { return g.state != segment.Writing && len(g.readers) == 0 && !s.held(g) })
	if p.MaxBytes > 0 && p.OnFull == retention.DeleteOldest && bytes > threshold && free {
		m.fail("%s: %d bytes lie where %d may, and there is something to delete", s.name, bytes, threshold)
	}
	if got := m.health.Component(s.name, health.JobRetention).Value(health.DeletedBeforeUpload); got != s.lost {
		m.fail("%s: %d counted as deleted before upload, it were %d", s.name, got, s.lost)
	}
}

// compare holds a stream of the store against the model.
func (m *model) compare(s *modelStream) {
	list := m.store.Segments(s.name, time.Time{}, time.Time{})
	if len(list) != len(s.segments) {
		m.fail("%s: %d segments, want %d", s.name, len(list), len(s.segments))
	}
	var pending time.Duration
	var bytes int64
	for i, info := range list {
		g := s.segments[i]
		if !info.StartTime().Equal(g.start) || !info.End.Equal(g.end) || info.State != g.state ||
			info.Refused != (g.refused && g.state == segment.Uploaded) {
			m.fail("%s: %+v, want %+v", s.name, info, *g)
		}
		bytes += info.Bytes
		switch {
		case g.state == segment.Uploaded || g.done == len(g.fragments):
		case g.done == 0:
			pending += g.end.Sub(g.start)
		default:
			pending += g.end.Sub(g.start.Add(g.fragments[g.done-1].Last))
		}
	}
	u := m.store.Usage(s.name)
	if u.Bytes != bytes || u.PendingDuration != pending || u.Segments != len(list) {
		m.fail("%s: usage %+v, want %d bytes and %s pending", s.name, u, bytes, pending)
	}
	if got := m.store.LastEnd(s.name); !got.Equal(s.last) && !(s.last.IsZero() && got.IsZero()) {
		m.fail("%s: time has come to %s, want %s", s.name, got, s.last)
	}
}

// runModel does random steps, from two starts, and holds the store against the model after each.
func runModel(t *testing.T, seed uint64, steps int, step func(*model) string, compare func(*model, *modelStream)) {
	const runs = 2
	for run := range runs {
		t.Run(fmt.Sprint(run), func(t *testing.T) {
			t.Parallel()
			m := &model{t: t, random: rand.New(rand.NewPCG(uint64(run), seed)), dir: retention.MemoryDir(t), now: modelBegin, free: modelPlenty}
			for _, name := range []string{"door", "yard", "gate"} {
				m.streams = append(m.streams, &modelStream{name: name, policy: m.anyPolicy()})
			}
			m.open()
			defer func() { _ = m.store.Close() }()
			var last [20]string
			defer func() {
				if t.Failed() {
					t.Logf("the last steps: %q", last)
				}
			}()
			for i := range steps / runs {
				last[i%len(last)] = fmt.Sprint(i, " ", step(m))
				compare(m, m.streams[i%len(m.streams)])
			}
			t.Logf("%d steps, %d segments deleted; %s", steps/runs, m.taken, &m.audits)
		})
	}
}

func TestTheStoreAndRetentionAgreeWithAModel(t *testing.T) {
	t.Parallel()
	steps := testtools.Proof(t, "model", testtools.Sizes[int]{Short: 3_000, Middle: 40_000, Long: 1_000_000})
	runModel(t, 5, steps, (*model).step, (*model).compare)
}
