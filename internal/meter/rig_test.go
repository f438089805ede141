package meter

import (
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/faultdisk"
)

// clock is a hub's, which is set and trusted as a test says.
type clock struct {
	mu      sync.Mutex
	now     time.Time
	unknown bool
}

func (c *clock) Time() (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now, !c.unknown
}

func (c *clock) Now() time.Time { now, _ := c.Time(); return now }

func (c *clock) set(t *testing.T, text string) {
	t.Helper()
	now, err := time.Parse(time.RFC3339, text)
	must(t, err)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func (c *clock) trust(known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unknown = !known
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// rig is a meter, its clock and its disk.
type rig struct {
	*Meter
	t      *testing.T
	clock  *clock
	disk   *faultdisk.Disk
	dir    string
	health *health.Registry
	zone   *time.Location
}

func newRig(t *testing.T, cap, now string) *rig {
	t.Helper()
	r := &rig{t: t, clock: &clock{}, disk: faultdisk.New(), dir: filepath.Join(t.TempDir(), "state"), zone: time.UTC}
	r.clock.set(t, now)
	r.open(cap)
	return r
}

// open starts another process, however the previous one ended.
func (r *rig) open(cap string) {
	r.t.Helper()
	c, err := Parse(cap)
	must(r.t, err)
	dir, err := statefile.Open(r.dir, r.disk)
	must(r.t, err)
	r.health = health.NewRegistry(r.clock.Now)
	r.Meter = Open(Options{
		Dir: dir, Clock: r.clock, Cap: c, Zone: r.zone, Health: r.health.Component("", health.JobCloud), Log: zap.NewNop(),
	})
	r.work()
}

// work does what Run would do now.
func (r *rig) work() {
	if r.wake.Clear() {
		r.save(false)
	}
	r.mu.Lock()
	r.roll()
	due := r.due(r.clock.Now())
	r.mu.Unlock()
	if due {
		r.save(false)
	}
	if r.wake.Clear() { // another day
		r.save(false)
	}
	r.judge()
}

// use sends that many bytes, whatever the cap says.
func (r *rig) use(n int64) {
	r.add(&r.sent, &r.received, int(n))
	r.work()
}

// send sends a fragment if its class may, and reports whether it did.
func (r *rig) send(class Class, n int64) bool {
	r.t.Helper()
	answer := r.Take(class, n)
	if answer == Later {
		r.work()
		answer = r.Take(class, n)
	}
	if answer != Granted {
		return false
	}
	r.add(&r.sent, &r.received, int(n))
	r.Return(n)
	r.work()
	return true
}

// code is the condition's, and how severe it is; empty for none.
func (r *rig) code() (code string, severity health.Severity) {
	c, ok := r.health.Component("", health.JobCloud).Snapshot().Worst()
	if !ok {
		return "", 0
	}
	return c.Code, c.Severity
}

var _ atomicfile.FileSystem = (*faultdisk.Disk)(nil)
