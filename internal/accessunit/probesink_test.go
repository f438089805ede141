package accessunit_test

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
)

func TestKeyframesTooFarApartAreSeen(t *testing.T) {
	t.Parallel()
	p := accessunit.NewProbeSink(func() {})
	p.Begin(accessunit.H264, 90_000, nil, nil)
	idr, slice := []byte{0x65, 0x88, 0x80}, []byte{0x41, 0x9a, 0x00}
	const start = math.MaxUint32 - 90_000 // RTP times wrap during the test
	for i := range 25*25 + 1 {
		nal := slice
		if i%(25*25) == 0 {
			nal = idr
		}
		p.AccessUnit([][]byte{nal}, uint32(start+int64(i)*3600), time.Time{})
	}
	if s := p.Result(""); s.KeyframeInterval.Round(time.Millisecond) != 25*time.Second {
		t.Errorf("seen: %+v", s)
	}
}

// TestAProbeMeasuresTheFrameRate has a camera of 25 frames/s that sends until the probe ends by itself, and one that ends before.
func TestAProbeMeasuresTheFrameRate(t *testing.T) {
	t.Parallel()
	for name, frames := range map[string]int{"ended by itself": 200, "ended by the camera": 60} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				stopped := false
				p := accessunit.NewProbeSink(func() { stopped = true })
				p.Begin(accessunit.H264, 90_000, nil, nil)
				for i := range frames {
					nal := []byte{0x41, 0x9a, 0x00}
					if i%25 == 0 {
						nal = []byte{0x65, 0x88, 0x80}
					}
					p.AccessUnit([][]byte{nal}, uint32(i*3600), time.Time{})
					time.Sleep(40 * time.Millisecond)
				}
				if r := p.Result(""); math.Abs(r.FPS-25) > 0.01 || stopped != (frames > 100) {
					t.Errorf("%.2f frames/s of 25, ended by itself: %t", r.FPS, stopped)
				}
			})
		})
	}
}
