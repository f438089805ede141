package retention

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// startAgain replaces the keeper by that of another process, which waits for the configuration.
func (y *yard) startAgain(policies string) {
	y.health = health.NewRegistry(func() time.Time { return y.now })
	o := y.keeper.o
	o.Health, o.Policies, o.AwaitConfiguration = y.health, policies, true
	y.keeper = New(o)
	y.keeper.awaitFor = 0
}

// fillYard records eight segments of door, one of them uploaded and one refused, and lets the disk run low.
func (y *yard) fillYard() {
	for i := range 8 {
		k := y.add("door", time.Duration(i)*10*time.Second, mb, i == 4)
		if i == 5 {
			y.upload(k, true)
		}
	}
	y.free = 9*mb + 100_000 // 8 are used and 3 must stay free
	y.keeper.o.MinFree = func(uint64) uint64 { return 3 * mb }
}

func TestNothingGoesBeforeTheConfigurationIsKnown(t *testing.T) {
	t.Parallel()
	for name, policy := range map[string]Policy{"age": {MaxAge: time.Minute}, "size": {MaxBytes: 4 * mb}, "disk": {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			y := newYard(t)
			y.fillYard()
			if name != "disk" {
				y.free = 1 << 40
			}
			y.elapse(time.Hour)
			y.keeper.o.Default = Policy{MaxAge: time.Second} // the media is of nobody yet
			y.startAgain("")
			for range 20 {
				y.pass()
				y.elapse(time.Minute)
			}
			for _, i := range []int{0, 10, 20, 30, 50, 60, 70} { // what is uploaded may go
				if !slices.Contains(y.left("door"), i) {
					t.Fatalf("%v are left", y.left("door"))
				}
			}
			if _, err := y.store.Create("yard", headerOf(begin)); err != nil {
				t.Errorf("recording is paused: %v", err)
			}
			y.keeper.SetPolicy("door", policy)
			y.pass()
			if n := len(y.left("door")); n < 7 {
				t.Errorf("%d are left before all of the configuration is applied", n)
			}
			y.keeper.Applied()
			y.pass()
			if n := y.number("door", health.DeletedBeforeUpload); n == 0 {
				t.Error("nothing goes after it is")
			}
		})
	}
}

// TestAStreamThatDeniesIsNeverRobbedByAStart starts repeatedly with a disk that is full.
func TestAStreamThatDeniesIsNeverRobbedByAStart(t *testing.T) {
	t.Parallel()
	for _, configured := range []bool{true, false} {
		y := newYard(t)
		file := filepath.Join(t.TempDir(), "state", "policies.json")
		y.startAgain(file)
		y.keeper.SetPolicy("door", Policy{MaxBytes: 64 * mb, OnFull: DenyNew})
		y.keeper.Applied()
		y.fillYard()
		y.pass()
		want := y.left("door")
		for range 3 {
			y.startAgain(file)
			y.pass()
			if configured {
				y.keeper.SetPolicy("door", Policy{MaxBytes: 64 * mb, OnFull: DenyNew})
			}
			y.keeper.Applied()
			for range 10 {
				y.pass()
				y.elapse(time.Minute)
			}
			y.expect("door", want...)
		}
	}
}

// TestAnOrphanKeepsItsPolicy removes a policy, starts without it, sets it again, and forgets it.
func TestAnOrphanKeepsItsPolicy(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	file := filepath.Join(t.TempDir(), "policies.json")
	y.keeper.o.Default = Policy{MaxAge: time.Hour}
	y.startAgain(file)
	own := Policy{MaxAge: 100 * time.Hour, MaxBytes: 10 * mb, OnFull: DenyNew, DeleteAfterUpload: true}
	y.keeper.SetPolicy("door", own)
	y.keeper.Applied()
	y.add("door", 0, 1000, false)
	y.pass()
	check := func(what string, want Policy, known bool) {
		t.Helper()
		y.pass()
		if p, ok := y.keeper.PolicyOf("door"); p != want || ok != known {
			t.Errorf("%s: %+v, %v", what, p, ok)
		}
	}
	y.keeper.Remove("door")
	check("no longer configured", own, true)
	y.startAgain(file)
	y.keeper.Applied()
	y.elapse(2 * time.Hour)
	check("started without it", own, true)
	y.expect("door", 0)
	other := Policy{MaxAge: 200 * time.Hour}
	y.keeper.SetPolicy("door", other)
	check("configured again", other, true)
	y.keeper.Remove("door")
	y.startAgain(file)
	y.keeper.Applied()
	check("started without it again", other, true)
	y.elapse(201 * time.Hour)
	check("old", other, true)
	y.expect("door")
	y.elapse(forgetPolicy + time.Hour)
	check("empty for a month", y.keeper.o.Default, false)
	y.keeper.SetPolicy("door", own)
	y.keeper.Remove("door")
	y.keeper.Forget("door")
	check("deleted by a person", y.keeper.o.Default, false)
	y.startAgain(file)
	check("and started again", y.keeper.o.Default, false)
}

func TestADamagedFileOfPoliciesIsSurvived(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	file := filepath.Join(t.TempDir(), "policies.json")
	if err := os.WriteFile(file, []byte(`{"door":{"maxBy`), 0o600); err != nil {
		t.Fatal(err)
	}
	y.startAgain(file)
	y.keeper.SetPolicy("door", Policy{MaxBytes: mb})
	y.pass()
	y.startAgain(file)
	if p, known := y.keeper.PolicyOf("door"); !known || p.MaxBytes != mb {
		t.Errorf("%+v", p)
	}
}

// What the service refused in part exists only here: it goes in its turn with what is not uploaded, and is counted so.
func TestRefusedCountsAsNotUploaded(t *testing.T) {
	t.Parallel()
	for _, why := range []string{"size", "disk"} {
		y := newYard(t)
		for i := range 8 {
			k := y.add("door", time.Duration(i)*10*time.Second, mb, i == 7)
			if i == 2 || i >= 5 && i < 7 {
				y.upload(k, true)
			}
		}
		const each = mb + 2000
		if why == "size" {
			y.keeper.SetPolicy("door", Policy{MaxBytes: 4*each*16/15 + 16})
		} else {
			y.free = 8*each + mb + mb/2
			y.keeper.o.MinFree = func(uint64) uint64 { return 5 * mb }
		}
		y.pass()
		y.expect("door", 30, 40, 50, 60)
		if n := y.number("door", health.DeletedBeforeUpload); n != 3 {
			t.Errorf("%s: %d counted as deleted before upload, want 3", why, n)
		}
		if _, ok := y.condition("door", codeLost); !ok {
			t.Errorf("%s: the loss is not told", why)
		}
	}
}

func TestAStreamThatRefusedFragmentsPauseSaysHowToFreeThem(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	y.upload(y.add("door", 0, 1<<20, false), true)
	y.keeper.SetPolicy("door", Policy{MaxBytes: 1 << 20, OnFull: DenyNew, DeleteAfterUpload: true})
	y.pass()
	y.expect("door", 0)
	if c, ok := y.condition("door", codeFull); !ok ||
		!strings.Contains(c.Text, "1.0 MB are recordings with fragments that the service refused") ||
		!strings.Contains(c.Text, "upload --refused") {
		t.Errorf("%q", c.Text)
	}
}

// TestOthersFillTheDisk has something else take more and more of the disk.
func TestOthersFillTheDisk(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	y.keeper.SetPolicy("door", Policy{})
	y.fillYard()
	y.free = 10*mb + 100_000 // and 3 MB must stay free: one of our segments suffices
	y.pass()
	if n := y.number("door", health.DeletedBeforeUpload); n != 0 || len(y.left("door")) != 7 {
		t.Errorf("%v are left", y.left("door"))
	}
	want := y.left("door")
	y.keeper.o.MinFree = func(uint64) uint64 { return 100 * mb } // and for this all of our segments would not
	for range 30 {
		y.elapse(time.Minute)
		y.pass()
	}
	y.expect("door", want...)
	if c, ok := y.condition("", codeFilled); !ok || !strings.Contains(c.Text, "our recordings take 7.3 MB, everything else") {
		t.Errorf("%q", c.Text)
	}
	y.free = 7*mb + 500_000
	y.keeper.pass(t.Context())
	y.expect("door", want...)
	if _, err := y.store.Create("door", headerOf(begin.Add(time.Hour))); !errors.Is(err, segment.ErrPaused) {
		t.Errorf("recording continues on a disk that is about to be full: %v", err)
	}
	y.free = 1 << 40
	y.pass()
	if _, ok := y.condition("", codeFilled); ok {
		t.Error("it does not end")
	}
	if _, err := y.store.Create("door", headerOf(begin.Add(time.Hour))); err != nil {
		t.Errorf("recording does not continue: %v", err)
	}
}
