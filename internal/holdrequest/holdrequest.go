// Package holdrequest follows the cloud's requests to add and to remove holds, and answers each. It must not know how recordings are kept
// from being deleted.
package holdrequest

import (
	"context"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/hold"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
)

const (
	// maxRemembered is of how many removals the requests are remembered.
	maxRemembered = 100
	// maxDetails bounds the details of an answer, in runes.
	maxDetails = 1000
	// requestShown is how long a request is shown that could not be followed.
	requestShown = 24 * time.Hour
)

// codeMessage is that of a message that cannot be followed.
const codeMessage = "config-message"

// scopeHold is reading the cloud's requests about holds.
const scopeHold health.Scope = "hold-message"

// Inbox has the messages that came.
type Inbox interface {
	// Ready receives when there may be messages.
	Ready() <-chan struct{}
	// Take calls each for the queued messages. repeated: the broker may have sent it before. acknowledge notifies the broker that it
	// need not send it again, and never blocks.
	Take(each func(payload []byte, repeated bool, acknowledge func()))
}

// Options of Requests. All are required.
type Options struct {
	Inbox Inbox
	// By is who asks with a message, for people.
	By string
	// Add adds a hold, or changes nothing when there is an equal one, and returns how many segments it holds, and their bytes. Its error
	// is a sentence for the one who asked.
	Add func(ctx context.Context, h hold.Hold) (segments int, bytes int64, err error)
	// Remove ends a hold, and Known reports whether there is one with that ID.
	Remove func(id, by string) (hold.Hold, error)
	Known  func(id string) bool
	// Publish sends an answer to the request with that id, now or later. It must not wait. sent is called when the broker has the
	// answer, and never blocks.
	Publish func(payload []byte, id string, sent func())
	Now     func() time.Time
	Log     *zap.Logger
	Health  *health.Component
}

// Requests are what the cloud asks for about holds.
type Requests struct {
	o       Options
	removed []string // the RequestIds of the last removals, oldest first
}

// New returns Requests.
func New(o Options) *Requests { return &Requests{o: o} }

// Run follows the requests until ctx ends.
func (r *Requests) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.o.Inbox.Ready():
			r.o.Inbox.Take(func(payload []byte, repeated bool, acknowledge func()) {
				r.receive(ctx, payload, repeated, acknowledge)
			})
		}
	}
}

// receive follows a request, and answers. The broker repeats the request until it has the answer: both actions may be repeated.
func (r *Requests) receive(ctx context.Context, payload []byte, repeated bool, acknowledge func()) {
	in, wrong := parse(payload)
	out := answer{RequestID: in.RequestID, Action: in.Action, HoldID: in.HoldID, StreamName: in.StreamName, Status: Failed, Details: wrong}
	switch {
	case wrong != "":
		r.invalid(in, wrong)
	case in.Action == ActionAdd:
		segments, bytes, err := r.o.Add(ctx, in.hold(r.o.By))
		if err != nil && ctx.Err() != nil {
			return // the broker sends it again
		}
		out.Segments, out.Bytes = segments, bytes
		out.conclude(err)
	default:
		out.conclude(r.remove(in, repeated, &out))
	}
	encoded, err := out.encode(r.o.Now())
	if err != nil {
		logevent.StatusNotEncoded.Log(r.o.Log, zap.Error(err))
		acknowledge()
		return
	}
	r.o.Publish(encoded, out.RequestID, acknowledge)
}

// conclude is the end of a request.
func (a *answer) conclude(err error) {
	if err == nil {
		a.Status = Done
		return
	}
	a.Details = health.Clean(err.Error(), maxDetails)
}

// remove ends a hold. One that is gone was removed by the same request where that may have come before.
func (r *Requests) remove(in request, repeated bool, out *answer) error {
	if !r.o.Known(in.HoldID) && (repeated || slices.Contains(r.removed, in.RequestID)) {
		return nil
	}
	ended, err := r.o.Remove(in.HoldID, r.o.By+", request "+health.Clean(in.RequestID, maxRequestID))
	if err != nil {
		return err
	}
	out.StreamName = ended.Stream
	if r.removed = append(r.removed, in.RequestID); len(r.removed) > maxRemembered {
		r.removed = r.removed[1:]
	}
	return nil
}

// invalid shows a request whose sender may not get the answer.
func (r *Requests) invalid(in request, wrong string) {
	if in.RequestID != "" {
		return
	}
	fault := health.SystemFault(codeMessage, nil, "A request of the cloud about a hold is invalid. %s", wrong)
	r.o.Health.OK(scopeHold) // each is an occurrence of its own
	r.o.Health.Note(scopeHold, health.Info, fault, requestShown)
	logevent.Condition(r.o.Log, fault)
}
