package accessunit

import "github.com/kvs-edge/kvs-edge-agent/internal/mkv"

// ParameterSets are those that are active, by their kinds and ids.
type ParameterSets interface {
	// Add notes a parameter set, if it can be understood; it reports whether it is new or means
	// something else than the one before it.
	Add(nal []byte) (changed bool)
	// Holds reports whether a parameter set is, byte for byte, an active one.
	Holds(nal []byte) bool
	// Clone returns a copy that Add does not change.
	Clone() ParameterSets
	// Track describes the video; ok is false while a parameter set is missing.
	Track() (track mkv.Track, ok bool)
}

// maxParameterSet is what avcC's 16-bit lengths hold.
const maxParameterSet = 1<<16 - 1

// maxSetBytes bounds all parameter sets of a stream, in bytes: they stand in the header of each file, of which readers take
// 1 MiB at once. Real ones have some hundred. What is beyond stays in the stream, where decoders find it too.
const maxSetBytes = 512 << 10

// fits reports whether a parameter set may take the place of another, which may be nil, in a collection of so many bytes.
func fits(size int, old, set []byte) bool { return size-len(old)+len(set) <= maxSetBytes }
