package fakecam

import (
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam/nal"
)

// FilmIsH265 returns whether an Annex B film is H.265 and not H.264, by its first parameter set. found
// is false when there is none.
func FilmIsH265(annexB []byte) (isH265, found bool) {
	for _, nalu := range nal.SplitAnnexB(annexB) {
		switch {
		case len(nalu) > 2 && nalu[0] == nal.H265VPS<<1 && nalu[1] == 1, len(nalu) > 2 && nalu[0] == nal.H265SPS<<1 && nalu[1] == 1:
			return true, true
		case nalu[0]&0x9f == nal.H264SPS:
			return false, true
		}
	}
	return false, false
}

// FilmReorders returns whether an Annex B film has B-frames: pictures that are shown in another order than they are
// sent. A camera with timestamps of its own cannot play these. For H.264 it looks for B slices,
// for H.265 it checks what the parameter sets allow.
func FilmReorders(annexB []byte, isH265 bool) bool {
	for _, nalu := range nal.SplitAnnexB(annexB) {
		kind := nalu[0] & 0x1f
		switch {
		case isH265 && nalu[0]>>1&0x3f == nal.H265SPS:
			var sps h265.SPS
			if sps.Unmarshal(nalu) != nil {
				continue
			}
			for _, n := range sps.MaxNumReorderPics {
				if n > 0 {
					return true
				}
			}
		case !isH265 && kind == nal.H264Slice:
			r := nal.Reader{Data: nalu[1:]} // there are no escapes at this position
			if r.UE(); r.UE()%5 == 1 && !r.Failed {
				return true
			}
		}
	}
	return false
}
