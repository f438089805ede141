package retention

import (
	"slices"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// TestDeletionForTheUploadWaitsForItsConfirmation, and no other deletion does.
func TestDeletionForTheUploadWaitsForItsConfirmation(t *testing.T) {
	t.Parallel()
	const mb = 1 << 20
	for name, row := range map[string]struct {
		policy    Policy
		confirmed []int // by which of the three uploaded segments
		left      []int
	}{
		"none is confirmed":         {policy: Policy{DeleteAfterUpload: true}, left: []int{0, 10, 20, 30}},
		"one is confirmed":          {policy: Policy{DeleteAfterUpload: true}, confirmed: []int{1}, left: []int{0, 20, 30}},
		"all are confirmed":         {policy: Policy{DeleteAfterUpload: true}, confirmed: []int{0, 1, 2}, left: []int{30}},
		"what nobody wants deleted": {policy: Policy{}, confirmed: []int{0, 1, 2}, left: []int{0, 10, 20, 30}},
		"age":                       {policy: Policy{DeleteAfterUpload: true, MaxAge: time.Hour - 15*time.Second}, left: []int{20, 30}},
		"size":                      {policy: Policy{DeleteAfterUpload: true, MaxBytes: 2*(mb+2000)*16/15 + 16}, left: []int{20, 30}},
	} {
		y := newYard(t)
		confirmed := make(map[segment.Key]bool)
		y.keeper.o.Confirmed = func(k segment.Key) bool { return confirmed[k] }
		for i := range 4 {
			k := y.add("door", time.Duration(i)*10*time.Second, mb, i < 3)
			confirmed[k] = slices.Contains(row.confirmed, i)
		}
		y.keeper.SetPolicy("door", row.policy)
		y.keeper.JudgeClock()
		if name == "age" {
			y.elapse(time.Hour)
		}
		y.pass()
		if left := y.left("door"); !slices.Equal(left, row.left) {
			t.Errorf("%s: segments at %v are left, want %v", name, left, row.left)
		}
	}
}
