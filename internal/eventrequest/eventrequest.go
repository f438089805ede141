// Package eventrequest follows the events that the cloud triggers, and answers each: when it is on the disk, now and then, and when
// its media is in the cloud, also across restarts of the agent. It must not know how events are kept or uploaded.
package eventrequest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
)

const (
	// checkEvery is how often the events are checked, and answerEvery how often one that is not final is answered at most.
	checkEvery  = time.Second
	answerEvery = 5 * time.Second
	// maxAwaited is how many events may wait for their last answer: as many as are kept.
	maxAwaited = 10_000
	// eventShown is how long a message is shown that could not be followed.
	eventShown = 24 * time.Hour
	// maxDetails bounds the details of an answer, in runes.
	maxDetails = 1000
)

// codeMessage is that of a message that cannot be followed.
const codeMessage = "config-message"

// scopeEvent is reading the events that the cloud triggers.
const scopeEvent health.Scope = "event-message"

// file has the ids of the events whose last answer the broker does not have yet.
const file = "event-answers.json"

// Progress is how far an event is, on all its streams.
type Progress struct {
	Streams              []string
	Open                 bool // it has not ended
	Final                bool
	Total, Done, Refused int // fragments; Refused are not part of Done
	Lost                 int // of Total: deleted on the hub before they were in the cloud
	Unsent               int // of Total: stay on the hub, as their stream is no longer uploaded
	// NotHeld says why its media is not held on the hub although the trigger asked for that.
	NotHeld string
}

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
	// Trigger returns once the event is on the disk. Its error is a sentence for the one who asked.
	Trigger func(context.Context, Request) error
	// Progress returns how far an event is; known is false for one that is not kept.
	Progress func(id string) (p Progress, known bool)
	// Publish sends an answer about the event with that id, now or later. It must not wait. sent is called when the broker has the
	// answer, and never blocks; nil: nobody wants to know.
	Publish func(payload []byte, id string, sent func())
	Dir     statefile.Dir
	Now     func() time.Time
	Log     *zap.Logger
	Health  *health.Component
}

// awaited is an event whose last answer the broker does not have.
type awaited struct {
	id   string
	last answer    // what was said last
	at   time.Time // when
}

// Requests are the events that the cloud has triggered.
type Requests struct {
	o       Options
	list    []*awaited // oldest first
	unsaved bool

	mu        sync.Mutex
	delivered []string // ids of which the broker has the last answer; guarded by mu
}

// New returns Requests with those whose last answer is still to come.
func New(o Options) *Requests {
	r := &Requests{o: o}
	var ids []string
	if err := o.Dir.Read(file, &ids); err != nil && !errors.Is(err, fs.ErrNotExist) {
		logevent.EventAnswersLost.Log(o.Log, zap.Error(err))
	}
	for _, id := range ids {
		r.list = append(r.list, &awaited{id: id})
	}
	return r
}

// Run follows the messages and answers until ctx ends.
func (r *Requests) Run(ctx context.Context) {
	check := time.NewTicker(checkEvery)
	defer check.Stop()
	for checked := true; ; {
		if awaits := len(r.list) > 0 || r.unsaved; awaits != checked {
			check.Reset(checkEvery)
			if checked = awaits; !awaits {
				check.Stop() // an agent that awaits nothing does not wake for it
			}
		}
		select {
		case <-ctx.Done():
			r.forget()
			return
		case <-r.o.Inbox.Ready():
			r.forget() // what was delivered meanwhile is about the events of before
			r.o.Inbox.Take(func(payload []byte, repeated bool, acknowledge func()) {
				r.receive(ctx, payload, repeated)
				acknowledge()
			})
		case <-check.C:
			r.forget()
			for _, a := range r.list {
				r.answer(a, false)
			}
		}
	}
}

// receive triggers an event, and answers.
func (r *Requests) receive(ctx context.Context, payload []byte, repeated bool) {
	in, wrong := parse(payload)
	if in.Repeated = repeated; wrong == "" {
		r.o.Health.OK(scopeEvent)
	} else if in.ID == "" {
		fault := health.SystemFault(codeMessage, nil, "An event of the cloud is invalid. %s", wrong)
		r.o.Health.OK(scopeEvent) // each is an occurrence of its own
		r.o.Health.Note(scopeEvent, health.Info, fault, eventShown)
		logevent.Condition(r.o.Log, fault)
	}
	if wrong == "" {
		if err := r.o.Trigger(ctx, in); err != nil {
			wrong = health.Clean(err.Error(), maxDetails)
		}
	}
	if wrong != "" {
		shown := in.Streams[:min(len(in.Streams), maxShownStreams)]
		r.publish(answer{EventID: in.ID, StreamNames: shown, Status: Failed, Details: wrong}, nil)
		return
	}
	i := slices.IndexFunc(r.list, func(a *awaited) bool { return a.id == in.ID })
	if i < 0 {
		if len(r.list) >= maxAwaited {
			r.list = r.list[1:]
		}
		r.list, i = append(r.list, &awaited{id: in.ID}), len(r.list)
		r.save()
	}
	r.answer(r.list[i], true)
}

// answer says how far an event is, at once if somebody asked, or else when it is due.
func (r *Requests) answer(a *awaited, asked bool) {
	p, known := r.o.Progress(a.id)
	out := answer{EventID: a.id, StreamNames: p.Streams, Status: Running, Open: p.Open, Done: p.Done, Total: p.Total, NotHeld: p.NotHeld}
	switch {
	case !known:
		out.Status, out.Details = Failed, "The event is no longer kept."
	case p.Final && p.Total == 0:
		out.Status, out.Details = Failed, "Nothing is recorded of that time."
	case p.Final:
		if out.Status, out.Details = Done, p.missing(); out.Details != "" {
			out.Status = Failed
		}
	}
	final := out.Status != Running
	now := r.o.Now()
	if !asked && (out.same(a.last) || !final && now.Sub(a.at) < answerEvery) {
		return
	}
	a.last, a.at = out, now
	var sent func()
	if final {
		sent = func() { r.deliver(a.id) }
	}
	r.publish(out, sent)
}

// missing says how much of an event that has ended is not in the cloud, and why; empty: all is.
func (p Progress) missing() string {
	var list []string
	say := func(n int, why string) {
		if n > 0 {
			list = append(list, fmt.Sprintf("%d of %d fragments %s.", n, p.Total, why))
		}
	}
	say(p.Lost, "were deleted on the hub before they were in the cloud")
	say(p.Unsent, "stay on the hub, as it no longer uploads their stream")
	say(p.Refused, "stay on the hub, as the service does not accept them; `kvs-edge-agent status` says why")
	return strings.Join(list, " ")
}

// deliver notes that the broker has the last answer about an event.
func (r *Requests) deliver(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.delivered = append(r.delivered, id)
}

// forget removes the events whose last answer is delivered.
func (r *Requests) forget() {
	r.mu.Lock()
	gone := r.delivered
	r.delivered = nil
	r.mu.Unlock()
	before := len(r.list)
	r.list = slices.DeleteFunc(r.list, func(a *awaited) bool { return slices.Contains(gone, a.id) && a.last.Status != Running })
	if len(r.list) < before || r.unsaved || len(r.list) > 0 && r.o.Dir.Missing(file) {
		r.save()
	}
}

func (r *Requests) save() {
	ids := make([]string, len(r.list))
	for i, a := range r.list {
		ids[i] = a.id
	}
	err := r.o.Dir.Write(file, ids)
	if err != nil && !r.unsaved {
		logevent.EventAnswersNotSaved.Log(r.o.Log, zap.Error(err))
	}
	r.unsaved = err != nil
}

// publish sends an answer. sent is called when the broker has it; nil = nobody wants to know.
func (r *Requests) publish(out answer, sent func()) {
	payload, err := out.encode(r.o.Now())
	if err != nil {
		logevent.StatusNotEncoded.Log(r.o.Log, zap.Error(err))
		return
	}
	r.o.Publish(payload, out.EventID, sent)
}
