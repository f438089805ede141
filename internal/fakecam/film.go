package fakecam

import (
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
)

// FilmIsHEVC says whether an Annex B film is H.265 and not H.264, by its first parameter set. It reports
// false for found when there is none.
func FilmIsHEVC(annexB []byte) (hevc, found bool) {
	for _, nalu := range splitAnnexB(annexB) {
		switch {
		case len(nalu) > 2 && nalu[0] == hevcVPS<<1 && nalu[1] == 1, len(nalu) > 2 && nalu[0] == hevcSPS<<1 && nalu[1] == 1:
			return true, true
		case nalu[0]&0x9f == nalSPS:
			return false, true
		}
	}
	return false, false
}

// FilmReorders says whether an Annex B film has pictures that are shown in another order than they are
// sent, B-frames, which a camera with timestamps of its own cannot play: of H.264 it looks for B slices,
// of H.265 at what the parameter sets allow.
func FilmReorders(annexB []byte, hevc bool) bool {
	for _, nalu := range splitAnnexB(annexB) {
		kind := nalu[0] & 0x1f
		switch {
		case hevc && nalu[0]>>1&0x3f == hevcSPS:
			var sps h265.SPS
			if sps.Unmarshal(nalu) != nil {
				continue
			}
			for _, n := range sps.MaxNumReorderPics {
				if n > 0 {
					return true
				}
			}
		case !hevc && kind == nalSlice:
			r := bitReader{data: nalu[1:]} // nothing needs to be escaped so early
			if r.ue(); r.ue()%5 == 1 && !r.failed {
				return true
			}
		}
	}
	return false
}
