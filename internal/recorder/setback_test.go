package recorder

import (
	"fmt"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
)

// blockTimes ends the recording, and returns the times of all frames in the order of the files.
func blockTimes(t *testing.T, b *segmenterRig) (list []time.Duration) {
	t.Helper()
	eachBlock(t, b, func(at time.Duration, _ mkv.Block) { list = append(list, at) })
	return list
}

// TestTimesAreNotPiledUp has a camera whose clock is set back. A session's first seconds do not show whether it has B-frames: then times
// go back, as far as the fragment before, but no frames are moved to one and the same time. Later no time goes back.
func TestTimesAreNotPiledUp(t *testing.T) {
	t.Parallel()
	for _, by := range []time.Duration{200 * time.Millisecond, 500 * time.Millisecond, time.Second, 1490 * time.Millisecond} {
		for _, after := range []int{45, 770} { // frames
			t.Run(fmt.Sprint(by, after), func(t *testing.T) {
				t.Parallel()
				b := newSegmenterRig(t)
				for i := range after + 250 {
					arrival := time.Duration(i) * tick
					stamp := arrival + 100*time.Second
					if i >= after {
						stamp -= by
					}
					if i%25 == 0 {
						b.frame(stamp, arrival, string(realSPS), string(realPPS), idr)
					} else {
						b.frame(stamp, arrival, slice1)
					}
				}
				times := blockTimes(t, b)
				if len(times) < after+225 { // a GOP may be left out where a segment starts
					t.Errorf("%d frames are recorded", len(times))
				}
				for i, at := range times[1:] {
					if at == times[i] || after > 100 && at < times[i] {
						t.Fatalf("frame %d: %s after %s", i+1, at, times[i])
					}
				}
			})
		}
	}
}
