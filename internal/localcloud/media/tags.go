package media

import (
	"slices"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/strictmkv"
)

// Tag is one of a fragment's tags: what KVS calls fragment metadata.
type Tag = strictmkv.Tag

// Limits of the names and values of a fragment's tags in bytes (quotas, streaming metadata).
const (
	maxTagName  = 128
	maxTagValue = 256
)

// reservedTags begin the names that only AWS gives a meaning. Producers may send those in
// producerTags (developer guide, "Automated image generation" and "Notifications"; the last two are
// written by AWS's C producer).
const reservedTags = "AWS"

var producerTags = []string{
	"AWS_KINESISVIDEO_IMAGE_GENERATION", "AWS_KINESISVIDEO_IMAGE_PREFIX", "AWS_KINESISVIDEO_NOTIFICATION",
	"AWS_KINESISVIDEO_END_OF_FRAGMENT", "AWS_KINESISVIDEO_END_OF_STREAM",
}

// latest is the fragment before what is read now, outside of Clusters; nil before the first.
func (se *session) latest() *fragment {
	if se.pending != nil {
		return se.pending
	}
	return se.stored
}

// takeTags takes a Tags element. It belongs to the fragment before it; to the first where there is
// none before.
func (se *session) takeTags(tags []Tag) error {
	f := se.latest()
	all := &se.tags
	if f != nil {
		all = &f.tags
	}
	if bad := se.checkTags(append(slices.Clone(*all), tags...)); bad != nil {
		bad.of = f
		return bad
	}
	*all = append(*all, tags...)
	if f != nil && f.committed {
		return se.keepTags(f, tags)
	}
	return nil
}

// checkTags judges all tags of a fragment.
func (se *session) checkTags(tags []Tag) *failure {
	if limit := se.service.o.Limits.MaxTags; len(tags) > limit {
		return fail(metadataLimit, "a fragment has %d tags; %d are allowed", len(tags), limit)
	}
	for _, t := range tags {
		if len(t.Name) > maxTagName || len(t.Value) > maxTagValue {
			return fail(metadataLimit, "the tag %.40q has a name of %d or a value of %d bytes; %d and %d are allowed", t.Name, len(t.Name), len(t.Value), maxTagName, maxTagValue)
		}
		if strings.HasPrefix(t.Name, reservedTags) && !slices.Contains(producerTags, t.Name) {
			return fail(metadataLimit, "the tag name %.40q is reserved for AWS", t.Name)
		}
	}
	return nil
}

// keepTags stores tags of a fragment that is stored.
func (se *session) keepTags(f *fragment, tags []Tag) error {
	if len(tags) == 0 {
		return nil
	}
	if err := se.service.tagIndex.append(tagLine{Stream: se.st.name, Number: f.number, Tags: tags}); err != nil {
		return fail(internalError, "cannot note the fragment's tags: %v", err)
	}
	se.st.update(func() { se.st.addTags(f.number, tags) })
	return nil
}

// tagLine is a line of tags.jsonl: tags that came together.
type tagLine struct {
	Stream string `json:"stream"`
	Number string `json:"fragment_number"`
	Tags   []Tag  `json:"tags"`
}

// addTags is called with the stream's mutex held.
func (st *streamState) addTags(number string, tags []Tag) {
	if len(st.tags[number]) == 0 {
		st.stats.Tagged++
	}
	st.tags[number] = append(st.tags[number], tags...) // what readers have of it stays
}
