package fakecam

import (
	_ "embed" // the clip
	"errors"
)

//go:embed clip.h265
var clipHEVC []byte

// NAL unit types of H.265 (table 7-1), and its RTP payloads (RFC 7798, section 4.4).
const (
	hevcLastVCL = 31
	hevcIRAP    = 16 // and above

	hevcIDR          = 19
	hevcIDRNoLeading = 20

	hevcVPS       = 32
	hevcSPS       = 33
	hevcPPS       = 34
	hevcPrefixSEI = 39
	payloadAP     = 48
	payloadFU     = 49
)

// parseHEVC cuts an Annex B film of H.265 into RTP payloads. A cutter makes room for
// the row of stamps; a film without it stays as it is.
func parseHEVC(annexB []byte, cutter *h265Cutter) (*clip, error) {
	c := new(clip)
	var params [][]byte
	for _, nalu := range splitAnnexB(annexB) {
		first := len(nalu) > 2 && nalu[2]&0x80 != 0 // first_slice_segment_in_pic_flag
		var header rowHeader
		if cutter != nil {
			var err error
			if header, nalu, err = cutter.cut(nalu); err != nil {
				return nil, err
			}
			c.row = cutter.row
		}
		switch kind := nalu[0] >> 1 & 0x3f; {
		case kind <= hevcLastVCL && !first && len(c.frames) > 0:
			f := &c.frames[len(c.frames)-1]
			f.bodySize += 4 + len(nalu)
			f.body = append(f.body, hevcPayloads(nalu)...)
		case kind <= hevcLastVCL:
			f := frame{key: kind >= hevcIRAP, bodySize: 4 + len(nalu), body: hevcPayloads(nalu), row: header}
			if len(params) > 0 {
				f.params = [][]byte{hevcAggregate(params)}
			}
			for _, n := range params {
				f.paramsSize += 4 + len(n)
			}
			c.frames = append(c.frames, f)
			params = nil
		case kind == hevcVPS:
			c.vps = nalu
			params = append(params, nalu)
		case kind == hevcSPS:
			c.sps = nalu
			params = append(params, nalu)
		case kind == hevcPPS:
			c.pps = nalu
			params = append(params, nalu)
		}
	}
	if len(c.frames) == 0 || !c.frames[0].key || len(c.frames[0].params) == 0 {
		return nil, errors.New("the clip does not begin with parameter sets and a keyframe")
	}
	return c, nil
}

func hevcAggregate(nalus [][]byte) []byte {
	out := []byte{payloadAP << 1, 1}
	for _, n := range nalus {
		out = append(out, byte(len(n)>>8), byte(len(n)))
		out = append(out, n...)
	}
	return out
}

func hevcPayloads(nalu []byte) (out [][]byte) {
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
