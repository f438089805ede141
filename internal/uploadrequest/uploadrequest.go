// Package uploadrequest follows the cloud's requests to upload what was recorded of a stream from one time to another.
// It answers each at the start, now and then, and at the end, also across restarts of the agent.
package uploadrequest

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/pulse"
	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
	"github.com/kvs-edge/kvs-edge-agent/internal/supervise"
)

const (
	// maxOpen is how many requests the cloud may have open at once.
	maxOpen = 16
	// answerEvery is how often a running upload says how far it is.
	answerEvery = 5 * time.Second
	// rememberedAnswers is how many finished requests are known again.
	rememberedAnswers = 100
	// saveEvery is how soon a failed save is tried again, and a file that somebody removed written again.
	saveEvery = 5 * time.Second
	// eventShown is how long a message is shown that could not be followed.
	eventShown = 24 * time.Hour
	// maxDetails bounds the details of an answer, in runes.
	maxDetails = 1000
)

// codeMessage is that of a message that cannot be followed.
const codeMessage = "config-message"

// scopeRequest is reading the cloud's requests. It is not health.ScopeMessage: what a configuration or a listing says
// about configurations says nothing about requests.
const scopeRequest health.Scope = "upload-request"

// Uploader uploads what was recorded of a stream from (inclusive) to (exclusive), and reports how many of how many
// fragments are done, until all are.
type Uploader func(ctx context.Context, stream string, from, to time.Time, each func(done, total int)) error

// Inbox has the requests that came.
type Inbox interface {
	// Ready receives when there may be requests.
	Ready() <-chan struct{}
	// Take calls each for the queued requests. acknowledge notifies the broker that it need not send one again, and
	// never blocks.
	Take(each func(payload []byte, acknowledge func()))
}

// Options of Requests. All are required, but Upload.
type Options struct {
	Inbox  Inbox
	Upload Uploader // default: requests are refused
	// Publish sends an answer to the request with that id, now or later. It must not wait. sent is called when the
	// broker has the answer, and never blocks; nil: nobody wants to know.
	Publish func(payload []byte, id string, sent func())
	Dir     statefile.Dir // keeps the requests that are open
	Now     func() time.Time
	Log     *zap.Logger
	Health  *health.Component
}

// file holds the requests whose last answer the broker does not have yet, so that a restart ends none of them.
const file = "uploads.json"

// Requests are those that the cloud has made.
type Requests struct {
	o       Options
	uploads sync.WaitGroup
	news    signal.Signal // there are delivered ones
	resumed bool          // those of before were; for Run only
	unsaved bool          // the disk lacks a change; for Run only

	mu        sync.Mutex
	kept      []request         // as in the file, oldest first; guarded by mu, as all below
	running   int               // of these
	last      map[string]answer // the last answer by RequestId, also of finished ones: a message may come twice
	delivered []string          // RequestIds of which the broker has the last answer, still kept
	finished  []string          // RequestIds that are no longer kept, oldest first
}

// New returns Requests that follow none yet.
func New(o Options) *Requests {
	return &Requests{o: o, news: signal.New(), last: make(map[string]answer)}
}

// Run resumes the requests from before the start, and follows new ones, until ctx ends.
func (r *Requests) Run(ctx context.Context) {
	if !r.resumed { // an error in here has Run called again
		r.resumed = true
		r.resume(ctx)
	}
	saving := pulse.NewTicker(saveEvery)
	defer saving.Stop()
	for {
		select {
		case <-ctx.Done():
			r.uploads.Wait()
			r.finish()
			return
		case <-r.o.Inbox.Ready():
			r.o.Inbox.Take(func(payload []byte, acknowledge func()) {
				r.receive(ctx, payload)
				acknowledge()
			})
		case <-r.news.C():
			r.finish()
		case <-saving.C:
			r.saveAgain()
		}
	}
}

// receive follows a request beside everything else.
func (r *Requests) receive(ctx context.Context, payload []byte) {
	in, wrong := parse(payload)
	if wrong == "" {
		r.o.Health.OK(scopeRequest)
	}
	out := answer{RequestID: in.RequestID, StreamName: in.StreamName, Status: Failed}
	switch {
	case wrong != "":
		if out.Details = wrong; in.RequestID == "" {
			r.event(health.SystemFault(codeMessage, nil, "An upload request is invalid. %s", wrong))
		}
	case r.o.Upload == nil:
		out.Details = "This agent does not upload on demand."
	default:
		if r.repeat(in.RequestID) {
			return
		}
		if r.admit(in) {
			r.save() // before the message is acknowledged
			r.uploads.Go(func() { r.follow(ctx, in) })
			return
		}
		out.Details = "Too many uploads are requested at once; send the request again when one of them is done."
	}
	r.publish(out, r.o.Now(), nil)
}

// event shows a message that nobody can be answered, until one can be read. Each is an occurrence of its own.
func (r *Requests) event(f *health.Fault) {
	r.o.Health.OK(scopeRequest)
	r.o.Health.Note(scopeRequest, health.Info, f, eventShown)
	logevent.Condition(r.o.Log, f)
}

// admit takes a request unless too many are open.
func (r *Requests) admit(in request) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running >= maxOpen {
		return false
	}
	r.keep(in)
	return true
}

// keep takes a request. Call with mu held.
func (r *Requests) keep(in request) {
	r.running++
	r.kept = append(r.kept, in)
	r.last[in.RequestID] = answer{RequestID: in.RequestID, StreamName: in.StreamName, Status: Running}
}

// resume continues the uploads that were requested before the agent was restarted. Media that is persisted in the
// cloud by now is not sent again.
func (r *Requests) resume(ctx context.Context) {
	var before []request
	if err := r.o.Dir.Read(file, &before); err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			logevent.UploadRequestsLost.Log(r.o.Log, zap.Error(err))
		}
		return
	}
	if r.o.Upload == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, in := range before {
		r.keep(in)
		r.uploads.Go(func() { r.follow(ctx, in) })
	}
}

// follow uploads and answers: at the start, now and then, and at the end. When the agent stops
// before, there is no last answer: the next start resumes the upload.
func (r *Requests) follow(ctx context.Context, in request) {
	out := answer{RequestID: in.RequestID, StreamName: in.StreamName, Status: Running}
	var answered time.Time
	err := supervise.Do("An upload on demand", func() error {
		return r.o.Upload(ctx, in.StreamName, in.From.Time, in.To.Time, func(done, total int) {
			out.Done, out.Total = done, total
			if now := time.Now(); now.Sub(answered) >= answerEvery {
				answered = now
				r.report(out)
			}
		})
	})
	if err != nil && ctx.Err() != nil {
		return
	}
	out.Status = Done
	if err != nil {
		out.Status, out.Details = Failed, health.Clean(err.Error(), maxDetails)
	}
	r.mu.Lock()
	r.running--
	r.mu.Unlock()
	r.report(out)
}

// report answers an admitted request.
func (r *Requests) report(out answer) {
	now := r.o.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last[out.RequestID] = out
	r.publishAdmitted(out, now)
}

// repeat sends the last answer to a request again, if it was admitted.
func (r *Requests) repeat(id string) (admitted bool) {
	now := r.o.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	last, admitted := r.last[id]
	if admitted {
		r.publishAdmitted(last, now)
	}
	return admitted
}

// publishAdmitted sends an answer; once the broker has the last one, the request is finished. Call
// with mu held, or an answer of before could come after the last one.
func (r *Requests) publishAdmitted(out answer, now time.Time) {
	var sent func()
	if out.Status != Running {
		sent = func() { r.deliver(out.RequestID) }
	}
	r.publish(out, now, sent)
}

// deliver notes that the broker has the last answer to a request.
func (r *Requests) deliver(id string) {
	r.mu.Lock()
	r.delivered = append(r.delivered, id)
	r.mu.Unlock()
	r.news.Set()
}

// finish forgets the requests whose last answer is delivered, but for the answers.
func (r *Requests) finish() {
	r.mu.Lock()
	before := len(r.kept)
	for _, id := range r.delivered {
		i := slices.IndexFunc(r.kept, func(in request) bool { return in.RequestID == id })
		if i >= 0 {
			r.kept = slices.Delete(r.kept, i, i+1)
			r.finished = append(r.finished, id)
		}
	}
	r.delivered = nil
	for len(r.finished) > rememberedAnswers {
		delete(r.last, r.finished[0])
		r.finished = r.finished[1:]
	}
	changed := len(r.kept) < before
	r.mu.Unlock()
	if changed {
		r.save()
	}
}

func (r *Requests) save() {
	r.mu.Lock()
	kept := slices.Clone(r.kept)
	r.mu.Unlock()
	err := r.o.Dir.Write(file, kept)
	if err != nil && !r.unsaved {
		logevent.UploadRequestsNotSaved.Log(r.o.Log, zap.Error(err))
	}
	r.unsaved = err != nil
}

// saveAgain writes the requests again that could not be written, or that somebody removed from the disk.
func (r *Requests) saveAgain() {
	r.mu.Lock()
	kept := len(r.kept)
	r.mu.Unlock()
	if r.unsaved || kept > 0 && r.o.Dir.Missing(file) {
		r.save()
	}
}

// publish sends an answer. sent is called when the broker has it; nil = nobody wants to know.
func (r *Requests) publish(out answer, now time.Time, sent func()) {
	payload, err := out.encode(now)
	if err != nil {
		logevent.StatusNotEncoded.Log(r.o.Log, zap.Error(err))
		return
	}
	r.o.Publish(payload, out.RequestID, sent)
}
