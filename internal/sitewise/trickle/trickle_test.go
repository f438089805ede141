package trickle

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/receipt"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/conditiontest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	door   = "door"
	length = 10 * time.Second
)

// hub is one with a camera that is recorded all the time, in a bubble.
type hub struct {
	t       *testing.T
	dir     string
	files   atomicfile.FileSystem
	health  *health.Registry
	marks   *Marks
	trickle *Trickle
	length  time.Duration // of fragments

	mu      sync.Mutex
	names   []string
	since   time.Time // the recording began
	until   time.Time // and ended; zero: it continues
	busy    bool      // a request is open
	active  bool      // the upload is not at rest
	trusted bool
	fail    error
	sent    []Mark
}

func newHub(t *testing.T) *hub {
	h := &hub{t: t, dir: t.TempDir(), files: atomicfile.OS{}, names: []string{door}, since: time.Now(), trusted: true, length: length}
	h.start()
	return h
}

// start makes the parts again, as a start of the agent does.
func (h *hub) start() {
	h.health = health.NewRegistry(time.Now)
	var err error
	if h.marks, err = Open(h.dir, h.files, time.Now); err != nil {
		h.t.Error(err)
	}
	h.trickle = New(Options{
		Streams: func() []string { return get(h, func() []string { return slices.Clone(h.names) }) },
		Newest:  h.newest, Busy: func(string) bool { return get(h, func() bool { return h.busy }) },
		Trusted: func() bool { return get(h, func() bool { return h.trusted }) },
		Marks:   h.marks, Now: time.Now, Health: h.health.Component("", health.JobSiteWise), Log: zap.NewNop(),
	})
}

func get[T any](h *hub, value func() T) T {
	h.mu.Lock()
	defer h.mu.Unlock()
	return value()
}

func (h *hub) set(change func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change()
}

// newest is the newest complete fragment, whether or not it was sent.
func (h *hub) newest(_ string, since time.Time) (f Fragment, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	if !h.until.IsZero() {
		now = h.until
	}
	n := now.Sub(h.since) / h.length
	begin := h.since.Add((n - 1) * h.length)
	if n == 0 || begin.Add(h.length).Before(since) {
		return f, false
	}
	f.Mark = Mark{At: begin.UnixMilli(), End: begin.Add(h.length).UnixMilli() - 40}
	f.Send = func(ctx context.Context, mark func() error) error { return h.send(ctx, f.Mark, mark) }
	return f, !slices.Contains(h.sent, f.Mark)
}

func (h *hub) send(ctx context.Context, m Mark, mark func() error) error {
	if get(h, func() bool { return h.active }) {
		return ErrBusy
	}
	if err := mark(); err != nil {
		return err
	}
	if !h.marks.Has(door, time.UnixMilli(m.At)) {
		h.t.Error("the mark is missing while the fragment is sent")
	}
	if err := get(h, func() error { return h.fail }); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return nil
	}
	h.set(func() { h.sent = append(h.sent, m) })
	h.trickle.Note(door, receipt.Receipt{Producer: time.UnixMilli(m.At), Length: time.Duration(m.End-m.At) * time.Millisecond})
	return nil
}

// run lets it work for that long.
func (h *hub) run(d time.Duration) {
	ctx, cancel := context.WithCancel(h.t.Context())
	defer cancel()
	defer time.AfterFunc(d, cancel).Stop()
	h.trickle.Run(ctx)
}

func (h *hub) conditions() (list []string) {
	for _, c := range h.health.Component("", health.JobSiteWise).Snapshot().Conditions {
		list = append(list, c.Code)
	}
	return list
}

// TestAFragmentAMinute, never two of which a player could think that they belong together, whatever the length of fragments.
func TestAFragmentAMinute(t *testing.T) {
	t.Parallel()
	for _, one := range []time.Duration{time.Second, 2 * time.Second, length, 20 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			h := newHub(t)
			h.length = one
			for range 4 {
				h.run(15 * time.Minute)
				h.start() // none is sent again for that
			}
			if n := len(h.sent); n < 40 || n > 61 {
				t.Errorf("with fragments of %s %d are sent in an hour", one, n)
			}
			for i := range h.sent[1:] {
				gap := time.Duration(h.sent[i+1].At-h.sent[i].End) * time.Millisecond
				if gap <= max(2*time.Second, 2*one) || gap > 2*(Every+one) {
					t.Errorf("with fragments of %s two are %s apart", one, gap)
				}
			}
		})
	}
}

// TestOnlyAColdStreamIsKeptWarm: what is uploaded otherwise, asked for, not new, or of a clock that is not trusted is left alone.
func TestOnlyAColdStreamIsKeptWarm(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		is  func(h *hub)
		not func(h *hub)
	}{
		"a request that is open": {func(h *hub) { h.busy = true }, func(h *hub) { h.busy = false }},
		"an upload under way":    {func(h *hub) { h.active = true }, func(h *hub) { h.active = false }},
		"a clock that is wrong":  {func(h *hub) { h.trusted = false }, func(h *hub) { h.trusted = true }},
		"no recording":           {func(h *hub) { h.until = h.since }, func(h *hub) { h.until = time.Time{} }},
		"an old recording":       {func(h *hub) { h.since, h.until = h.since.Add(-time.Hour), h.since.Add(-3*time.Minute) }, nil},
		"no camera":              {func(h *hub) { h.names = nil }, func(h *hub) { h.names = []string{door} }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHub(t)
				h.set(func() { row.is(h) })
				h.run(10 * time.Minute)
				if _, marked := h.marks.Newest(door); len(h.sent) > 0 || marked {
					t.Errorf("%d are sent, marked: %v", len(h.sent), marked)
				}
				if row.not == nil {
					return
				}
				h.set(func() { row.not(h) })
				h.run(2 * time.Minute)
				if len(h.sent) == 0 {
					t.Error("it is left alone afterwards")
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		for range 60 { // something is uploaded all the time
			h.run(30 * time.Second)
			h.trickle.Note(door, receipt.Receipt{Producer: time.Now().Add(-48 * time.Hour), Length: time.Second})
		}
		if n := len(h.sent); n > 1 { // before the first
			t.Errorf("%d are sent of a stream that is warm", n)
		}
	})
}

// TestWhatFailsIsTriedLessOften and reported when it fails for long.
func TestWhatFailsIsTriedLessOften(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		h.fail = health.SystemFault("upload", nil, "Nothing gets through.")
		h.run(time.Hour)
		if n := len(h.marks.streams[door]); n < 4 || n > 10 {
			t.Errorf("it was tried %d times in an hour", n)
		}
		list := h.health.Component("", health.JobSiteWise).Snapshot().Conditions
		if len(list) != 1 || list[0].Code != Code+"/"+door || list[0].Text != "Stream door is not kept warm for players: Nothing gets through." {
			t.Errorf("the conditions are %+v", list)
		}
		h.set(func() { h.fail = nil })
		h.run(17 * time.Minute)
		if got := h.conditions(); len(got) > 0 || len(h.sent) == 0 {
			t.Errorf("%d are sent, and the conditions are %v", len(h.sent), got)
		}
	})
}

// TestAFragmentForWhichOthersGoFirst does not count as a failure, has no mark, and the next is tried a minute later.
func TestAFragmentForWhichOthersGoFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		h.fail = ErrBusy
		tries := 0
		newest := h.trickle.o.Newest
		h.trickle.o.Newest = func(name string, since time.Time) (f Fragment, ok bool) {
			f, ok = newest(name, since)
			send := f.Send
			f.Send = func(ctx context.Context, mark func() error) error {
				h.set(func() { tries++ })
				return send(ctx, mark)
			}
			return f, ok
		}
		h.run(time.Hour)
		if n := get(h, func() int { return tries }); n < 50 || n > 60 {
			t.Errorf("it was tried %d times in an hour", n)
		}
		for _, restart := range []bool{false, true} {
			if restart {
				h.start()
			}
			if left := h.marks.streams[door]; len(left) > 0 {
				t.Errorf("restart %v: %v have a mark, and nothing was sent", restart, left)
			}
		}
		if got := h.conditions(); len(got) > 0 {
			t.Errorf("the conditions are %v", got)
		}
		h.fail = nil
		h.run(2 * time.Minute)
		if n := len(h.sent); n == 0 || n > 2 {
			t.Errorf("then %d are sent", n)
		}
	})
}

// TestTheTrickleEndsWithItsContext, also in the middle of sending.
func TestTheTrickleEndsWithItsContext(t *testing.T) {
	t.Parallel()
	for name, why := range map[string]func(context.Context) error{
		"and says so": context.Context.Err, "and does not": func(context.Context) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := newHub(t)
				h.trickle.o.Newest = func(string, time.Time) (f Fragment, ok bool) {
					f.Mark = Mark{At: time.Now().UnixMilli(), End: time.Now().UnixMilli()}
					f.Send = func(ctx context.Context, _ func() error) error { <-ctx.Done(); return why(ctx) }
					return f, true
				}
				h.run(time.Second)
				h.run(2 * time.Minute) // where nothing is taken in time, that is a failure
				if n := h.trickle.streams[door].failures; n != 1 {
					t.Errorf("%d failures", n)
				}
				h.run(20 * time.Minute)
				list := h.health.Component("", health.JobSiteWise).Snapshot().Conditions
				if len(list) != 1 || !strings.Contains(list[0].Text, "takes no fragment within") {
					t.Errorf("the conditions are %+v", list)
				}
			})
		})
	}
}

// full is a disk that may be full.
type full struct {
	atomicfile.OS
	is atomic.Bool
}

func (f *full) OpenFile(name string, flag int, mode os.FileMode) (atomicfile.File, error) {
	if f.is.Load() {
		return nil, errors.New("no space left on device")
	}
	return f.OS.OpenFile(name, flag, mode)
}

// conditionRows are the conditions of the trickle.
var conditionRows = []conditiontest.Row{
	{Code: Code, Job: health.JobSiteWise, Limit: 2 * time.Minute, Reason: "it is tried each minute",
		Start: func(t *testing.T) conditiontest.Case {
			h := newHub(t)
			disk := &full{}
			h.files = disk
			h.start()
			pass := func() { h.run(30 * time.Second) }
			return conditiontest.Case{Health: h.health, Now: time.Now, Pass: pass,
				Raise: func() { disk.is.Store(true); pass() }, Repair: func() { disk.is.Store(false) }}
		}},
}

func TestConditionsEnd(t *testing.T) {
	t.Parallel()
	for _, row := range conditionRows {
		for _, way := range conditiontest.Ways {
			t.Run(row.Code+"/"+string(way), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { conditiontest.Check(t, row, way) })
			})
		}
	}
}
