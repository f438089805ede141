// Package holdrequest follows the cloud's requests to add and to remove holds, and answers each. It must not know how recordings are kept
// from being deleted.
//
// A request is acknowledged to the broker once the broker has its answer. Until then the broker keeps it, and sends it again: so no answer
// is lost, and the hold is all that is on the disk.
package holdrequest

import (
	"context"
	"crypto/sha256"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/hold"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
)

const (
	// maxRemembered is how many requests are remembered with their answers: more than a broker sends without an acknowledgement.
	maxRemembered = 256
	// maxDetails bounds the details of an answer, in runes.
	maxDetails = 1000
	// requestShown is how long a request is shown that could not be followed.
	requestShown = 24 * time.Hour
)

// goneBefore is the answer to a removal that an agent may have followed that was restarted before it could answer.
const goneBefore = "There is no hold with this ID any more: this request may have removed it before the agent was restarted."

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
	// Add adds a hold, or changes nothing when there is an equal one, and returns how many segments it holds, and their bytes: they stay
	// from then on, whatever happens. Its error is a sentence for the one who asked.
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
	handled []handled // the last ones, oldest first; for Run only
}

// handled is a request with its answer.
type handled struct {
	sum    [sha256.Size]byte // of its payload
	answer answer
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

// receive follows a request, and answers.
func (r *Requests) receive(ctx context.Context, payload []byte, repeated bool, acknowledge func()) {
	before, known := r.find(payload)
	if repeated && known { // a later request may have changed what this one did: it must not be done again
		r.publish(before, acknowledge)
		return
	}
	in, wrong := parse(payload)
	r.show(in, wrong)
	out := answer{RequestID: in.RequestID, Action: in.Action, HoldID: in.HoldID, StreamName: in.StreamName, Status: Failed, Details: wrong}
	switch {
	case wrong != "":
	case in.Action == ActionAdd:
		segments, bytes, err := r.o.Add(ctx, in.hold(r.o.By))
		if ctx.Err() != nil {
			return // the broker sends it again
		}
		out.Segments, out.Bytes = segments, bytes
		out.conclude(err)
	case !r.o.Known(in.HoldID) && known && before.Status == Done:
		out = before
	case !r.o.Known(in.HoldID) && repeated:
		out.Status, out.Details = Done, goneBefore
	default:
		ended, err := r.o.Remove(in.HoldID, r.o.By+", request "+health.Clean(in.RequestID, maxRequestID))
		out.StreamName = ended.Stream
		out.conclude(err)
	}
	r.remember(payload, out)
	r.publish(out, acknowledge)
}

// conclude is the end of a request.
func (a *answer) conclude(err error) {
	if err == nil {
		a.Status = Done
		return
	}
	a.Details = health.Clean(err.Error(), maxDetails)
}

// find returns the last answer to a request with that payload.
func (r *Requests) find(payload []byte) (answer, bool) {
	sum := sha256.Sum256(payload)
	for _, h := range slices.Backward(r.handled) {
		if h.sum == sum {
			return h.answer, true
		}
	}
	return answer{}, false
}

// remember keeps a request with its answer.
func (r *Requests) remember(payload []byte, out answer) {
	if r.handled = append(r.handled, handled{sha256.Sum256(payload), out}); len(r.handled) > maxRemembered {
		r.handled = slices.Delete(r.handled, 0, 1)
	}
}

// publish answers a request.
func (r *Requests) publish(out answer, acknowledge func()) {
	payload, err := out.encode(r.o.Now())
	if err != nil {
		logevent.StatusNotEncoded.Log(r.o.Log, zap.Error(err))
		acknowledge()
		return
	}
	r.o.Publish(payload, out.Action+" "+out.HoldID+" "+out.RequestID, acknowledge)
}

// show shows a request whose sender does not know the answer as its own, until one can be read.
func (r *Requests) show(in request, wrong string) {
	if wrong == "" {
		r.o.Health.OK(scopeHold)
	}
	if wrong == "" || in.RequestID != "" {
		return
	}
	fault := health.SystemFault(codeMessage, nil, "A request of the cloud about a hold is invalid. %s", wrong)
	r.o.Health.OK(scopeHold) // each is an occurrence of its own
	r.o.Health.Note(scopeHold, health.Info, fault, requestShown)
	logevent.Condition(r.o.Log, fault)
}
