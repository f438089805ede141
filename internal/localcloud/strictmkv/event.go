package strictmkv

import "time"

// Kind says what an Event is about.
type Kind uint8

// The order in a stream is Header, then any number of Tags and of FragmentStart, Block…,
// FragmentEnd. Tags may also come before Header.
const (
	KindHeader        Kind = iota + 1 // Info and Tracks were read; see Reader.Header
	KindTags                          // a Tags element was read
	KindFragmentStart                 // a Cluster began and its Timestamp was read
	KindBlock                         // a SimpleBlock or BlockGroup was read completely
	KindFragmentEnd                   // the Cluster is complete
)

// String names the kind.
func (k Kind) String() string {
	switch k {
	case KindHeader:
		return "Header"
	case KindTags:
		return "Tags"
	case KindFragmentStart:
		return "FragmentStart"
	case KindBlock:
		return "Block"
	case KindFragmentEnd:
		return "FragmentEnd"
	}
	return "unknown"
}

// Event is one step of the stream. Its slices are valid until the next call of Next.
type Event struct {
	Kind     Kind
	Element  string        // Block: name of the element, SimpleBlock or BlockGroup
	Offset   int64         // first byte of the element in the input; of the Cluster for fragments
	Size     int64         // bytes; FragmentStart: up to and with the Timestamp; Block: payload; FragmentEnd: whole Cluster
	Time     time.Duration // FragmentStart: Timestamp of the Cluster; Block: its time; both since the Segment's zero, never negative
	Track    *Track        // Block
	Keyframe bool          // Block: flagged as keyframe, or in a BlockGroup without reference
	Data     []byte        // Block: the payload, when Options.Payload is set
	Tags     []Tag         // Tags: all SimpleTags, flat
	Known    bool          // FragmentStart: the Cluster has a known size
}

// Tag is one SimpleTag.
type Tag struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}
