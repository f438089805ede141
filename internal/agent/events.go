package agent

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/event"
	"github.com/kvs-edge/kvs-edge-agent/internal/eventrequest"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/holds"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/supervise"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/giveway"
)

// eventSender is what sends the media of a stream's events: the upload of the stream.
type eventSender struct {
	uploader *uploader.Uploader
	list     func(event.Span) []event.Fragment
}

// Fragments implements event.Sender.
func (s eventSender) Fragments(span event.Span) []event.Fragment { return s.list(span) }

// Send implements event.Sender.
func (s eventSender) Send(ctx context.Context, span event.Span, goesOn func() bool, each func()) error {
	done := -1
	return s.uploader.Urgent(ctx, span.From, span.To, goesOn, func(p uploader.Progress) {
		if done >= 0 && p.Done > done {
			each()
		}
		done = p.Done
	})
}

// Current implements event.Sender.
func (s eventSender) Current() bool { return s.uploader.Current() }

// eventNeeds are the needs of events as the uploads of other streams see them.
var eventNeeds = map[event.Need]giveway.Need{event.Nothing: giveway.Nothing, event.Soon: giveway.Soon, event.Now: giveway.Now}

// withEvents runs a stream's upload, and follows its events meanwhile.
func (a *Agent) withEvents(stream string, u *uploader.Uploader, run func(context.Context) error) func(context.Context) error {
	follow := func(ctx context.Context) error {
		media, stop := a.store.Changes(stream)
		defer stop()
		return event.Follow(ctx, event.Following{
			Stream: stream, Store: a.events, Media: media, Now: time.Now, Log: jobLog(a.log, stream, health.JobUploader),
			Sender: eventSender{u, func(span event.Span) []event.Fragment { return a.recordedOf(stream, span) }},
			Newest: func() time.Time { return a.store.Usage(stream).Newest },
			Need:   func(n event.Need) { a.line.Set(stream, eventNeeds[n]) },
		})
	}
	return func(ctx context.Context) error {
		var group sync.WaitGroup
		defer group.Wait()
		following, stop := context.WithCancel(ctx)
		defer stop()
		group.Go(func() {
			_ = supervise.Keep(following, supervise.Options{
				What: "Following the events of stream " + stream, Component: a.health.Component(stream, health.JobUploader), Log: a.log,
			}, follow)
		})
		return run(ctx)
	}
}

// recordedOf lists the fragments of a stream that are on the hub.
func (a *Agent) recordedOf(stream string, span event.Span) (list []event.Fragment) {
	uploader.Recorded(a.store, stream, span.From, span.To, func(began, ended time.Time, bytes int64, done, refused bool) {
		list = append(list, event.Fragment{From: began, To: ended, Bytes: bytes, Done: done, Refused: refused})
	})
	return list
}

// eventGrows reports whether an event of a stream waits for media, so that its fragments end as those of a live upload. It is called at
// each keyframe.
func (a *Agent) eventGrows(stream string) bool {
	ends := a.events.Ends(stream)
	return !ends.IsZero() && a.store.Usage(stream).Newest.Before(ends)
}

// trigger begins an event, or extends an open one, for by.
func (a *Agent) trigger(ctx context.Context, t event.Trigger, by string) (e event.Event, began bool, err error) {
	names := a.streams.names()
	for _, stream := range t.Streams {
		if !slices.Contains(names, stream) {
			return e, false, health.UserFault("event", nil, "This hub has no stream %s that an event could be of; `kvs-edge-agent status` lists "+
				"those it has.", health.Clean(stream, maxNameShown))
		}
	}
	e, began, err = a.events.Trigger(a.ofCamera(t))
	if err == nil {
		a.holds.Ensure(ctx, &e, by, t.Hold > 0)
	}
	return e, began, err
}

// ofCamera has an event apply to all streams of its cameras: the main streams and their sub streams, up to as many as an event has.
func (a *Agent) ofCamera(t event.Trigger) event.Trigger {
	all := slices.Clone(t.Streams)
	for _, stream := range t.Streams {
		for _, other := range a.relatives(stream) {
			if len(all) < event.MaxStreams && !slices.Contains(all, other) {
				all = append(all, other)
			}
		}
	}
	t.Streams = all
	return t
}

// maxNameShown bounds the name of a stream in a sentence, in runes: that of KVS has 256.
const maxNameShown = 256

// triggerForPeer is how a peer of the local API triggers an event.
func (a *Agent) triggerForPeer(ctx context.Context, r localapi.EventRequest, by string) (localapi.TriggeredEvent, error) {
	t := event.Trigger{
		ID: r.ID, Streams: r.Streams, Time: r.Time, Pre: event.DefaultPre, Post: event.DefaultPost, Reason: r.Reason, Source: r.Source,
	}
	if r.Stream != "" {
		t.Streams = append(slices.Clone(t.Streams), r.Stream)
	}
	if r.Pre != nil {
		t.Pre = time.Duration(*r.Pre * float64(time.Second))
	}
	if r.Post != nil {
		t.Post = time.Duration(*r.Post * float64(time.Second))
	}
	if t.Source == "" {
		t.Source = "api"
	}
	var err error
	if t.Hold, err = holds.Duration(r.Hold); err != nil {
		return localapi.TriggeredEvent{}, err
	}
	e, began, err := a.trigger(ctx, t, by)
	if err != nil {
		return localapi.TriggeredEvent{}, err
	}
	return localapi.TriggeredEvent{Event: a.shownEvent(&e), Began: began, Note: a.eventNote(t, e)}, nil
}

// triggerForCloud is how the cloud triggers an event.
func (a *Agent) triggerForCloud(ctx context.Context, r eventrequest.Request) error {
	t := event.Trigger{
		ID: r.ID, Streams: r.Streams, Time: r.Time, Pre: event.DefaultPre, Post: event.DefaultPost, Reason: r.Reason, Source: "mqtt",
		Repeated: r.Repeated, Hold: r.Hold,
	}
	if r.Pre != nil {
		t.Pre = *r.Pre
	}
	if r.Post != nil {
		t.Post = *r.Post
	}
	_, _, err := a.trigger(ctx, t, a.cloudBy("event"))
	return err
}

// cloudBy is who asks with a message of that topic, for people.
func (a *Agent) cloudBy(topic string) string {
	return "the cloud, by kvs-edge/" + a.settings().IoT.ThingName + "/" + topic
}

// eventProgress returns how far an event is, on all its streams together.
func (a *Agent) eventProgress(id string) (p eventrequest.Progress, known bool) {
	e, known := a.events.Get(id)
	if !known {
		return p, false
	}
	p = eventrequest.Progress{Streams: e.Streams, Open: e.Open(time.Now()), Final: e.Finished()}
	for _, stream := range e.Streams {
		x, _ := a.events.Progress(&e, stream)
		p.Total += x.Recorded
		p.Done += x.Uploaded
		p.Refused += x.Refused
	}
	p.NotHeld = a.holds.NotHeld(&e)
	return p, true
}

// eventNote says where the media of events stays on the hub, and where an event that has ended is not held.
func (a *Agent) eventNote(t event.Trigger, e event.Event) string {
	if late := holds.Late(t, e); late != "" {
		return late
	}
	if !a.settings().NoCloud {
		return ""
	}
	return "Nothing is uploaded by this hub, as " + settings.EnvCloud + " is off: the media of the event stays on the hub."
}

// listEvents lists events for the local API.
func (a *Agent) listEvents(stream string, from, to time.Time, most int) []localapi.Event {
	events := a.events.List(stream, from, to)
	list := make([]localapi.Event, 0, min(most, len(events)))
	for _, e := range events[max(0, len(events)-most):] {
		list = append(list, a.shownEvent(e))
	}
	return list
}

// shownEvent is an event as the local API shows it.
func (a *Agent) shownEvent(e *event.Event) localapi.Event {
	out := localapi.Event{
		ID: e.ID, Time: e.Time, From: e.From, To: e.To, Reason: e.Reason, Source: e.Source, Triggers: e.Triggers, Open: e.Open(time.Now()),
	}
	for _, stream := range e.Streams {
		p, known := a.events.Progress(e, stream)
		if !known {
			p = event.Count(a.recordedOf(stream, event.Span{From: e.From, To: e.To}))
		}
		_, final := e.Done[stream]
		shown := localapi.EventStream{
			Stream: stream, Recorded: p.Recorded, Uploaded: p.Uploaded, Refused: p.Refused, Bytes: p.Bytes, UploadedBytes: p.Sent,
			Final: final, OnHub: len(a.store.Segments(stream, e.From, e.To)) > 0,
		}
		a.holds.Show(e, &shown)
		out.Streams = append(out.Streams, shown)
	}
	return out
}
