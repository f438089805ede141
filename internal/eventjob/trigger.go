package eventjob

import (
	"context"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/event"
	"github.com/kvs-edge/kvs-edge-agent/internal/eventrequest"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/holds"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

const (
	// maxNameShown bounds the name of a stream in a sentence, in runes: that of KVS has 256.
	maxNameShown = 256
	// maxSeconds bounds what is read of a length of time; what it may be is not decided here.
	maxSeconds = 1e9
)

// trigger begins an event, or extends an open one, for t.By.
func (j *Jobs) trigger(ctx context.Context, t event.Trigger) (e event.Event, began bool, err error) {
	names := j.o.Streams()
	for _, stream := range t.Streams {
		if kvslimit.IsStreamName(stream) && !slices.Contains(names, stream) {
			return e, false, health.UserFault("event", nil, "This hub has no stream %s that an event could be of; `kvs-edge-agent status` lists "+
				"those it has.", health.Clean(stream, maxNameShown))
		}
	}
	t.Streams = WithRelatives(t.Streams, j.o.Relatives)
	e, began, err = j.store.Trigger(t)
	if err == nil {
		j.hold(ctx, &e, t.By, t.Hold > 0)
	}
	return e, began, err
}

// WithRelatives has an event apply to all streams of its cameras: the main streams and their sub streams, up to as many as an event has.
func WithRelatives(streams []string, relatives func(stream string) []string) []string {
	all := slices.Clone(streams)
	for _, stream := range streams {
		for _, other := range relatives(stream) {
			if len(all) < event.MaxStreams && !slices.Contains(all, other) {
				all = append(all, other)
			}
		}
	}
	return all
}

// roll is a length of time in seconds that somebody wants, or the default.
func roll(wanted *float64, otherwise time.Duration) time.Duration {
	if wanted == nil {
		return otherwise
	}
	return time.Duration(max(-maxSeconds, min(maxSeconds, *wanted)) * float64(time.Second))
}

// ForPeer is how a peer of the local API triggers an event.
func (j *Jobs) ForPeer(ctx context.Context, r localapi.EventRequest, by string) (localapi.TriggeredEvent, error) {
	t := event.Trigger{
		ID: r.ID, Streams: r.Streams, Time: r.Time, Reason: r.Reason, Source: r.Source, By: by,
		Pre: roll(r.Pre, event.DefaultPre), Post: roll(r.Post, event.DefaultPost),
	}
	if r.Stream != "" {
		t.Streams = append(slices.Clone(t.Streams), r.Stream)
	}
	if t.Source == "" {
		t.Source = "api"
	}
	var err error
	if t.Hold, err = holds.Duration(r.Hold); err != nil {
		return localapi.TriggeredEvent{}, err
	}
	e, began, err := j.trigger(ctx, t)
	if err != nil {
		return localapi.TriggeredEvent{}, err
	}
	return localapi.TriggeredEvent{Event: j.shown(&e), Began: began, Note: j.note(t, e)}, nil
}

// ForCloud is how the cloud triggers an event.
func (j *Jobs) ForCloud(ctx context.Context, r eventrequest.Request) error {
	t := event.Trigger{
		ID: r.ID, Streams: r.Streams, Time: r.Time, Pre: event.DefaultPre, Post: event.DefaultPost, Reason: r.Reason, Source: "mqtt",
		Repeated: r.Repeated, Hold: r.Hold, By: j.o.CloudBy(),
	}
	if r.Pre != nil {
		t.Pre = *r.Pre
	}
	if r.Post != nil {
		t.Post = *r.Post
	}
	_, _, err := j.trigger(ctx, t)
	return err
}

// note says where the media of events stays on the hub, and where an event that has ended is not held.
func (j *Jobs) note(t event.Trigger, e event.Event) string {
	if late := holds.Late(t, e); late != "" {
		return late
	}
	if !j.o.NoCloud() {
		return ""
	}
	return "Nothing is uploaded by this hub, as " + settings.EnvCloud + " is off: the media of the event stays on the hub."
}
