package timeline

import (
	"fmt"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/simcam"
)

// TestAClockThatIsSetBackTurnsNoTimesBack has clocks that are set back by steps of all sizes, the small ones of which might be B-frames.
func TestAClockThatIsSetBackTurnsNoTimesBack(t *testing.T) {
	t.Parallel()
	for _, by := range []time.Duration{10, 40, 60, 80, 100, 120, 150, 200, 300, 500, 700, 1000, 1400, 1490, 1500, 1600, 3000} {
		for _, fps := range []float64{5, 12.5, 25, 30, 60} {
			for _, jitter := range []time.Duration{0, 30 * time.Millisecond} {
				by := by * time.Millisecond
				t.Run(fmt.Sprint(by, fps, jitter), func(t *testing.T) {
					t.Parallel()
					set := func(i int, media time.Duration) time.Duration {
						if float64(i) >= 20*fps {
							media -= by
						}
						return media
					}
					units := simcam.Camera{FPS: fps, Stamp: set, Late: simcam.Jitter(jitter)}.Frames(time.Minute)
					tl := New(90000, time.Time{})
					play(&tl, units)
					frame := time.Duration(float64(time.Second) / fps)
					before, jumps := time.Duration(-1), 0
					for i, u := range units {
						if u.Producer <= before {
							t.Fatalf("frame %d: %s after %s", i, u.Producer, before)
						}
						if off := u.Producer - u.Sent; off.Abs() > 2*frame+jitter+5*time.Millisecond {
							t.Fatalf("frame %d: %s off", i, off)
						}
						if before = u.Producer; u.Jumped {
							jumps++
						}
					}
					if jumps > 1 || jumps == 0 && by >= 2*frame+time.Millisecond {
						t.Errorf("%d jumps", jumps)
					}
				})
			}
		}
	}
}

// TestLateBFramesAreNoJump has encoders that begin to send B-frames after seconds, in orders of their own, one of which skips pictures.
func TestLateBFramesAreNoJump(t *testing.T) {
	t.Parallel()
	for name, order := range map[string][]int{
		"one":     {2, 1},
		"two":     {3, 1, 2},
		"three":   {4, 2, 1, 3},
		"seven":   {8, 4, 2, 1, 3, 6, 5, 7},
		"skipped": {4, 1, 2},
	} {
		for _, begin := range []int{10, 100, 500, 501, 1000} {
			t.Run(fmt.Sprint(name, begin), func(t *testing.T) {
				t.Parallel()
				tl := New(90000, time.Time{})
				var before time.Time
				assign := func(shown, ahead int, arrival time.Duration) {
					at, jumped := tl.Assign(uint32(shown*3600), noon.Add(arrival))
					if jumped {
						t.Fatalf("picture %d: treated as a jump", shown)
					}
					if d := at.Sub(before) - time.Duration(ahead)*tick; d.Abs() > tick && !before.IsZero() {
						t.Fatalf("picture %d: its distance differs by %s", shown, d)
					}
					before = at
				}
				for i := range begin {
					assign(i, 1, time.Duration(i)*tick)
				}
				last := begin - 1
				for shown := begin - 1; shown < begin+500; shown += order[0] {
					for i, n := range order {
						late := time.Duration(order[0]*(i+1)) * tick / time.Duration(len(order))
						assign(shown+n, shown+n-last, time.Duration(shown)*tick+late)
						last = shown + n
					}
				}
			})
		}
	}
}

// TestLateBFramesAfterAGap has encoders that begin to send B-frames after pictures that were lost, or left out by a "smart" codec: the
// gap before says nothing about the gaps that they leave.
func TestLateBFramesAfterAGap(t *testing.T) {
	t.Parallel()
	for name, order := range map[string][]int{"one": {2, 1}, "two": {3, 1, 2}} {
		for _, missing := range []int{1, 2, 3, 5, 25, 75, 125} {
			for _, since := range []int{0, 1, 2, 10} { // pictures in order since then
				t.Run(fmt.Sprint(name, missing, since), func(t *testing.T) {
					t.Parallel()
					tl := New(90000, time.Time{})
					const first = 250
					for i := range first {
						tl.Assign(uint32(i*3600), noon.Add(time.Duration(i)*tick))
					}
					last := first - 1 + missing
					for range since {
						last++
						tl.Assign(uint32(last*3600), noon.Add(time.Duration(last)*tick))
					}
					before := time.Duration(0) // as those in order
					for ; last < first+missing+500; last += order[0] {
						for i, n := range order {
							shown := last + n
							arrival := time.Duration(last+i+1) * tick
							at, jumped := tl.Assign(uint32(shown*3600), noon.Add(arrival))
							off := at.Sub(noon) - time.Duration(shown)*tick
							if jumped || (off-before).Abs() > 2*time.Millisecond {
								t.Fatalf("picture %d: it is %s off, that before it %s", shown, off, before)
							}
							before = off
						}
					}
				})
			}
		}
	}
}
