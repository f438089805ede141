package sdp

import (
	"bytes"
	"encoding/base64"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/audio"
)

// ParameterSets returns the parameter sets of a format of H.264 or H.265, in the order that a decoder needs. They may be of any
// contents.
func (f Format) ParameterSets() [][]byte {
	switch f.Codec {
	case H264:
		return f.pick(f.Parameters["sprop-parameter-sets"])
	case H265:
		all := f.Parameters["sprop-vps"] + "," + f.Parameters["sprop-sps"] + "," + f.Parameters["sprop-pps"]
		return f.pick(all)
	default:
		return nil
	}
}

// pick decodes sets that are separated by commas. Other NAL units are left out.
func (f Format) pick(list string) [][]byte {
	const most = 16
	var sets [][]byte
	for text := range strings.SplitSeq(list, ",") {
		if set := decodeSet(text); len(set) > 1 && f.setKind(set) != 0 && len(sets) < most {
			sets = append(sets, set)
		}
	}
	return sets
}

// decodeSet reads base64 with or without padding, blanks and a start code before the set. It returns nil if there is none.
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

// The types of NAL units that are parameter sets (H.264, table 7-1; H.265, table 7-1). No two are the same.
const sps264, pps264, vps265, sps265, pps265 = 7, 8, 32, 33, 34

// setKind returns the type of a parameter set, or 0 for another NAL unit.
func (f Format) setKind(nal []byte) byte {
	switch kind := nal[0] & 0x1f; {
	case f.Codec == H264 && (kind == sps264 || kind == pps264):
		return kind
	case f.Codec == H265 && nal[0]>>1&0x3f >= vps265 && nal[0]>>1&0x3f <= pps265:
		return nal[0] >> 1 & 0x3f
	}
	return 0
}

// Interleaving is how NAL units may be sent out of decoding order.
type Interleaving struct {
	Numbered bool // they have numbers
	Depth    int  // how many may be sent before one that precedes them
}

// Interleaving returns the order of NAL units of a format of H.264 or H.265 (RFC 6184, section 8.1; RFC 7798, section 7.1).
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

// Sound returns the stream of a format of audio; ok is false when it cannot be recorded.
func (f Format) Sound() (s audio.Stream, ok bool) { return f.sound().Stream() }

func (f Format) sound() audio.Description {
	return audio.Description{Encoding: f.Codec, Clock: f.Clock, Channels: f.Channels, Parameters: f.Parameters}
}
