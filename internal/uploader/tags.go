package uploader

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
)

// Tags that the service acts upon. All other names that begin with AWS are reserved for it.
// Source: KVS developer guide, "Automated image generation" and "Notifications".
const (
	TagImageGeneration = "AWS_KINESISVIDEO_IMAGE_GENERATION" // images of the fragment go to S3; no value
	TagImagePrefix     = "AWS_KINESISVIDEO_IMAGE_PREFIX"     // begins the images' names
	TagNotification    = "AWS_KINESISVIDEO_NOTIFICATION"     // the fragment is announced over SNS; no value
)

var actedUpon = []string{TagImageGeneration, TagImagePrefix, TagNotification}

// TagEvent has the ids of the events that a fragment belongs to, separated by commas.
const TagEvent = "kvs-edge-event"

// tagEndOfFragment ends the fragment that precedes it: the service stores and acknowledges that fragment at once,
// instead of when the next begins. AWS's C producer sends it when no more frames arrive.
const tagEndOfFragment = "AWS_KINESISVIDEO_END_OF_FRAGMENT"

var endOfFragment = mkv.AppendTags(nil, []mkv.Tag{{Name: tagEndOfFragment}})

// tagSet are the tags of one call of SetTags.
type tagSet struct {
	encoded []byte // a Tags element; empty = no tags
	full    bool   // no further tag is allowed
	nearly  bool   // one further tag is allowed
}

// Tags that the service may have refused are left out, unless they change, for firstWithoutTags, and four times as long with each further
// refusal in a row, up to withoutTagsFor: an ERROR may have had another cause, and each try costs only a session.
const (
	firstWithoutTags = time.Minute
	withoutTagsFor   = 24 * time.Hour
)

// CheckTags returns an error for tags that the service would refuse with 4009 FRAGMENT_METADATA_LIMIT_REACHED.
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
		case strings.HasPrefix(t.Name, kvslimit.ReservedTags) && !slices.Contains(actedUpon, t.Name):
			return fmt.Errorf("the tag name %s is reserved for AWS", t.Name)
		}
	}
	return nil
}

// fragmentTags are the tags of all fragments that are sent. set may be called at any time, everything else only by the
// holder of the sendLock.
//
// They are sent with every fragment, as each is stored, found and returned by itself: what AWS's
// producers call persistent is this repetition too. And they follow their fragment. Tags between
// two clusters belong to the preceding one: AWS's producers write none before the first cluster
// of a session (amazon-kinesis-video-streams-pic, pull request 151), because where they did, the first
// fragment had them twice and the last not at all (amazon-kinesis-video-streams-producer-c,
// issue 405 and pull request 475).
type fragmentTags struct {
	stream  string
	health  *health.Component
	log     *zap.Logger
	now     func() time.Time       // the wall clock
	current atomic.Pointer[tagSet] // never nil

	withheld *tagSet       // the tags that the service refused, and that are left out; nil = none
	until    time.Time     // they are
	pause    time.Duration // the last one; 0 once tags got through
}

func newFragmentTags(o Options) *fragmentTags {
	t := &fragmentTags{stream: o.Stream, health: o.Health, log: o.Log, now: o.Now}
	t.current.Store(&tagSet{})
	return t
}

// set sets the tags of all fragments that are sent from now on. After an error the previous tags stay.
func (t *fragmentTags) set(tags []mkv.Tag) error {
	if err := CheckTags(tags); err != nil {
		return err
	}
	set := &tagSet{encoded: mkv.AppendTags(nil, tags), full: len(tags) == kvslimit.Tags, nearly: len(tags) == kvslimit.Tags-1}
	if !bytes.Equal(t.current.Load().encoded, set.encoded) {
		t.current.Store(set)
	}
	return nil
}

// tail returns the elements that follow the next fragment, and the tags that they are made of: nil where there are
// none. events are the ids of the fragment's events, where it has some. With end, the tag that ends the fragment is the last; it is
// withheld with the others.
func (t *fragmentTags) tail(end bool, events string) (set *tagSet, elements []byte) {
	set = t.current.Load()
	switch {
	case t.withheld == nil:
	case t.withheld != set:
		t.release()
	case !t.now().After(t.until):
		return nil, nil
	default:
		t.withheld = nil // a try: what was reported ends when it gets through
	}
	elements = slices.Clip(set.encoded)
	if events != "" && !set.full {
		// Where there is room for one tag only, that is this one.
		elements, end = mkv.AppendTags(elements, []mkv.Tag{{Name: TagEvent, Value: events}}), end && !set.nearly
	}
	if end && !set.full {
		elements = append(elements, endOfFragment...)
	}
	if len(elements) == 0 {
		return nil, nil
	}
	return set, elements
}

// withhold leaves out tags that the service may have refused: media takes precedence over metadata.
func (t *fragmentTags) withhold(set *tagSet) {
	t.pause = min(max(4*t.pause, firstWithoutTags), withoutTagsFor)
	t.withheld, t.until = set, t.now().Add(t.pause)
}

// release sends tags again, as if none had been refused.
func (t *fragmentTags) release() {
	t.withheld, t.pause = nil, 0
	t.health.OK(scopeTags)
}

// passed notes that a fragment got through, with tags or without: which is reported while they are withheld.
func (t *fragmentTags) passed(tagged bool) {
	if t.withheld == nil {
		if tagged && t.pause > 0 {
			t.release()
		}
		return
	}
	fault := health.SystemFault(codeTags, nil, "Stream %s is uploaded without fragment tags, as Kinesis Video Streams refuses them. "+
		"They are tried again when they change, and after pauses that grow to a day.", t.stream)
	if t.health.Report(scopeTags, health.Degraded, fault) {
		logevent.Condition(t.log, fault)
	}
}
