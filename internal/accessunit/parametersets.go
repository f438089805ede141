package accessunit

import "github.com/kvs-edge/kvs-edge-agent/internal/mkv"

// ParameterSets are the active parameter sets, by their kinds and ids.
type ParameterSets interface {
	// Add stores a parameter set, if it can be read; it reports whether it is new or differs in meaning
	// from the previous one.
	Add(nal []byte) (changed bool)
	// Holds reports whether a parameter set is, byte for byte, an active one.
	Holds(nal []byte) bool
	// Replaces reports whether decoders that have these take a parameter set in place of one of them: it has the id of one and differs
	// from it, or its id cannot be read.
	Replaces(nal []byte) bool
	// Has reports whether there is one of the kind of a parameter set.
	Has(nal []byte) bool
	// Clone returns a copy that Add does not change.
	Clone() ParameterSets
	// Track describes the video; ok is false while a parameter set is missing.
	Track() (track mkv.Track, ok bool)
}

// FileSets are the parameter sets in the header of a file, and whether its stream has others.
type FileSets struct {
	Header ParameterSets
	// Replaced is whether decoders may have others by now, up to the end of the file and in those that players join to it. From then
	// on those of the header are written too: some decoders also forget sets that refer to a replaced one.
	Replaced bool
}

// keeps reports whether a parameter set belongs in the stream.
func (f *FileSets) keeps(nal []byte) bool {
	if f.Header.Holds(nal) {
		return f.Replaced
	}
	f.Replaced = f.Replaced || f.Header.Replaces(nal)
	return true
}

// maxParameterSet is the limit of avcC's 16-bit lengths.
const maxParameterSet = 1<<16 - 1

// maxSetBytes bounds all parameter sets of a stream, in bytes: they are in the header of each file, of which readers read
// 1 MiB at once. Real ones have some hundred. Those beyond it stay in the stream, where decoders find them too.
const maxSetBytes = 512 << 10

// fits reports whether a parameter set may replace another, which may be nil, in a collection of size bytes.
func fits(size int, old, set []byte) bool { return size-len(old)+len(set) <= maxSetBytes }
