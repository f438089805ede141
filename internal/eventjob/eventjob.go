// Package eventjob owns what is done about events on a hub: it triggers them for those who ask, has their media held and sent by the
// uploads of the streams, and shows how far they are. It must not know how events are kept, nor how media is cut and sent.
package eventjob

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/atomicfile"
	"github.com/kvs-edge/kvs-edge-agent/internal/event"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/holds"
	"github.com/kvs-edge/kvs-edge-agent/internal/receipt"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/giveway"
)

// Media is the part of the store that is read.
type Media interface {
	uploader.Media
	Usage(stream string) segment.Usage
	Changes(stream string) (changes <-chan struct{}, stop func())
}

// Options of Jobs. All are required, but for Files and Now.
type Options struct {
	Dir   string                // the state directory
	Files atomicfile.FileSystem // default the real one
	Media Media
	// Receipts calls each with what the cloud has of a stream, as far as that is kept.
	Receipts func(stream string, from, to time.Time, each func(receipt.Receipt)) error
	Line     *giveway.Line
	Holds    func() *holds.Holds
	// Streams are those that are configured, and Relatives the others of the same camera.
	Streams   func() []string
	Relatives func(stream string) []string
	// Uploads reports whether a stream's media is uploaded, as far as anybody knows.
	Uploads func(stream string) bool
	NoCloud func() bool
	// Asked is called for the media of an event before it is uploaded, also where all of it was before. Default nothing.
	Asked func(stream string, from, to time.Time)
	// CloudBy is who asks where the cloud does, for people.
	CloudBy func() string
	Log     *zap.Logger
	Health  *health.Registry
	Now     func() time.Time // the wall clock; default time.Now
}

// Jobs do what is done about the events of a hub. Safe for concurrent use.
type Jobs struct {
	o     Options
	store *event.Store
}

// Open returns Jobs with the events of earlier runs.
func Open(o Options) *Jobs {
	if o.Asked == nil {
		o.Asked = func(string, time.Time, time.Time) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Jobs{o: o, store: event.Open(event.Options{Dir: o.Dir, Files: o.Files, Now: o.Now, Log: o.Log, Uploads: o.Uploads})}
}

// Count returns how many events of a stream are open, and how many are not final.
func (j *Jobs) Count(stream string) (open, going int) { return j.store.Count(stream) }

// Tag returns the ids of the events that media of a stream belongs to, as a tag has them.
func (j *Jobs) Tag(stream string, began, ended time.Time) string {
	return event.IDs(j.store.Of(stream, began, ended))
}

// Grows reports whether an event of a stream waits for media, so that its fragments end as those of a live upload. It is called at
// each keyframe.
func (j *Jobs) Grows(stream string) bool {
	ends := j.store.Ends(stream)
	if ends.IsZero() {
		return false
	}
	now := j.o.Now()
	newest := j.o.Media.Usage(stream).Newest
	return now.Before(ends) || newest.Before(ends) && now.Before(ends.Add(event.Settles))
}

// Run ends events whose streams are not uploaded any more, and adds holds that are due, until ctx ends. It returns nil.
func (j *Jobs) Run(ctx context.Context) error {
	return j.store.EndUnserved(ctx, event.Unserved{
		Fragments: j.known,
		HoldsDue: func(ctx context.Context, list []*event.Event) {
			for _, e := range list {
				j.hold(ctx, e, e.HoldBy, true)
			}
		},
	})
}

// hold has the media of an event held, if it is to be.
func (j *Jobs) hold(ctx context.Context, e *event.Event, by string, asked bool) {
	if !j.o.Holds().Ensure(ctx, e, by, asked) || e.HoldBy == "" {
		return
	}
	if err := j.store.HoldSettled(e); err != nil {
		j.o.Log.Debug("hold of an event not noted", zap.Error(err)) // it is added again, which changes nothing
	}
}

// recorded lists the fragments of a stream that are on the hub.
func (j *Jobs) recorded(stream string, span event.Span) (list []event.Fragment) {
	uploader.Recorded(j.o.Media, stream, span.From, span.To, func(began, ended time.Time, bytes int64, done, refused bool) {
		list = append(list, event.Fragment{From: began, To: ended, Bytes: bytes, Done: done, Refused: refused})
	})
	return list
}

// longestFragment is how long before a span a fragment may begin that reaches into it.
const longestFragment = time.Minute

// sent lists the fragments of a stream that the cloud has, as far as there are receipts.
func (j *Jobs) sent(stream string, span event.Span) (list []event.Fragment) {
	seen := make(map[int64]bool) // one that was sent twice has two receipts
	err := j.o.Receipts(stream, span.From.Add(-longestFragment), span.To, func(r receipt.Receipt) {
		end := r.Producer.Add(r.Length)
		if at := r.Producer.UnixMilli(); !seen[at] && !end.Before(span.From) {
			seen[at] = true
			list = append(list, event.Fragment{From: r.Producer, To: end, Bytes: r.Bytes, Done: true})
		}
	})
	if err != nil {
		j.o.Log.Debug("receipts not read", zap.String("stream", stream), zap.Error(err)) // what they say is left out
	}
	return list
}

// known lists the fragments of a stream that are on the hub, and those that were sent before they were deleted.
func (j *Jobs) known(stream string, span event.Span) []event.Fragment {
	return event.Joined(j.recorded(stream, span), j.sent(stream, span))
}
