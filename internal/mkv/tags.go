package mkv

import "github.com/kvs-edge/kvs-edge-agent/internal/mkv/element"

// Tag is one SimpleTag: a name with a value, which may be empty.
type Tag struct{ Name, Value string }

// AppendTags appends a Tags element with one Tag, which applies to all elements around it (no Targets), and in it a
// SimpleTag with TagName and TagString for each of tags; nothing when there are none. Sources: RFC 9559, section 5.1.8; the
// example with "AWS_KINESISVIDEO_IMAGE_GENERATION" in the KVS developer guide, "Automated image generation".
func AppendTags(dst []byte, tags []Tag) []byte {
	if len(tags) == 0 {
		return dst
	}
	type simpleTag struct{ TagName, TagString string }
	var all struct {
		Tags struct {
			Tag struct{ SimpleTag []simpleTag }
		}
	}
	for _, t := range tags {
		all.Tags.Tag.SimpleTag = append(all.Tags.Tag.SimpleTag, simpleTag{t.Name, t.Value})
	}
	return element.Append(dst, &all)
}
