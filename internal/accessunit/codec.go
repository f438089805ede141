package accessunit

import "bytes"

// NALKind is what a NAL unit is to a recording.
type NALKind uint8

const (
	nalMalformed NALKind = iota // broken, or undefined: it must not reach a file
	nalSlice                    // of a picture
	nalIntra                    // a slice of I macroblocks only
	nalIDR                      // a slice of a picture from which decoding may begin, without a look back
	nalOpen                     // the same, but pictures that are shown before it may look back
	nalSet                      // a parameter set
	nalDelimiter                // an access unit delimiter
	nalPrefix                   // anything else that stands before its picture
	nalRecovery                 // a prefix that says that decoding may begin here
	nalSuffix                   // anything that may stand after its picture
)

func (k NALKind) slice() bool { return k >= nalSlice && k <= nalOpen }

// begins reports whether such a NAL unit, after a slice, belongs to the next access unit.
func (k NALKind) begins() bool { return k >= nalSet && k <= nalRecovery }

// Packing is how an RTP payload carries NAL units.
type Packing uint8

const (
	packSingle Packing = iota
	packAggregate
	packFragment
	packUnknown
)

// Fragment is a part of a NAL unit.
type Fragment struct {
	header     [2]byte // of the NAL unit, as many as the codec has
	start, end bool
	data       []byte
}

// Codec is what must be known of a video codec: H264 or H265.
type Codec interface {
	// HeaderSize is that of a NAL unit, in bytes.
	HeaderSize() int
	// Kind is what a NAL unit with at least a header is.
	Kind(nal []byte) NALKind
	// FirstSlice reports whether a slice, longer than its header, is the first of its picture.
	FirstSlice(nal []byte) bool
	// Packing is how a payload of more than HeaderSize bytes carries NAL units.
	Packing(payload []byte) Packing
	// Fragment reads a payload that is one; ok is false when it is too short.
	Fragment(payload []byte) (f Fragment, ok bool)
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
