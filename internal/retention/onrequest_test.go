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
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// TestWhatIsUploadedOnRequestIsNotLost, whatever deletes it: age, size, or the space of the disk. DeleteAfterUpload deletes what was
// uploaded, and nothing else.
func TestWhatIsUploadedOnRequestIsNotLost(t *testing.T) {
	t.Parallel()
	const mb = 1 << 20
	for name, row := range map[string]struct {
		policy Policy
		free   uint64
		left   []int
	}{
		"all is kept":         {policy: Policy{}, free: 1000 * mb, left: []int{0, 10, 20, 30}},
		"deleted when loaded": {policy: Policy{DeleteAfterUpload: true}, free: 1000 * mb, left: []int{0, 20, 30}},
		"age": {policy: Policy{MaxAge: time.Hour - 15*time.Second, DeleteAfterUpload: true}, free: 1000 * mb,
			left: []int{20, 30}},
		"size": {policy: Policy{MaxBytes: 2*(mb+2000)*16/15 + 16}, free: 1000 * mb, left: []int{20, 30}}, // the uploaded one first
		"disk": {policy: Policy{}, free: 4*mb + mb/10, left: []int{20, 30}},
	} {
		y := newYard(t)
		file := filepath.Join(t.TempDir(), "losses.json")
		y.restart(file)
		for i := range 4 {
			y.add("door", time.Duration(i)*10*time.Second, mb, i == 1)
		}
		row.policy.Local = true
		y.keeper.SetPolicy("door", row.policy)
		y.keeper.JudgeClock()
		y.free = row.free
		if name == "age" {
			y.elapse(time.Hour)
		}
		if f := y.keeper.Forecast("door"); f.NextNotUploaded != 0 {
			t.Errorf("%s: %d bytes that are not uploaded are said to be lost", name, f.NextNotUploaded)
		}
		y.pass()
		y.free -= mb // for other files on the disk
		y.pass()
		if left := y.left("door"); !slices.Equal(left, row.left) {
			t.Errorf("%s: segments at %v are left, want %v", name, left, row.left)
		}
		if n := y.number("door", health.DeletedBeforeUpload); n != 0 {
			t.Errorf("%s: %d count as deleted before upload", name, n)
		}
		if c, ok := y.condition("door", codeLost); ok {
			t.Errorf("%s: it says %s", name, c.Text)
		}
		if _, err := os.Stat(file); err == nil {
			t.Errorf("%s: there is a file of losses", name)
		}
	}
}

// TestAFullStreamOnRequest says what makes room in it.
func TestAFullStreamOnRequest(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	y.add("door", 0, 1<<20, false)
	y.keeper.SetPolicy("door", Policy{MaxBytes: 1 << 20, OnFull: DenyNew, DeleteAfterUpload: true, Local: true})
	y.pass()
	y.expect("door", 0)
	_, err := y.store.Create("door",
		mkv.Header{Start: begin.Add(time.Minute), Tracks: []mkv.Track{{Number: 1, Kind: mkv.Video, CodecID: mkv.CodecAVC}}})
	if !errors.Is(err, segment.ErrPaused) || !strings.Contains(err.Error(), "not uploaded by themselves") {
		t.Errorf("a full stream takes a new segment: %v", err)
	}
}

// TestTheModeOfAStreamDecidesWhetherMediaIsLost, also of media that was recorded before it changed, and over a restart.
func TestTheModeOfAStreamDecidesWhetherMediaIsLost(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	for i := range 3 {
		y.add("door", time.Duration(i)*10*time.Second, 100, false)
	}
	y.elapse(time.Hour)
	age := func(segment int) time.Duration {
		return time.Hour - time.Duration(segment)*10*time.Second - 5*time.Second
	}
	for i, row := range []struct {
		local bool
		lost  int64
	}{{true, 0}, {false, 1}, {true, 1}} {
		y.keeper.SetPolicy("door", Policy{MaxAge: age(i), Local: row.local})
		y.keeper.JudgeClock()
		y.pass()
		if n := y.number("door", health.DeletedBeforeUpload); n != row.lost || len(y.left("door")) != 2-i {
			t.Errorf("step %d: %d count as lost, want %d; %v are left", i, n, row.lost, y.left("door"))
		}
	}
}
