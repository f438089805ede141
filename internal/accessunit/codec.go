package accessunit

import (
	"bytes"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit/payload"
)

// NALKind is the role of a NAL unit in a recording.
type NALKind uint8

const (
	nalMalformed   NALKind = iota // broken, or undefined: it must not reach a file
	nalSlice                      // of a picture
	nalIntra                      // a slice of I macroblocks only
	nalIDR                        // a slice of a picture at which decoding can start; nothing after it references earlier pictures
	nalOpen                       // the same, but pictures that are shown before it may reference earlier ones
	nalSet                        // a parameter set
	nalDelimiter                  // an access unit delimiter
	nalPrefix                     // any other that precedes its picture
	nalSlicePrefix                // one that precedes a single slice
	nalRecovery                   // a prefix that says that decoding can start here
	nalSuffix                     // any that may follow its picture
)

func (k NALKind) slice() bool { return k >= nalSlice && k <= nalOpen }

// begins reports whether such a NAL unit, after a slice, starts the next access unit.
func (k NALKind) begins() bool { return k >= nalSet && k <= nalRecovery }

// Slice is what is read from the start of a slice.
type Slice struct {
	First   bool   // of its picture
	address uint32 // of its first macroblock, where it can be read without a parameter set
	kind    byte   // slices of different kinds belong to different pictures
}

// follows reports whether a slice may be of the same picture as the previous one.
func (s Slice) follows(before Slice) bool {
	return !s.First && s.kind == before.kind && (s.address > before.address || s.address == 0)
}

// Codec has the properties of a video codec and its RTP payload format: H264, H265, InterleavedH264 or NumberedH265.
type Codec interface {
	// HeaderSize is the size of a NAL unit's header, in bytes.
	HeaderSize() int
	// Kind returns the kind of a NAL unit that has at least a header.
	Kind(nal []byte) NALKind
	// Slice reads the start of a slice that is longer than its header.
	Slice(nal []byte) Slice
	// Unpack calls take for each part of a NAL unit in a payload; package payload has its errors.
	Unpack(p []byte, take func(payload.Part)) error
	// Depth is how many NAL units may arrive before one that precedes them in decoding order.
	Depth() int
	// Deep reports whether a NAL unit counts towards Depth.
	Deep(nal []byte) bool
	// NewParameterSets makes an empty collection of parameter sets.
	NewParameterSets() ParameterSets
}

// kindOf is Codec.Kind for any bytes.
func kindOf(c Codec, nal []byte) NALKind {
	switch size := c.HeaderSize(); {
	case len(nal) < size:
		return nalMalformed
	case len(nal) == size: // an end of sequence consists of its header
		if k := c.Kind(nal); k == nalSuffix || k == nalDelimiter {
			return k
		}
		return nalMalformed
	}
	return c.Kind(nal)
}

// trimZeros removes trailing_zero_8bits, which have no meaning (H.264, annex B.1).
func trimZeros(nal []byte) []byte { return bytes.TrimRight(nal, "\x00") }
