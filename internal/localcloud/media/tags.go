package media

import (
	"fmt"
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

// reservedTags is how the names begin that belong to AWS. Producers may send those in
// producerTags (developer guide, "Automated image generation" and "Notifications"; the last two are
// written by AWS's C producer).
const reservedTags = "AWS"

var producerTags = []string{
	"AWS_KINESISVIDEO_IMAGE_GENERATION", "AWS_KINESISVIDEO_IMAGE_PREFIX", "AWS_KINESISVIDEO_NOTIFICATION",
	endOfFragment, "AWS_KINESISVIDEO_END_OF_STREAM",
}

// endOfFragment is the tag that ends the fragment before it.
const endOfFragment = "AWS_KINESISVIDEO_END_OF_FRAGMENT"

// takeTags takes a Tags element. It belongs to the fragment before it; where that has ended, or
// there is none, to the next.
func (se *session) takeTags(event strictmkv.Event) error {
	f, tags := se.pending, event.Tags
	all := &se.tags
	if f != nil {
		all = &f.tags
	}
	if se.file == nil {
		se.earlyTags = append(se.earlyTags, strictmkv.Span{Offset: event.Offset, Bytes: event.Size})
	}
	if bad := se.checkTags(append(slices.Clone(*all), tags...)); bad != nil {
		bad.of, bad.where = f, fmt.Sprintf("Tags at byte %d", event.Offset)
		return bad
	}
	*all = append(*all, tags...)
	if f != nil && slices.ContainsFunc(tags, func(t Tag) bool { return t.Name == endOfFragment }) {
		return se.settle(nil)
	}
	return nil
}

// checkTags judges all tags of a fragment.
func (se *session) checkTags(tags []Tag) *failure {
	if limit := se.service.o.Limits.MaxTags; len(tags) > limit {
		return fail(metadataLimit, "", "a fragment has %d tags; %d are allowed", len(tags), limit)
	}
	for _, t := range tags {
		if len(t.Name) > maxTagName || len(t.Value) > maxTagValue {
			return fail(metadataLimit, "", "the tag %.40q has a name of %d or a value of %d bytes; %d and %d are allowed",
				t.Name, len(t.Name), len(t.Value), maxTagName, maxTagValue)
		}
		if strings.HasPrefix(t.Name, reservedTags) && !slices.Contains(producerTags, t.Name) {
			return fail(metadataLimit, "", "the tag name %.40q is reserved for AWS", t.Name)
		}
	}
	return nil
}
