package recorder

import (
	"bytes"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
)

// unitKind is what a NAL unit is to the recorder.
type unitKind uint8

const (
	unitNoise     unitKind = iota // broken, or undefined: it must not reach a file
	unitSlice                     // of a picture
	unitIntra                     // a slice of I macroblocks only
	unitIDR                       // a slice of a picture from which decoding may begin, without a look back
	unitOpen                      // the same, but pictures that are shown before it may look back
	unitSet                       // a parameter set
	unitDelimiter                 // an access unit delimiter
	unitPrefix                    // anything else that stands before its picture
	unitRecovery                  // a prefix that says that decoding may begin here
	unitSuffix                    // anything that may stand after its picture
)

func (k unitKind) picture() bool { return k >= unitSlice && k <= unitOpen }

// begins reports whether such a unit, after a picture, belongs to the next one.
func (k unitKind) begins() bool { return k >= unitSet && k <= unitRecovery }

// packing is how an RTP payload carries NAL units.
type packing uint8

const (
	packSingle packing = iota
	packAggregate
	packFragment
	packUnknown
)

// fragment is a piece of a NAL unit.
type fragment struct {
	header     [2]byte // of the NAL unit, as many as the codec has
	start, end bool
	data       []byte
}

// codec is what the recorder must know of a video codec.
type codec interface {
	// headerSize is that of a NAL unit, in bytes.
	headerSize() int
	// kind tells what a NAL unit with at least a header is.
	kind(nal []byte) unitKind
	// firstSlice reports whether a slice, longer than its header, is the first of its picture.
	firstSlice(nal []byte) bool
	// packing tells how a payload of more than headerSize bytes carries NAL units.
	packing(payload []byte) packing
	// fragment reads a payload that is one; ok is false when it is too short.
	fragment(payload []byte) (f fragment, ok bool)
	// newSets makes an empty collection of parameter sets.
	newSets() parameterSets
}

// parameterSets are those in force, by their kinds and ids.
type parameterSets interface {
	// take notes a parameter set, if it can be understood; it reports whether it is new or means
	// something else than the one before it.
	take(nal []byte) (changed bool)
	// holds reports whether a parameter set is, byte for byte, one in force.
	holds(nal []byte) bool
	clone() parameterSets
	// track describes the video; ok is false while a parameter set is missing.
	track() (track mkv.Track, ok bool)
}

// kindOf is codec.kind for any bytes.
func kindOf(c codec, nal []byte) unitKind {
	switch size := c.headerSize(); {
	case len(nal) < size:
		return unitNoise
	case len(nal) == size: // an end of sequence has nothing but its header
		if k := c.kind(nal); k == unitSuffix || k == unitDelimiter {
			return k
		}
		return unitNoise
	}
	return c.kind(nal)
}

// trimZeros takes away trailing_zero_8bits, which say nothing (H.264, annex B.1).
func trimZeros(nal []byte) []byte { return bytes.TrimRight(nal, "\x00") }
