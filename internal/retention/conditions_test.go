package retention

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/conditiontest"
)

// conditionRows are the conditions that retention reports of a stream and of the disk.
var conditionRows = []conditiontest.Row{
	{Code: "limit-reached", Job: health.JobRetention, Start: inYard(func(y *yard, d *failing) (raise, repair func()) {
		y.add(conditiontest.Stream, 0, 3000, false)
		raise = func() { y.keeper.SetPolicy(conditiontest.Stream, Policy{MaxBytes: 1000, OnFull: DenyNew}) }
		return raise, func() { y.keeper.SetPolicy(conditiontest.Stream, Policy{MaxBytes: 1 << 20, OnFull: DenyNew}) }
	})},
	{Code: "disk-low", Job: health.JobRetention, Start: inYard(func(y *yard, d *failing) (raise, repair func()) {
		y.keeper.SetPolicy(conditiontest.Stream, Policy{OnFull: DenyNew})
		y.add(conditiontest.Stream, 0, 3000, false)
		return func() { y.free = 1 << 10 }, func() { y.free = 1 << 40 }
	})},
	{Code: "disk", Job: health.JobRetention, Start: inYard(func(y *yard, d *failing) (raise, repair func()) {
		y.keeper.SetPolicy(conditiontest.Stream, Policy{DeleteAfterUpload: true})
		y.add(conditiontest.Stream, 0, 3000, true)
		d.stuck, d.unknown = true, true // the stream's condition and the agent's
		return func() {}, func() { d.stuck, d.unknown = false, false }
	})},
	{
		Code: "deleted-before-upload", Job: health.JobRetention, Limit: rememberLoss + time.Minute,
		Reason: "a loss is an event that cannot be undone; it is shown for a day",
		Start: inYard(func(y *yard, d *failing) (raise, repair func()) {
			y.keeper.SetPolicy(conditiontest.Stream, Policy{MaxAge: time.Hour})
			y.add(conditiontest.Stream, 0, 3000, false)
			return func() { y.elapse(time.Minute) }, func() {}
		}),
	},
	{
		Code: "clock", Job: health.JobRetention, Limit: trustAfter + time.Minute,
		Reason: "a clock must be right for an hour to be trusted with deletions",
		Start: inYard(func(y *yard, d *failing) (raise, repair func()) {
			y.add(conditiontest.Stream, 0, 3000, true)
			y.synced = true
			y.pass()
			raised := false
			return func() {
				if !raised {
					raised, y.now = true, y.now.Add(30*24*time.Hour)
				}
			}, func() {}
		}),
	},
	{Code: "times-wrong", Job: health.JobRetention, Start: inYard(func(y *yard, d *failing) (raise, repair func()) {
		y.add(conditiontest.Stream, 0, 3000, false)
		ahead := y.add(conditiontest.Stream, year, 3000, false)
		raised := false
		raise = func() {
			if !raised {
				raised = true
				y.endEpoch(conditiontest.Stream, begin.Add(year), time.Time{}, -year)
			}
		}
		return raise, func() {
			if err := y.store.Delete(ahead); err != nil {
				y.t.Fatal(err)
			}
		}
	})},
	{Code: "disk-filled", Job: health.JobRetention, Start: inYard(func(y *yard, d *failing) (raise, repair func()) {
		y.add(conditiontest.Stream, 0, 3000, false)
		return func() { y.free = 1 << 19 }, func() { y.free = 1 << 40 }
	})},
	{Code: "disk-not-freed", Job: health.JobRetention, Start: inYard(func(y *yard, d *failing) (raise, repair func()) {
		y.addThree()
		return func() { y.free, d.keeps = 2_500_000, true }, func() { d.keeps = false }
	})},
	{Code: "recordings-held", Job: health.JobRetention, Start: inYard(func(y *yard, d *failing) (raise, repair func()) {
		y.addThree()
		return func() { y.free, d.held = 2_500_000, true }, func() { d.held = false }
	})},
	{Code: "disk-not-freed", Job: health.JobRetention, Start: inYard(func(y *yard, d *failing) (raise, repair func()) {
		y.addThree()
		return func() { y.free, d.keeps = 2_500_000, true }, func() { y.free = 1 << 40 } // somebody else deleted something
	})},
	{Code: "recordings-held", Job: health.JobRetention, Start: inYard(func(y *yard, d *failing) (raise, repair func()) {
		y.addThree()
		return func() { y.free, d.held = 2_500_000, true }, func() { y.free = 1 << 40 }
	})},
	{Code: "reserve-too-large", Job: health.JobRetention, Start: inYard(func(y *yard, d *failing) (raise, repair func()) {
		unfit := false
		y.keeper.o.Unfit = func(uint64) *health.Fault {
			if !unfit {
				return nil
			}
			return health.UserFault(CodeReserve, nil, "The reserve is larger than the disk.")
		}
		return func() { unfit = true }, func() { unfit = false }
	})},
	{Code: "policies", Job: health.JobRetention, Start: inYard(func(y *yard, d *failing) (raise, repair func()) {
		blocked := filepath.Join(y.t.TempDir(), "file")
		y.keeper.o.Policies = filepath.Join(blocked, "policies.json")
		y.keeper.SetPolicy(conditiontest.Stream, Policy{MaxAge: time.Hour})
		if err := os.WriteFile(blocked, nil, 0o600); err != nil {
			y.t.Fatal(err)
		}
		return func() {}, func() {
			if err := os.Remove(blocked); err != nil {
				y.t.Fatal(err)
			}
		}
	})},
	{Code: "losses", Job: health.JobRetention, Start: inYard(func(y *yard, d *failing) (raise, repair func()) {
		blocked := filepath.Join(y.t.TempDir(), "file")
		y.keeper.o.Losses = filepath.Join(blocked, "losses.json")
		y.keeper.losses.unsaved = true
		if err := os.WriteFile(blocked, nil, 0o600); err != nil {
			y.t.Fatal(err)
		}
		return func() {}, func() {
			if err := os.Remove(blocked); err != nil {
				y.t.Fatal(err)
			}
		}
	})},
}

func TestConditionsEnd(t *testing.T) {
	t.Parallel()
	for _, row := range conditionRows {
		for _, way := range conditiontest.Ways {
			t.Run(row.Code+"/"+string(way), func(t *testing.T) {
				t.Parallel()
				conditiontest.Check(t, row, way)
			})
		}
	}
}

// A segment that could not be deleted, and need not be deleted any longer, ends the condition.
func TestADiskFaultEndsWithWhatWasToBeDeleted(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	disk := &failing{fakeDisk: fakeDisk{y.store, y}, stuck: true}
	y.keeper.o.Store = disk
	y.keeper.SetPolicy("door", Policy{DeleteAfterUpload: true})
	y.add("door", 0, 3000, true)
	for range 3 {
		y.pass()
		if _, ok := y.condition("door", segment.CodeDisk); !ok {
			t.Error("that it cannot be deleted is not reported")
		}
	}
	y.keeper.SetPolicy("door", Policy{})
	y.pass()
	if c, ok := y.condition("door", segment.CodeDisk); ok {
		t.Errorf("%q is still reported", c.Text)
	}
}

func TestRecordingsThatAreHeldAreCounted(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	y.keeper.o.Store = &failing{fakeDisk: fakeDisk{y.store, y}, held: true}
	for i := range 5 {
		y.add(conditiontest.Stream, time.Duration(i)*time.Minute, 200_000, true)
	}
	y.free = 1_600_000 // 600,000 of it free, where 1 MiB is to be: three recordings would do
	y.pass()
	if c, ok := y.condition("", codeHeld); !ok || !strings.Contains(c.Text, "another program holds 3 recordings (60") {
		t.Errorf("%v %q", ok, c.Text)
	}
}

// failing is a disk that does not do everything.
type failing struct {
	fakeDisk
	stuck   bool // nothing is deleted
	unknown bool // nobody knows how full it is
	keeps   bool // what is deleted is not free
	held    bool // somebody else has everything open
}

func (f *failing) Held(segment.Key) (held, known bool) { return f.held, true }

func (f *failing) Delete(k segment.Key) error {
	if f.stuck {
		return health.SystemFault(segment.CodeDisk, errors.New("EIO"), "The disk has read or write errors.")
	}
	return f.fakeDisk.Delete(k)
}

func (f *failing) DiskFree() (free, total uint64, err error) {
	if f.unknown {
		return 0, 0, health.SystemFault(segment.CodeDisk, errors.New("EIO"), "The disk has read or write errors.")
	}
	free, total, err = f.fakeDisk.DiskFree()
	if f.keeps {
		free -= uint64(f.Deleted())
	}
	return free, total, err
}

// addThree records three segments of 600 kB, and uploads them.
func (y *yard) addThree() {
	for i := range 3 {
		y.add(conditiontest.Stream, time.Duration(i)*10*time.Second, 600_000, true)
	}
}

// inYard has a pass every ten seconds of an injected clock.
func inYard(arrange func(*yard, *failing) (raise, repair func())) func(*testing.T) conditiontest.Case {
	return func(t *testing.T) conditiontest.Case {
		y := newYard(t)
		disk := &failing{fakeDisk: fakeDisk{y.store, y}}
		y.keeper.o.Store = disk
		y.pass()
		raise, repair := arrange(y, disk)
		pass := func() { y.elapse(10 * time.Second); y.pass() }
		return conditiontest.Case{
			Health: y.health, Now: func() time.Time { return y.now },
			Pass: pass, Raise: func() { raise(); pass() }, Repair: repair,
			Ways: map[conditiontest.Way]func(){
				conditiontest.Reload:        y.keeper.Wake,
				conditiontest.Configuration: func() { y.keeper.SetPolicy("yard", Policy{}) },
			},
		}
	}
}
