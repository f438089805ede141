package accessunit_test

import (
	"math"
	"testing"
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
