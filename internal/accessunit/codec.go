package accessunit

import (
	"bytes"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit/payload"
)

// NALKind is what a NAL unit is to a recording.
type NALKind uint8

const (
	nalMalformed   NALKind = iota // broken, or undefined: it must not reach a file
	nalSlice                      // of a picture
	nalIntra                      // a slice of I macroblocks only
	nalIDR                        // a slice of a picture from which decoding may begin, without a look back
	nalOpen                       // the same, but pictures that are shown before it may look back
	nalSet                        // a parameter set
	nalDelimiter                  // an access unit delimiter
	nalPrefix                     // anything else that stands before its picture
	nalSlicePrefix                // what stands before one slice of it
	nalRecovery                   // a prefix that says that decoding may begin here
	nalSuffix                     // anything that may stand after its picture
)

func (k NALKind) slice() bool { return k >= nalSlice && k <= nalOpen }

// begins reports whether such a NAL unit, after a slice, belongs to the next access unit.
func (k NALKind) begins() bool { return k >= nalSet && k <= nalRecovery }

// Slice is what the beginning of a slice says of it.
type Slice struct {
	First   bool   // of its picture
	address uint32 // of its first macroblock, where that can be read alone
	kind    byte   // slices of other kinds are of other pictures
}

// follows reports whether a slice may be of the same picture as the one before it.
func (s Slice) follows(before Slice) bool {
	return !s.First && s.kind == before.kind && (s.address > before.address || s.address == 0)
}

// Codec is what must be known of a video codec, and of how its RTP payloads are made: H264, H265, InterleavedH264 or NumberedH265.
type Codec interface {
	// HeaderSize is that of a NAL unit, in bytes.
	HeaderSize() int
	// Kind is what a NAL unit with at least a header is.
	Kind(nal []byte) NALKind
	// Slice reads the beginning of one, longer than its header.
	Slice(nal []byte) Slice
	// Unpack calls take for each part of a NAL unit in a payload; see package payload for its errors.
	Unpack(p []byte, take func(payload.Part)) error
	// Depth is how many NAL units may come before others that go before them in the order of decoding.
	Depth() int
	// Deep reports whether a NAL unit is one of those that Depth is about.
	Deep(nal []byte) bool
	// NewParameterSets makes an empty collection of parameter sets.
	NewParameterSets() ParameterSets
}

// kindOf is Codec.Kind for any bytes.
func kindOf(c Codec, nal []byte) NALKind {
	switch size := c.HeaderSize(); {
	case len(nal) < size:
		return nalMalformed
	case len(nal) == size: // an end of sequence has nothing but its header
		if k := c.Kind(nal); k == nalSuffix || k == nalDelimiter {
			return k
		}
		return nalMalformed
	}
	return c.Kind(nal)
}

// trimZeros takes away trailing_zero_8bits, which say nothing (H.264, annex B.1).
func trimZeros(nal []byte) []byte { return bytes.TrimRight(nal, "\x00") }
