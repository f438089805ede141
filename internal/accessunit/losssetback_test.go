package accessunit

import "testing"

// TestAClockThatIsSetBackIsNoReordering has timestamps that go back once, without and with a gap for B-frames.
func TestAClockThatIsSetBackIsNoReordering(t *testing.T) {
	t.Parallel()
	const frame, start = 3600, 1_000_000
	for name, row := range map[string]struct {
		timestamps []uint32 // after ten frames
		reordered  bool
	}{
		"a second":         {[]uint32{start + 9*frame - 90_000, start + 10*frame - 90_000}, false},
		"two frames":       {[]uint32{start + 8*frame, start + 9*frame}, false},
		"a B-frame":        {[]uint32{start + 11*frame, start + 10*frame}, true},
		"several B-frames": {[]uint32{start + 14*frame, start + 12*frame, start + 11*frame, start + 13*frame}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := lossCounter{report: func(frames int64) { t.Errorf("%d frames are reported as lost", frames) }}
			for i := range uint32(10) {
				l.frame(start + i*frame)
			}
			for _, at := range row.timestamps {
				l.frame(at)
			}
			if l.reordered != row.reordered {
				t.Errorf("reordered: %t", l.reordered)
			}
		})
	}
}
