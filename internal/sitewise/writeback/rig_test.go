package writeback

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	cloud "github.com/kvs-edge/kvs-edge-agent/internal/cloud/sitewise"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/receipt"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var begin = time.Date(2026, 3, 1, 12, 0, 0, 300e6, time.UTC)

// fatal is a test, or a run of a property.
type fatal interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// siteWise is AWS IoT SiteWise as the API reference has it.
type siteWise struct {
	t      fatal
	now    func() time.Time
	values map[id]map[time.Time]float64
	puts   map[string]int // how often each value was put, by its property, time and value
	calls  int
	fail   error                            // of all calls
	refuse func(v cloud.Entry) (why string) // "" for not
	after  func() error                     // of a call whose values were taken
}

func newSiteWise(t fatal, now func() time.Time) *siteWise {
	return &siteWise{t: t, now: now, values: map[id]map[time.Time]float64{}, puts: map[string]int{}}
}

func (s *siteWise) Put(_ context.Context, values []cloud.Entry) (list []cloud.Refusal, err error) {
	s.t.Helper()
	s.calls++
	if s.fail != nil {
		return nil, s.fail
	}
	if n := len(values); n < 1 || n > cloud.MaxWrites {
		s.t.Fatalf("a call has %d values", n)
	}
	for i, v := range values {
		why := ""
		if s.refuse != nil {
			why = s.refuse(v)
		}
		if v.Time.Before(s.now().Add(-7*24*time.Hour)) || v.Time.After(s.now().Add(10*time.Minute)) {
			s.t.Errorf("SiteWise is asked to take a value of %s at %s", v.Time, s.now())
			why = outOfRange
		}
		if v.Value > 1e10 || v.Value < -1e10 {
			s.t.Errorf("the value %g is out of range", v.Value)
		}
		if why != "" {
			list = append(list, cloud.Refusal{Entry: i, Code: why, Message: "because"})
			continue
		}
		key := id{v.Asset, v.Property}
		if s.values[key] == nil {
			s.values[key] = map[time.Time]float64{}
		}
		s.values[key][v.Time] = v.Value
		s.puts[fmt.Sprint(key, v.Time, v.Value)]++
	}
	if s.after != nil {
		return list, s.after()
	}
	return list, nil
}

// twice counts the values that were put again although SiteWise had them.
func (s *siteWise) twice() (n int) {
	for _, times := range s.puts {
		n += times - 1
	}
	return n
}

// shown is a range that a player shows.
type shown struct{ from, to time.Time }

// ranges are what getAvailableTimeRanges of AWS's player makes of a property in a view; carried as it does for what is uploaded, where
// the last value before the view counts too.
func (s *siteWise) ranges(property string, from, to time.Time, carried bool) (list []shown) {
	values := s.values[id{asset, property}]
	var last time.Time
	for _, at := range slices.SortedFunc(maps.Keys(values), time.Time.Compare) {
		if !at.After(from.Truncate(time.Second)) {
			last = at
		}
		if at.Before(from.Add(-time.Millisecond)) || at.After(to) {
			continue
		}
		if end := earlier(to, timeOf(values[at])); end.After(later(at, from)) {
			list = append(list, shown{later(at, from), end})
		}
	}
	if carried && !last.IsZero() && timeOf(values[last]).After(from) {
		list = append(list, shown{from, earlier(to, timeOf(values[last]))})
	}
	return list
}

func timeOf(seconds float64) time.Time { return time.UnixMilli(int64(seconds*1000 + 0.5)).UTC() }

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

const (
	stream = "door"
	asset  = "camera-1"
)

var camera = Camera{Stream: stream, Asset: asset, Uploaded: "uploaded", Recorded: "recorded", Cached: "cached"}

// hub is a hub with a camera, whose disk, receipts and clock are values.
type hub struct {
	t       fatal
	now     time.Time
	dir     string
	files   atomicfile.FileSystem
	cloud   *siteWise
	cameras []Camera
	health  *health.Registry
	trusted bool
	kept    time.Duration // by Kinesis Video Streams; 0 = not known
	trickle map[time.Time]bool

	segments []segment.Info // oldest first
	acked    []receipt.Receipt
	w        *Writer
}

func newHub(t fatal, dir string) *hub {
	h := &hub{t: t, now: begin, dir: dir, cameras: []Camera{camera}, trusted: true, trickle: map[time.Time]bool{}, files: fast{}}
	h.cloud = newSiteWise(t, func() time.Time { return h.now })
	h.start()
	return h
}

// fast is a disk whose syncs cost nothing.
type fast struct{ atomicfile.OS }

func (f fast) OpenFile(name string, flag int, mode os.FileMode) (atomicfile.File, error) {
	file, err := f.OS.OpenFile(name, flag, mode)
	return unsynced{file}, err
}

func (fast) SyncDir(string) error { return nil }

type unsynced struct{ atomicfile.File }

func (unsynced) Sync() error { return nil }

// start starts the agent, also after it was killed.
func (h *hub) start() {
	h.health = health.NewRegistry(func() time.Time { return h.now })
	h.w = New(Options{
		Dir: h.dir, Files: h.files, Cameras: func() []Camera { return h.cameras }, Store: h, Receipts: h, Put: h.cloud,
		Health: h.health.Component("", health.JobSiteWise), Now: func() time.Time { return h.now },
		Trusted: func() bool { return h.trusted },
		Trickle: func(_ string, at time.Time) bool { return h.trickle[at.UTC()] },
		Kept:    func(string) (time.Duration, bool) { return h.kept, h.kept > 0 },
	})
	h.w.pace = func(context.Context) error { return nil }
}

// Segments implements Store.
func (h *hub) Segments(_ string, _, _ time.Time) []segment.Info { return h.segments }

// Offsets implements Store.
func (h *hub) Offsets(segment.Key, time.Duration) (wire, recorded time.Duration) { return 0, 0 }

// Read implements Receipts.
func (h *hub) Read(_ string, from, to time.Time, each func(receipt.Receipt)) error {
	for _, r := range h.acked {
		if !r.Producer.Before(from) && r.Producer.Before(to) {
			each(r)
		}
	}
	return nil
}

const (
	fragment = 2 * time.Second
	frame    = 40 * time.Millisecond
)

// record records until now, in segments of five minutes, and passes time.
func (h *hub) record(d time.Duration) {
	for end := h.now.Add(d); h.now.Before(end); {
		n := len(h.segments)
		if n == 0 || h.segments[n-1].State != segment.Writing || h.segments[n-1].End.Sub(h.segments[n-1].StartTime()) >= 5*time.Minute {
			h.seal()
			h.segments = append(h.segments, segment.Info{Key: segment.Key{Stream: stream, Start: h.now.UnixMilli()}, State: segment.Writing})
			n = len(h.segments)
		}
		h.now = h.now.Add(fragment)
		h.segments[n-1].End = h.now.Add(-frame)
	}
}

func (h *hub) seal() {
	if n := len(h.segments); n > 0 {
		h.segments[n-1].State = segment.Sealed
	}
}

// persist has the service acknowledge what was recorded in a time, fragment by fragment.
func (h *hub) persist(from, to time.Time) {
	for at := from; at.Before(to); at = at.Add(fragment) {
		r := receipt.Receipt{Producer: at, Acked: h.now.Truncate(time.Second), Length: earlier(at.Add(fragment), to).Sub(at) - frame}
		h.acked = append(h.acked, r)
		h.w.Note(stream, r)
	}
}

// pass lets the writer work for that long, with a pass each 15 s.
func (h *hub) pass(d time.Duration) {
	for end := h.now.Add(d); h.now.Before(end); {
		h.now = h.now.Add(passEvery)
		h.w.pass(context.Background())
	}
}

// rows are the points of a property as "start end", in seconds since begin.
func (h *hub) rows(property string) (list []string) {
	values := h.cloud.values[id{asset, property}]
	for _, at := range slices.SortedFunc(maps.Keys(values), time.Time.Compare) {
		if at.Nanosecond() == 0 { // no heartbeat
			list = append(list, fmt.Sprintf("%d %.2f", at.Unix()-begin.Unix(), values[at]-float64(begin.Unix())))
		}
	}
	return list
}

// conditions are the codes in force.
func (h *hub) conditions() (list []string) {
	for _, c := range h.health.Component("", health.JobSiteWise).Snapshot().Conditions {
		list = append(list, c.Code)
	}
	return list
}

var errOutage = errors.New("dial tcp: connection refused")

func hubOf(t *testing.T) *hub {
	t.Helper()
	return newHub(t, t.TempDir())
}
