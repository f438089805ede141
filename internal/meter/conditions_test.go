package meter_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/meter"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/conditiontest"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/faultdisk"
)

// bubble is the clock of a bubble of synctest.
type bubble struct{}

func (bubble) Time() (time.Time, bool) { return time.Now(), true }

func (bubble) Now() time.Time { return time.Now() }

// running is a meter that runs in a bubble.
type running struct {
	*meter.Meter
	disk     *faultdisk.Disk
	registry *health.Registry
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, dir, cap string) running {
	t.Helper()
	c, err := meter.Parse(cap)
	must(t, err)
	r := running{disk: faultdisk.New(), registry: health.NewRegistry(time.Now)}
	state, err := statefile.Open(dir, r.disk)
	must(t, err)
	r.Meter = meter.Open(meter.Options{Dir: state, Clock: bubble{}, Cap: c, Zone: time.UTC, Health: r.registry.Component("", health.JobCloud)})
	ctx, stop := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { _ = r.Run(ctx) })
	t.Cleanup(func() { stop(); group.Wait() })
	return r
}

// send counts that many bytes.
func (r running) send(n int) {
	conn, chunk := r.Count(sink{}), make([]byte, 1_000_000)
	for ; n > 0; n -= len(chunk) {
		_, _ = conn.Write(chunk)
	}
}

// sink is a connection that takes everything.
type sink struct{ net.Conn }

func (sink) Write(p []byte) (int, error) { return len(p), nil }

var conditionRows = []conditiontest.Row{
	{Code: "upload-cap", Job: health.JobCloud, Start: func(t *testing.T) conditiontest.Case {
		r := run(t, filepath.Join(t.TempDir(), "state"), "1GB/day")
		c := r.conditionCase(func() { r.send(1_000_000_000) }, func() {})
		raised, err := meter.Parse("100GB/day")
		must(t, err)
		follow := func() { r.Follow(raised) }
		nextDay := func() { time.Sleep(24 * time.Hour) }
		c.Ways = map[conditiontest.Way]func(){
			conditiontest.Reload: follow, conditiontest.Success: nextDay, conditiontest.Restart: nextDay,
			conditiontest.Configuration: follow,
		}
		return c
	}},
	{Code: "upload-cap-state", Job: health.JobCloud, Start: func(t *testing.T) conditiontest.Case {
		r := run(t, filepath.Join(t.TempDir(), "state"), "1GB/day")
		return r.conditionCase(func() {
			r.disk.Arm(faultdisk.EIO, 1, 1_000_000)
			r.send(1_000_000)
		}, func() { r.disk.Arm(faultdisk.EIO, 0, 0) })
	}},
	{Code: "upload-cap-state", Job: health.JobCloud, Limit: 24*time.Hour + time.Minute,
		Reason: "a count that was lost is an event, which is shown for a day",
		Start: func(t *testing.T) conditiontest.Case {
			dir := filepath.Join(t.TempDir(), "state")
			must(t, os.Mkdir(dir, 0o700))
			for _, name := range []string{"line-usage.json", "line-usage-2.json"} {
				must(t, os.WriteFile(filepath.Join(dir, name), []byte("damaged"), 0o600))
			}
			r := run(t, dir, "1GB/day")
			c := r.conditionCase(func() {}, func() {})
			c.Step = 10 * time.Minute
			return c
		}},
}

func (r running) conditionCase(raise, repair func()) conditiontest.Case {
	return conditiontest.Case{Health: r.registry, Now: time.Now, Step: time.Second, Raise: raise, Repair: repair}
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
