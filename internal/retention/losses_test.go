package retention

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// restart replaces the keeper by one that has only the content of the file.
func (y *yard) restart(losses string) {
	y.health = health.NewRegistry(func() time.Time { return y.now })
	o := y.keeper.o
	o.Health, o.Losses = y.health, losses
	y.keeper = New(o)
}

// newYardWithLosses is newYard with a file of losses.
func newYardWithLosses(t *testing.T) (y *yard, file string) {
	t.Helper()
	y = newYard(t)
	file = filepath.Join(t.TempDir(), "state", "losses.json")
	y.restart(file)
	return y, file
}

func TestLossesOutliveARestart(t *testing.T) {
	t.Parallel()
	y, file := newYardWithLosses(t)
	y.keeper.SetPolicy("door", Policy{MaxAge: time.Minute})
	y.add("door", 0, 2_000_000, false)
	y.add("door", time.Minute, 100, true)
	y.elapse(time.Hour)
	y.pass()
	bytes := y.number("door", health.DeletedBeforeUploadBytes)
	lost := y.now
	y.restart(file)
	if n := y.number("door", health.DeletedBeforeUpload); n != 1 || y.number("door", health.DeletedBeforeUploadBytes) != bytes {
		t.Errorf("after a restart %d segments are counted", n)
	}
	if c, ok := y.condition("door", codeLost); !ok ||
		!strings.Contains(c.Text, "since "+lost.Format(time.DateOnly)+": 1 segment (2.0 MB), the last one because it is older") {
		t.Errorf("after a restart it says %q", c.Text)
	}
	y.keeper.SetPolicy("door", Policy{MaxAge: time.Minute})
	y.add("door", 2*time.Hour, 100, false)
	y.elapse(3 * time.Hour)
	y.pass()
	if n := y.number("door", health.DeletedBeforeUpload); n != 2 {
		t.Errorf("%d segments are counted, want both", n)
	}
	y.elapse(rememberLoss + time.Second)
	y.pass()
	if _, ok := y.condition("door", codeLost); ok {
		t.Error("a loss of long ago is still told")
	}
	y.restart(file)
	if _, ok := y.condition("door", codeLost); ok || y.number("door", health.DeletedBeforeUpload) != 2 {
		t.Error("a loss of long ago is reported again, or not counted, after a restart")
	}
}

// loseOne lets a segment of door grow too old before it was uploaded.
func (y *yard) loseOne() {
	y.keeper.SetPolicy("door", Policy{MaxAge: time.Minute})
	y.add("door", 0, 100, false)
	y.elapse(time.Hour)
	y.pass()
}

func TestLossesThatCannotBeKeptAreSaid(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	dir := filepath.Join(t.TempDir(), "state")
	file := filepath.Join(dir, "losses.json")
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // a file where the directory should be
		t.Fatal(err)
	}
	y.restart(file)
	y.loseOne()
	if c, ok := y.condition("", codeLosses); !ok || !strings.Contains(c.Text, file) {
		t.Errorf("it says %q", c.Text)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	y.pass()
	if _, ok := y.condition("", codeLosses); ok {
		t.Error("it does not heal")
	}
	y.restart(file)
	if y.number("door", health.DeletedBeforeUpload) != 1 {
		t.Error("what could not be kept at first is lost")
	}
	if err := os.WriteFile(file, []byte(`{"door":{"segments":3`), 0o600); err != nil {
		t.Fatal(err)
	}
	y.restart(file)
	if y.number("door", health.DeletedBeforeUpload) != 0 {
		t.Error("half a file is believed")
	}
}

func TestTheDiskForecastIsWhatThePassThenDeletes(t *testing.T) {
	t.Parallel()
	const mb = 1 << 20
	y := newYard(t)
	y.keeper.SetPolicy("yard", Policy{})
	y.keeper.SetPolicy("gate", Policy{OnFull: DenyNew})
	for _, stream := range []string{"door", "gate", "yard"} {
		for i := range 8 {
			y.add(stream, time.Duration(i)*time.Minute, mb, i%4 == 1)
		}
	}
	y.keeper.SetPolicy("door", Policy{MaxBytes: 6 * mb})
	y.keeper.JudgeClock()
	y.free, y.keeper.o.MinFree = 25*mb, func(uint64) uint64 { return 12 * mb } // 24 are there
	held := func() (bytes, pending int64) {
		for _, stream := range []string{"door", "gate", "yard"} {
			u := y.store.Usage(stream)
			bytes, pending = bytes+u.Bytes, pending+u.PendingBytes
		}
		return bytes, pending
	}
	bytesBefore, pendingBefore := held()
	f := y.keeper.DiskForecast()
	y.pass()
	bytes, pending := held()
	if f.NextBytes != bytesBefore-bytes || f.NextNotUploaded != pendingBefore-pending || f.NextNotUploaded == 0 || f.NextBytes < 10*mb {
		t.Errorf("foretold: %+v; deleted: %d bytes, %d of them not uploaded", f, bytesBefore-bytes, pendingBefore-pending)
	}
}

func TestALossOfAClockThatWasAheadIsForgotten(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	y.synced = true
	y.add("door", 0, 2<<20, false)
	y.keeper.SetPolicy("door", Policy{MaxBytes: 1 << 20})
	const ahead = 30 * 365 * 24 * time.Hour
	y.now = y.now.Add(ahead)
	y.pass()
	lost := y.now
	if c, ok := y.condition("door", codeLost); !ok || !strings.Contains(c.Text, "since "+lost.Format(time.DateOnly)) {
		t.Fatalf("it says %q", c.Text)
	}
	y.now = y.now.Add(-ahead)
	y.pass()
	if c, ok := y.condition("door", codeLost); !ok || !strings.Contains(c.Text, "since "+y.now.Format(time.DateOnly)) {
		t.Errorf("with the clock set right it says %q", c.Text)
	}
	y.elapse(rememberLoss + time.Second)
	y.pass()
	if c, ok := y.condition("door", codeLost); ok {
		t.Errorf("a loss of long ago is still told: %q", c.Text)
	}
}

// What a hub loses in the minutes after it booted in 1970 is of today, also after a restart.
func TestALossFollowsTheClockThatWasSet(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	file := filepath.Join(t.TempDir(), "losses.json")
	y.restart(file)
	right := time.Now()
	y.now = testtools.Stepped(right, -56*year)
	y.add("door", 0, 2<<20, false)
	y.keeper.SetPolicy("door", Policy{MaxBytes: 1 << 20})
	y.pass()
	y.now = right
	y.elapse(time.Minute)
	y.pass()
	want := "since " + right.UTC().Format(time.DateOnly)
	if c, ok := y.condition("door", codeLost); !ok || !strings.Contains(c.Text, want) {
		t.Errorf("it says %q, want %q", c.Text, want)
	}
	y.restart(file)
	if c, ok := y.condition("door", codeLost); !ok || !strings.Contains(c.Text, want) {
		t.Errorf("after a restart it says %q, want %q", c.Text, want)
	}
}

func TestALossIsCountedAfterAFileThatSaysNothing(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	file := filepath.Join(t.TempDir(), "losses.json")
	if err := os.WriteFile(file, []byte("null"), 0o600); err != nil {
		t.Fatal(err)
	}
	y.restart(file)
	y.loseOne()
	if n := y.number("door", health.DeletedBeforeUpload); n != 1 {
		t.Errorf("%d segments are counted", n)
	}
}

// ranges are what was lost, as seconds after begin.
func (y *yard) ranges(stream string) (list []string) {
	for _, l := range y.keeper.Lost(stream, begin, begin.Add(24*time.Hour)) {
		list = append(list, fmt.Sprintf("%.0f-%.0f", l.From.Sub(begin).Seconds(), l.To.Sub(begin).Seconds()))
	}
	return list
}

// TestWhatWasLostIsKnownByItsTimes also after a restart, until all media of the stream is deleted by somebody.
func TestWhatWasLostIsKnownByItsTimes(t *testing.T) {
	t.Parallel()
	y, file := newYardWithLosses(t)
	y.keeper.SetPolicy("door", Policy{MaxAge: time.Minute})
	for _, s := range []struct {
		after    time.Duration
		uploaded bool
	}{
		{0, false}, {2 * time.Second, false}, {4 * time.Second, false}, {7 * time.Second, true}, {10 * time.Second, false},
		{20 * time.Second, false},
	} {
		y.add("door", s.after, 100, s.uploaded)
	}
	y.add("yard", 0, 100, false)
	y.elapse(time.Hour)
	y.pass()
	want := []string{"0-5", "10-11", "20-21"}
	if got := y.ranges("door"); !slices.Equal(got, want) {
		t.Errorf("lost: %v, want %v", got, want)
	}
	some := y.keeper.Lost("door", begin.Add(5*time.Second), begin.Add(20*time.Second))
	if len(some) != 1 || some[0].Reason != "it is older than EdgeRetentionInHours" {
		t.Errorf("within a time range: %v", some)
	}
	y.restart(file)
	if got := y.ranges("door"); !slices.Equal(got, want) || y.ranges("yard") != nil {
		t.Errorf("after a restart: %v, want %v", got, want)
	}
	y.keeper.Forget("door")
	y.pass()
	if got := y.ranges("door"); got != nil {
		t.Errorf("of a stream that was deleted: %v", got)
	}
}
