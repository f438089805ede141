package accessunit_test

import (
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
)

// smallSPS and smallPPS describe pictures of 352x288.
var (
	smallSPS = []byte{
		0x67, 0x64, 0x00, 0x0c, 0xac, 0x3b, 0x50, 0xb0, 0x4b, 0x42, 0x00, 0x00, 0x03, 0x00, 0x02, 0x00, 0x00, 0x03, 0x00, 0x3d, 0x08,
	}
	smallPPS = []byte{0x68, 0xee, 0x3c, 0x80}
)

func TestCosmeticParams(t *testing.T) {
	t.Parallel()
	sets := accessunit.H264.NewParameterSets()
	for _, step := range []struct {
		name          string
		nal           []byte
		changed, held bool
	}{
		{"new SPS", smallSPS, true, true},
		{"same SPS", smallSPS, false, true},
		{"trailing zeros", append(append([]byte{}, smallSPS...), 0, 0), false, true},
		{"other nal_ref_idc", append([]byte{0x27}, smallSPS[1:]...), false, false},
		{"torn", smallSPS[:4], false, false},
		{"new PPS", smallPPS, true, true},
		{"same PPS", append(append([]byte{}, smallPPS...), 0), false, true},
		{"second PPS", []byte{0x68, 0x5e, 0x3c, 0x80}, true, true},
		{"empty", []byte{0x68}, false, false},
	} {
		if changed, held := sets.Add(step.nal), sets.Holds(step.nal); changed != step.changed || held != step.held {
			t.Errorf("%s: changed %v, held %v", step.name, changed, held)
		}
	}
	track, ok := sets.Track()
	if !ok || track.Width != 352 || track.Height != 288 {
		t.Errorf("%+v %v", track, ok)
	}
}

func FuzzParameterSets(f *testing.F) {
	f.Add(smallSPS, smallPPS)
	f.Add([]byte{0x67}, []byte{0x68, 0})
	f.Fuzz(func(_ *testing.T, a, b []byte) {
		for _, codec := range []accessunit.Codec{accessunit.H264, accessunit.H265} {
			inspector := accessunit.NewInspector(codec, nil)
			inspector.Inspect([][]byte{a, b})
			for _, nal := range [][]byte{a, b} {
				inspector.Keeps(nal, &accessunit.FileSets{Header: inspector.Sets})
			}
			inspector.Sets.Track()
		}
	})
}
