package eventjob

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/event"
	"github.com/kvs-edge/kvs-edge-agent/internal/eventrequest"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
)

// Progress returns how far an event is, on all its streams together.
func (j *Jobs) Progress(id string) (p eventrequest.Progress, known bool) {
	e, known := j.store.Get(id)
	if !known {
		return p, false
	}
	p = eventrequest.Progress{Streams: e.Streams, Open: e.Open(j.o.Now()), Final: e.Finished()}
	for _, stream := range e.Streams {
		x, _ := j.store.Progress(&e, stream)
		p.Total += x.Recorded
		p.Done += x.Uploaded
		p.Refused += x.Refused
		p.Lost += x.Lost
		p.Unsent += x.Unsent
	}
	p.NotHeld = j.o.Holds().NotHeld(&e)
	return p, true
}

// List lists events for the local API.
func (j *Jobs) List(stream string, from, to time.Time, most int) []localapi.Event {
	events := j.store.List(stream, from, to)
	list := make([]localapi.Event, 0, min(most, len(events)))
	for _, e := range events[max(0, len(events)-most):] {
		list = append(list, j.shown(e))
	}
	return list
}

// shown is an event as the local API shows it.
func (j *Jobs) shown(e *event.Event) localapi.Event {
	out := localapi.Event{
		ID: e.ID, Time: e.Time, From: e.From, To: e.To, Reason: e.Reason, Source: e.Source, Triggers: e.Triggers, Open: e.Open(j.o.Now()),
	}
	for _, stream := range e.Streams {
		p, known := j.store.Progress(e, stream)
		if !known {
			p = event.Count(j.known(stream, event.Span{From: e.From, To: e.To}))
		}
		_, final := e.Done[stream]
		if !final && !out.Open && !j.o.Uploads(stream) {
			p.Unsent = p.Recorded - p.Uploaded - p.Refused - p.Lost
		}
		shown := localapi.EventStream{
			Stream: stream, Recorded: p.Recorded, Uploaded: p.Uploaded, Refused: p.Refused, Lost: p.Lost, Unsent: p.Unsent,
			Bytes: p.Bytes, UploadedBytes: p.Sent,
			Final: final, OnHub: len(j.o.Media.Segments(stream, e.From, e.To)) > 0,
		}
		j.o.Holds().Show(e, &shown)
		out.Streams = append(out.Streams, shown)
	}
	return out
}
