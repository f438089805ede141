package eventjob

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/event"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/supervise"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/giveway"
)

// sender is what sends the media of a stream's events: the upload of the stream.
type sender struct {
	*Jobs
	stream   string
	uploader *uploader.Uploader
}

// Fragments implements event.Sender.
func (s sender) Fragments(span event.Span) []event.Fragment { return s.recorded(s.stream, span) }

// Before implements event.Sender. Media that is in the cloud already is asked for too, though it is not sent.
func (s sender) Before(span event.Span) []event.Fragment {
	s.o.Asked(s.stream, span.From, span.To)
	return s.sent(s.stream, span)
}

// Send implements event.Sender.
func (s sender) Send(ctx context.Context, what event.Sending) error {
	s.o.Asked(s.stream, what.Span.From, what.Span.To)
	done := -1
	growing := uploader.Growing{GoesOn: what.GoesOn, Begins: what.Begins}
	return s.uploader.Urgent(ctx, what.Span.From, what.Span.To, growing, func(p uploader.Progress) {
		if done >= 0 && p.Done > done {
			what.Got()
		}
		done = p.Done
	})
}

// Current implements event.Sender.
func (s sender) Current() bool { return s.uploader.Current() }

// needs are the needs of events as the uploads of other streams see them.
var needs = map[event.Need]giveway.Need{event.Nothing: giveway.Nothing, event.Soon: giveway.Soon, event.Now: giveway.Now}

// With runs a stream's upload, and follows its events meanwhile. The upload notes in sent what it has sent.
func (j *Jobs) With(stream string, u *uploader.Uploader, sent *event.Sent, log *zap.Logger,
	run func(context.Context) error) func(context.Context) error {
	follow := func(ctx context.Context) error {
		media, stop := j.o.Media.Changes(stream)
		defer stop()
		return event.Follow(ctx, event.Following{
			Stream: stream, Store: j.store, Media: media, Now: j.o.Now, Sent: sent, Log: log, Sender: sender{j, stream, u},
			Newest: func() time.Time { return j.o.Media.Usage(stream).Newest },
			Need:   func(n event.Need) { j.o.Line.Set(stream, needs[n]) },
		})
	}
	return func(ctx context.Context) error {
		var group sync.WaitGroup
		defer group.Wait()
		following, stop := context.WithCancel(ctx)
		defer stop()
		group.Go(func() {
			_ = supervise.Keep(following, supervise.Options{
				What: "Following the events of stream " + stream, Component: j.o.Health.Component(stream, health.JobUploader), Log: j.o.Log,
			}, follow)
		})
		return run(ctx)
	}
}
