package kvs

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvsmodel"
)

// maxTags is how many tags a stream has at most. Source: KVS API reference, TagStream.
const maxTags = 50

// reservedTagPrefix starts the keys that only AWS sets, in small or large letters.
// Source: AWS General Reference, tag naming limits.
const reservedTagPrefix = "aws:"

// resource is what an ARN of the service names.
type resource struct{ kind, name string } // stream or channel

// parseResource takes apart an ARN that has the shape of one; others name nothing.
func parseResource(arn string) resource {
	parts := strings.Split(arn, ":")
	if len(parts) != 6 {
		return resource{}
	}
	kind, rest, _ := strings.Cut(parts[5], "/")
	name, _, _ := strings.Cut(rest, "/")
	return resource{kind: kind, name: name}
}

func checkTagKeys(member string, keys []string) error {
	for _, key := range keys {
		if len(key) >= len(reservedTagPrefix) && strings.EqualFold(key[:len(reservedTagPrefix)], reservedTagPrefix) {
			return badMember(member, "The tag key %s must not start with %s, which is reserved for AWS", key, reservedTagPrefix)
		}
	}
	return nil
}

// checkStreamARN refuses the ARNs of channels where an operation takes those of streams only.
func checkStreamARN(id streamID) error {
	if kind := parseResource(id.StreamARN).kind; id.StreamARN != "" && kind != "stream" {
		return awsapi.Errorf(http.StatusBadRequest, kvsmodel.InvalidResourceFormat, "StreamARN",
			"StreamARN %s is the ARN of a %s, not of a stream", id.StreamARN, kind)
	}
	return nil
}

// addTags adds tags to a stream; those that it has with the same key are replaced.
func (c *ControlPlane) addTags(find func(Streams) (*streamRecord, error), added map[string]string) error {
	if err := checkTagKeys("Tags", slices.Sorted(maps.Keys(added))); err != nil {
		return err
	}
	return c.update(func(d Streams) error {
		s, err := find(d)
		if err != nil {
			return err
		}
		tags := maps.Clone(s.Tags)
		if tags == nil {
			tags = map[string]string{}
		}
		maps.Copy(tags, added)
		if len(tags) > maxTags {
			return awsapi.Errorf(http.StatusBadRequest, kvsmodel.TagsExceeded, "Tags",
				"The stream %s would have %d tags; it has at most %d", s.Name, len(tags), maxTags)
		}
		s.Tags = tags
		return nil
	})
}

// removeTags takes tags from a stream; keys that it does not have are ignored.
func (c *ControlPlane) removeTags(find func(Streams) (*streamRecord, error), keys []string) error {
	if err := checkTagKeys("TagKeyList", keys); err != nil {
		return err
	}
	return c.update(func(d Streams) error {
		s, err := find(d)
		if err != nil {
			return err
		}
		tags := maps.Clone(s.Tags)
		for _, key := range keys {
			delete(tags, key)
		}
		s.Tags = tags
		return nil
	})
}

// listTags returns all tags: they are never so many that a second page is needed.
func (c *ControlPlane) listTags(find func(Streams) (*streamRecord, error), token string) (any, error) {
	if token != "" {
		return nil, foreignToken()
	}
	tags := map[string]string{}
	err := c.view(func(d Streams) error {
		s, err := find(d)
		if err == nil {
			maps.Copy(tags, s.Tags)
		}
		return err
	})
	return map[string]any{"Tags": tags}, err
}

func (id streamID) findTagged(d Streams) (*streamRecord, error) {
	if err := checkStreamARN(id); err != nil {
		return nil, err
	}
	return d.findActive(id)
}

type tagStreamInput struct {
	streamID
	Tags map[string]string
}

func (c *ControlPlane) tagStream(in tagStreamInput) (any, error) {
	return nil, c.addTags(in.findTagged, in.Tags)
}

type untagStreamInput struct {
	streamID
	TagKeyList []string
}

func (c *ControlPlane) untagStream(in untagStreamInput) (any, error) {
	return nil, c.removeTags(in.findTagged, in.TagKeyList)
}

type listTagsForStreamInput struct {
	streamID
	NextToken string
}

func (c *ControlPlane) listTagsForStream(in listTagsForStreamInput) (any, error) {
	return c.listTags(in.findTagged, in.NextToken)
}

// resourceID names a stream or a channel. There are no channels here.
type resourceID struct{ ResourceARN string }

func (id resourceID) findTagged(d Streams) (*streamRecord, error) {
	s, err := d.findActive(streamID{StreamARN: id.ResourceARN})
	if err != nil {
		return nil, notFound("ResourceARN", id.ResourceARN)
	}
	return s, nil
}

type tagResourceInput struct {
	resourceID
	Tags []struct{ Key, Value string }
}

func (c *ControlPlane) tagResource(in tagResourceInput) (any, error) {
	tags := map[string]string{}
	for _, tag := range in.Tags {
		if _, twice := tags[tag.Key]; twice {
			return nil, badMember("Tags", "Tags has the key %s twice", tag.Key)
		}
		tags[tag.Key] = tag.Value
	}
	return nil, c.addTags(in.findTagged, tags)
}

type untagResourceInput struct {
	resourceID
	TagKeyList []string
}

func (c *ControlPlane) untagResource(in untagResourceInput) (any, error) {
	return nil, c.removeTags(in.findTagged, in.TagKeyList)
}

type listTagsForResourceInput struct {
	resourceID
	NextToken string
}

func (c *ControlPlane) listTagsForResource(in listTagsForResourceInput) (any, error) {
	return c.listTags(in.findTagged, in.NextToken)
}
