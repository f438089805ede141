package retention

import (
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/hold"
)

// A disk that runs low has other recordings deleted first. When only held ones are left, recording pauses, and the sentence says what
// holds keep.
func TestALowDiskSaysWhatHoldsKeep(t *testing.T) {
	t.Parallel()
	const mb = 1 << 20
	y := newYard(t)
	y.keeper.SetPolicy("door", Policy{})
	for i := range 3 {
		y.add("door", time.Duration(i)*time.Minute, mb, true)
	}
	add := func(id string, from, to time.Duration) {
		t.Helper()
		h := hold.Hold{ID: id, Stream: "door", From: begin.Add(from), To: begin.Add(to), Reason: "theft"}
		if _, err := y.store.Holding().Add(t.Context(), h); err != nil {
			t.Fatal(err)
		}
	}
	add("one", 0, time.Second)
	add("two", 2*time.Minute, time.Hour)
	y.free = 2 * mb // 1 of it for two recordings
	passes := func() {
		for range 2 { // the second after what the first has deleted
			y.pass()
			y.elapse(settleTime)
		}
	}
	passes()
	y.expect("door", 0, 120)
	c, paused := y.condition("door", codeLow)
	if !paused || !strings.Contains(c.Text, "nothing may be deleted") ||
		!strings.Contains(c.Text, " MB are kept by 2 holds: `kvs-edge-agent hold list` lists them, and `kvs-edge-agent hold remove` ends one.") {
		t.Errorf("%v %q", paused, c.Text)
	}
	for _, id := range []string{"one", "two"} {
		if _, err := y.store.Holding().Remove(id, "somebody", begin); err != nil {
			t.Fatal(err)
		}
	}
	passes()
	y.expect("door") // each is a bit more than 1 MB
	passes()
	if c, paused := y.condition("door", codeLow); paused {
		t.Errorf("without holds: %q", c.Text)
	}
}
