package fakecam

import (
	_ "embed" // the clip
	"errors"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam/nal"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam/stamps"
)

//go:embed clip.h265
var clip360AnnexB []byte

// RTP payloads of H.265 (RFC 7798, section 4.4).
const (
	payloadAP = 48
	payloadFU = 49
)

// parseH265 splits an Annex B film of H.265 into RTP payloads. A cutter adds
// the row of stamps; without a cutter a film is unchanged.
func parseH265(annexB []byte, cutter *stamps.H265Cutter) (*clip, error) {
	c := new(clip)
	var params, messages [][]byte // SEI messages matter in films only: those of a clip are not of its frames
	for _, nalu := range nal.SplitAnnexB(annexB) {
		first := len(nalu) > 2 && nalu[2]&0x80 != 0 // first_slice_segment_in_pic_flag
		var header stamps.RowHeader
		if cutter != nil {
			var err error
			if header, nalu, err = cutter.Cut(nalu); err != nil {
				return nil, err
			}
			c.row = cutter.Row()
		}
		switch kind := nalu[0] >> 1 & 0x3f; {
		case kind <= nal.H265LastVCL && !first && len(c.frames) > 0:
			c.frames[len(c.frames)-1].addH265(nalu)
		case kind == nal.H265SuffixSEI && cutter == nil && len(c.frames) > 0:
			c.frames[len(c.frames)-1].addH265(nalu)
		case kind == nal.H265PrefixSEI && cutter == nil:
			messages = append(messages, nalu)
		case kind <= nal.H265LastVCL:
			f := frame{key: kind >= nal.H265IRAP, row: header, paramUnits: params}
			for _, n := range append(messages, nalu) {
				f.addH265(n)
			}
			messages = nil
			if len(params) > 0 {
				f.params = [][]byte{h265Aggregate(params)}
			}
			for _, n := range params {
				f.paramsSize += 4 + len(n)
			}
			c.frames = append(c.frames, f)
			params = nil
		case kind == nal.H265VPS:
			c.vps = nalu
			params = append(params, nalu)
		case kind == nal.H265SPS:
			c.sps = nalu
			params = append(params, nalu)
		case kind == nal.H265PPS:
			c.pps = nalu
			params = append(params, nalu)
		}
	}
	if len(c.frames) == 0 || !c.frames[0].key || len(c.frames[0].params) == 0 {
		return nil, errors.New("the clip does not begin with parameter sets and a keyframe")
	}
	return c, nil
}

func h265Aggregate(nalus [][]byte) []byte {
	out := []byte{payloadAP << 1, 1}
	for _, n := range nalus {
		out = append(out, byte(len(n)>>8), byte(len(n)))
		out = append(out, n...)
	}
	return out
}

// addH265 adds a NAL unit to a picture of H.265.
func (f *frame) addH265(nalu []byte) {
	f.bodySize += 4 + len(nalu)
	f.bodyUnits = append(f.bodyUnits, nalu)
	f.body = append(f.body, h265Payloads(nalu)...)
}

func h265Payloads(nalu []byte) (out [][]byte) {
	if len(nalu) <= maxPayload {
		return [][]byte{nalu}
	}
	const most = maxPayload - 3
	kind := nalu[0] >> 1 & 0x3f
	rest := nalu[2:]
	for start := byte(0x80); len(rest) > 0; start = 0 {
		n, end := min(len(rest), most), byte(0)
		if n == len(rest) {
			end = 0x40
		}
		out = append(out, append([]byte{nalu[0]&0x81 | payloadFU<<1, nalu[1], start | end | kind}, rest[:n]...))
		rest = rest[n:]
	}
	return out
}
