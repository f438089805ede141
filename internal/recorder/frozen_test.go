package recorder

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// TestAfterAFreezeTheCameraIsBlamedForNothing feeds the consequences of a freeze: timestamps that jump, damage, and a
// long keyframe interval.
func TestAfterAFreezeTheCameraIsBlamedForNothing(t *testing.T) {
	t.Parallel()
	for _, frozen := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			f := feed{t: t, keyEvery: 25}
			f.start()
			f.play(50)
			f.o.Frozen = func(within time.Duration) (time.Duration, bool) { return 20 * time.Second, frozen }
			f.rtp += 20 * 90_000
			f.play(50)
			f.v.Damaged(3, errors.New("a hole"))
			f.play(50)
			blamed := slices.ContainsFunc(f.part.Snapshot().Conditions, func(c health.Condition) bool {
				return slices.Contains([]string{codeJump, codeUnreadable, codeKeyframes}, c.Code)
			})
			if blamed == frozen {
				t.Errorf("frozen %v: %+v", frozen, f.part.Snapshot().Conditions)
			}
		})
	}
}
