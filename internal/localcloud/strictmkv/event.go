package strictmkv

import (
	"time"
	"unicode/utf8"
)

// Kind tells what an Event is about.
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
	Offset   int64         // first byte of the element in the input; of the Cluster for fragments
	Size     int64         // FragmentStart: bytes of the Cluster up to and with its Timestamp; Block: bytes of payload; FragmentEnd: bytes of the whole Cluster element
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

// readTags lists the SimpleTags of all Tag elements, also the nested ones.
func readTags(tags element) ([]Tag, error) {
	var list []Tag
	var simple func(e element, depth int) error
	simple = func(e element, depth int) error {
		if depth > 8 {
			return broken(idSimpleTag, e.offset, "is nested more than 8 deep")
		}
		at := len(list)
		list = append(list, Tag{})
		once := map[id]bool{}
		err := e.children(func(c element) error {
			switch c.id {
			case idTagName, idTagString:
				if once[c.id] {
					return broken(c.id, c.offset, "occurs twice in one SimpleTag")
				}
				once[c.id] = true
				text := c.text()
				if !utf8.ValidString(text) {
					return broken(c.id, c.offset, "is not UTF-8")
				}
				if c.id == idTagName {
					list[at].Name = text
				} else {
					list[at].Value = text
				}
			case idSimpleTag:
				return simple(c, depth+1)
			}
			return nil
		})
		if err == nil && list[at].Name == "" {
			return broken(idSimpleTag, e.offset, "has no TagName")
		}
		return err
	}
	err := tags.children(func(e element) error {
		if e.id != idTag {
			return broken(e.id, e.offset, "does not belong in Tags")
		}
		before := len(list)
		err := e.children(func(c element) error {
			if c.id == idSimpleTag {
				return simple(c, 1)
			}
			return nil
		})
		if err == nil && len(list) == before {
			return broken(idTag, e.offset, "has no SimpleTag")
		}
		return err
	})
	if err == nil && len(list) == 0 {
		return nil, broken(idTags, tags.offset, "has no Tag")
	}
	return list, err
}
