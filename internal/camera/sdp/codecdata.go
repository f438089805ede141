package sdp

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
)

// ParameterSets returns the parameter sets of a format of H.264 or H.265, in the order that a decoder needs. Those that are
// broken are left out: they also come in band.
func (f Format) ParameterSets() [][]byte {
	switch f.Codec {
	case H264:
		return pick(f.Parameters["sprop-parameter-sets"], valid264)
	case H265:
		all := f.Parameters["sprop-vps"] + "," + f.Parameters["sprop-sps"] + "," + f.Parameters["sprop-pps"]
		return pick(all, valid265)
	default:
		return nil
	}
}

// pick decodes sets that stand between commas, and keeps the valid ones.
func pick(list string, valid func(set []byte) bool) [][]byte {
	const most = 16
	var sets [][]byte
	for text := range strings.SplitSeq(list, ",") {
		if set := decodeSet(text); len(set) > 1 && valid(set) && len(sets) < most {
			sets = append(sets, set)
		}
	}
	return sets
}

// decodeSet reads base64 with or without padding, blanks and a start code before the set. nil is none.
func decodeSet(text string) []byte {
	text = strings.Map(func(r rune) rune {
		switch r {
		case ' ', '\t', '"', '=':
			return -1
		case '-':
			return '+'
		case '_':
			return '/'
		}
		return r
	}, text)
	set, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	for _, start := range []string{"\x00\x00\x00\x01", "\x00\x00\x01"} {
		set = bytes.TrimPrefix(set, []byte(start))
	}
	return bytes.TrimRight(set, "\x00") // no NAL unit ends with zeros
}

func valid264(set []byte) bool {
	switch h264.NALUType(set[0] & 0x1f) {
	case h264.NALUTypeSPS:
		return new(h264.SPS).Unmarshal(set) == nil
	case h264.NALUTypePPS:
		return true
	default:
		return false
	}
}

func valid265(set []byte) bool {
	switch h265.NALUType(set[0] >> 1 & 0x3f) {
	case h265.NALUType_SPS_NUT:
		return new(h265.SPS).Unmarshal(set) == nil
	case h265.NALUType_VPS_NUT, h265.NALUType_PPS_NUT:
		return true
	default:
		return false
	}
}

// Interleaving is how NAL units may come in another order than that of decoding.
type Interleaving struct {
	Numbered bool // they have numbers
	Depth    int  // so many may come before one that goes before them
}

// Interleaving returns what a format of H.264 or H.265 says of it (RFC 6184, section 8.1; RFC 7798, section 7.1).
func (f Format) Interleaving() Interleaving {
	const most = 255
	n := func(name string) int {
		n, _ := leadingNumber(f.Parameters[name])
		return min(max(n, 0), most)
	}
	switch f.Codec {
	case H264:
		if n("packetization-mode") != 2 {
			return Interleaving{}
		}
		return Interleaving{Numbered: true, Depth: n("sprop-interleaving-depth")}
	case H265:
		depth := n("sprop-depack-buf-nalus")
		return Interleaving{Numbered: depth > 0 || n("sprop-max-don-diff") > 0, Depth: depth}
	}
	return Interleaving{}
}

// AACHeaders is how the units of a packet of AAC are announced, in bits (RFC 3640, section 3.2.1).
type AACHeaders struct{ Size, Index, IndexDelta int }

// AACConfig is what has to be known of AAC.
type AACConfig struct {
	Raw      []byte // AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1)
	Rate     int    // samples per second of the core, which is not that of RTP
	Channels int
	Headers  AACHeaders
}

// AAC returns the config of a format. ok is false when it has none, or one of a kind that is not recorded.
func (f Format) AAC() (config AACConfig, ok bool) {
	if f.Codec != AAC {
		return AACConfig{}, false
	}
	text := strings.Map(func(r rune) rune {
		if r == ' ' || r == '\t' {
			return -1
		}
		return r
	}, strings.ToLower(f.Parameters["config"]))
	text = strings.TrimPrefix(text, "0x")
	raw, err := hex.DecodeString(text[:len(text)&^1])
	var parsed mpeg4audio.AudioSpecificConfig
	if err != nil || parsed.Unmarshal(raw) != nil || parsed.SampleRate == 0 {
		return AACConfig{}, false
	}
	return AACConfig{Raw: raw, Rate: parsed.SampleRate, Channels: parsed.ChannelCount, Headers: f.aacHeaders()}, true
}

// hbr is what all cameras use.
var hbr = AACHeaders{Size: 13, Index: 3, IndexDelta: 3}

func (f Format) aacHeaders() AACHeaders {
	const most = 32 // bits
	bits := func(name string) int {
		n, _ := leadingNumber(f.Parameters[name])
		return min(max(n, 0), most)
	}
	h := AACHeaders{Size: bits("sizelength"), Index: bits("indexlength"), IndexDelta: bits("indexdeltalength")}
	switch {
	case h.Size > 0:
	case strings.Contains(strings.ToLower(f.Parameters["mode"]), "lbr"):
		h = AACHeaders{Size: 6, Index: 2, IndexDelta: 2}
	default:
		h = hbr
	}
	if _, said := f.Parameters["indexlength"]; !said && h.Size == hbr.Size { // it is only forgotten
		h = hbr
	}
	return h
}
