package uploader

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
)

// Tags that the service acts upon. All other names beginning with AWS are its own.
// Source: KVS developer guide, "Automated image generation" and "Notifications".
const (
	TagImageGeneration = "AWS_KINESISVIDEO_IMAGE_GENERATION" // images of the fragment go to S3; no value
	TagImagePrefix     = "AWS_KINESISVIDEO_IMAGE_PREFIX"     // begins the images' names
	TagNotification    = "AWS_KINESISVIDEO_NOTIFICATION"     // the fragment is told over SNS; no value
)

// tagEndOfFragment ends the fragment before it: the service stores and acknowledges it at once,
// instead of when the next begins. AWS's C producer sends it when frames stop coming.
const tagEndOfFragment = "AWS_KINESISVIDEO_END_OF_FRAGMENT"

var endOfFragment = mkv.AppendTags(nil, []mkv.Tag{{Name: tagEndOfFragment}})

// tagSet is what SetTags was called with.
type tagSet struct {
	encoded []byte // a Tags element; empty = no tags
	full    bool   // there is no room for another tag
}

// withoutTagsFor is how long tags are left out that the service refused, unless they change.
const withoutTagsFor = 24 * time.Hour

// CheckTags finds what the service would refuse with 4009 FRAGMENT_METADATA_LIMIT_REACHED.
func CheckTags(tags []mkv.Tag) error {
	if len(tags) > kvslimit.Tags {
		return fmt.Errorf("%d tags are more than the %d that a fragment may have", len(tags), kvslimit.Tags)
	}
	for _, t := range tags {
		switch {
		case t.Name == "" || len(t.Name) > kvslimit.TagNameBytes:
			return fmt.Errorf("the tag name %q has %d bytes; 1 to %d are allowed", t.Name, len(t.Name), kvslimit.TagNameBytes)
		case len(t.Value) > kvslimit.TagValueBytes:
			return fmt.Errorf("the value of the tag %s has %d bytes; %d are allowed", t.Name, len(t.Value), kvslimit.TagValueBytes)
		case strings.HasPrefix(t.Name, kvslimit.ReservedTags) && t.Name != TagImageGeneration && t.Name != TagImagePrefix && t.Name != TagNotification:
			return fmt.Errorf("the tag name %s is reserved for AWS", t.Name)
		}
	}
	return nil
}

// SetTags gives the tags of all fragments that are sent from now on. It may be called at any time;
// after an error those before stay.
//
// They go with every fragment, as each is stored, found and given back by itself: what AWS's
// producers call persistent is this repetition too. And they go BEHIND their fragment. Tags between
// two clusters belong to the one before them: AWS's producers write none before the first cluster
// of a session (amazon-kinesis-video-streams-pic, pull request 151), for where they did, the first
// fragment had them twice and the last not at all (amazon-kinesis-video-streams-producer-c,
// issue 405 and pull request 475).
func (u *Uploader) SetTags(tags []mkv.Tag) error {
	if err := CheckTags(tags); err != nil {
		return err
	}
	set := &tagSet{encoded: mkv.AppendTags(nil, tags), full: len(tags) == kvslimit.Tags}
	if !bytes.Equal(u.tags.Load().encoded, set.encoded) {
		u.tags.Store(set)
	}
	return nil
}

// tail returns what goes behind the next fragment, and the tags that it is of: nil where nothing
// goes. With end, the tag that ends the fragment is the last; it is withheld with the others.
func (u *Uploader) tail(end bool) (set *tagSet, elements []byte) {
	set = u.tags.Load()
	if u.withheld != nil && (u.withheld != set || u.o.Now().After(u.withheldUntil)) {
		u.releaseTags()
	}
	if u.withheld == set {
		return nil, nil
	}
	elements = slices.Clip(set.encoded)
	if end && !set.full {
		elements = append(elements, endOfFragment...)
	}
	if len(elements) == 0 {
		return nil, nil
	}
	return set, elements
}

// withholdTags leaves tags out that the service may have refused: media goes before metadata.
func (u *Uploader) withholdTags(set *tagSet) {
	u.withheld, u.withheldUntil = set, u.o.Now().Add(withoutTagsFor)
}

// releaseTags sends tags again.
func (u *Uploader) releaseTags() {
	u.withheld = nil
	u.o.Health.OK(scopeTags)
}

// reportWithheld is called when a fragment got through: without its tags, if they are withheld.
func (u *Uploader) reportWithheld() {
	if u.withheld == nil {
		return
	}
	fault := health.SystemFault(CodeTags, nil, "Stream %s is uploaded without fragment tags, as Kinesis Video Streams refuses them. "+
		"They are tried again when they change, and once a day.", u.o.Stream)
	if u.o.Health.Report(scopeTags, health.Degraded, fault) {
		u.log.Warn("fragment tags are left out", zap.String("why", fault.Text))
	}
}
