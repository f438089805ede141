package uploader

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
)

// The limits of a fragment's tags (KVS quotas, "Streaming metadata").
const (
	MaxTags     = 10
	MaxTagName  = 128 // bytes
	MaxTagValue = 256 // bytes
)

// Tags that the service acts upon. All other names beginning with AWS are its own.
// Source: KVS developer guide, "Automated image generation" and "Notifications".
const (
	TagImageGeneration = "AWS_KINESISVIDEO_IMAGE_GENERATION" // images of the fragment go to S3; no value
	TagImagePrefix     = "AWS_KINESISVIDEO_IMAGE_PREFIX"     // begins the images' names
	TagNotification    = "AWS_KINESISVIDEO_NOTIFICATION"     // the fragment is told over SNS; no value
	reservedTags       = "AWS"
)

// withoutTagsFor is how long tags are left out that the service refused, unless they change.
const withoutTagsFor = 24 * time.Hour

// CheckTags finds what the service would refuse with 4009 FRAGMENT_METADATA_LIMIT_REACHED.
func CheckTags(tags []mkv.Tag) error {
	if len(tags) > MaxTags {
		return fmt.Errorf("%d tags are more than the %d that a fragment may have", len(tags), MaxTags)
	}
	for _, t := range tags {
		switch {
		case t.Name == "" || len(t.Name) > MaxTagName:
			return fmt.Errorf("the tag name %q has %d bytes; 1 to %d are allowed", t.Name, len(t.Name), MaxTagName)
		case len(t.Value) > MaxTagValue:
			return fmt.Errorf("the value of the tag %s has %d bytes; %d are allowed", t.Name, len(t.Value), MaxTagValue)
		case strings.HasPrefix(t.Name, reservedTags) && t.Name != TagImageGeneration && t.Name != TagImagePrefix && t.Name != TagNotification:
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
	encoded := mkv.AppendTags(nil, tags)
	if before := u.tags.Load(); before == nil || !bytes.Equal(*before, encoded) {
		u.tags.Store(&encoded)
	}
	return nil
}

// tail is the Tags element that goes behind the next fragment; nil for none.
func (u *Uploader) tail() *[]byte {
	tags := u.tags.Load()
	if u.withheld != nil && (u.withheld != tags || u.o.Now().After(u.withheldUntil)) {
		u.releaseTags()
	}
	if tags == nil || len(*tags) == 0 || u.withheld == tags {
		return nil
	}
	return tags
}

// withholdTags leaves tags out that the service may have refused: media goes before metadata.
func (u *Uploader) withholdTags(tags *[]byte) {
	u.withheld, u.withheldUntil = tags, u.o.Now().Add(withoutTagsFor)
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
	fault := health.SystemFault(CodeTags, nil, "Stream %s is uploaded without fragment tags, as Kinesis Video Streams refuses them. They are tried again when they change, and once a day.", u.o.Stream)
	if u.o.Health.Report(scopeTags, health.Degraded, fault) {
		u.log.Warn("fragment tags are left out", zap.String("why", fault.Text))
	}
}
