// Package request follows the requests that arrive as values of the property VideoUploadRequest: a live upload for five minutes,
// or the upload of the recordings from one time to another. It must not know how media is sent, nor how SiteWise is read.
package request

import (
	"context"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	cloud "github.com/kvs-edge/kvs-edge-agent/internal/cloud/sitewise"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
	"github.com/kvs-edge/kvs-edge-agent/internal/sitewise"
	"github.com/kvs-edge/kvs-edge-agent/internal/statefile"
)

const (
	// LiveFor is how long a request for a live upload lasts. As in the edge connector.
	LiveFor = 5 * time.Minute
	// DefaultEvery is how often the properties are read.
	DefaultEvery = 10 * time.Second
	// notifiedShare is how much less often they are read while notifications arrive: these may be lost, as they have QoS 0.
	notifiedShare = 6
	// writable is how far back SiteWise takes values. Source: SiteWise API, TimestampOutOfRangeException.
	writable = 7 * 24 * time.Hour
	// maxOpen is how many requests may be open at once.
	maxOpen = 64
	// maxListed is how many requests are shown.
	maxListed = 20
	// eventShown is how long a request is shown that could not be followed.
	eventShown = 24 * time.Hour
)

// Cloud is SiteWise as requests read it; see cloud/sitewise.Client.
type Cloud interface {
	Values(ctx context.Context, refs []cloud.Ref) (map[cloud.Ref]cloud.Value, error)
	History(ctx context.Context, ref cloud.Ref, from, to time.Time, most int) ([]cloud.Value, error)
}

// Options of Requests. All are required, but Every, Recorded, Messages and Notified.
type Options struct {
	Cameras func() sitewise.Cameras
	Cloud   Cloud
	// Live makes a camera live until then.
	Live func(asset string, from, until time.Time)
	// Upload uploads what was recorded of a stream from (inclusive) to (exclusive), and calls each with how many of how many
	// fragments are in the cloud. It waits where it has to, and its error is a sentence.
	Upload func(ctx context.Context, stream string, from, to time.Time, each func(done, total int)) error
	// Recorded is a time after which a fragment is complete that was being recorded at its start. Default 20 s.
	Recorded time.Duration
	// Messages has what SiteWise publishes of the properties. Default: nothing is, and they are read every Every.
	Messages <-chan []byte
	// Notified reports whether all of them arrive, so that the properties are read less often. Default: never.
	Notified func() bool
	Every    time.Duration // default DefaultEvery
	Dir      statefile.Dir
	Now      func() time.Time
	Health   *health.Registry
	Log      *zap.Logger
}

// The states of a request.
const (
	Running = "RUNNING"
	Done    = "DONE"
	Failed  = "FAILED"
)

// Request is one, as it is shown.
type Request struct {
	Stream  string
	Asset   string // id
	Request string // as it was written, cleaned
	Time    time.Time
	Status  string
	// Details is a sentence: why not all of it is in the cloud, and what does not follow from it.
	Details     string
	Done, Total int // fragments
}

// Requests are those of a hub's cameras.
type Requests struct {
	o       Options
	uploads sync.WaitGroup
	settled signal.Signal // an upload ended

	// For Run.
	memory  memory
	resumed bool
	latest  map[cloud.Ref]cloud.Value // as they were read last
	simple  time.Time                 // until then the history is not read, as the hub may not

	mu    sync.Mutex
	list  []*Request // the oldest first; guarded by mu
	ended []arrival  // uploads that ended, still in the memory; guarded by mu
}

// New returns Requests that follow none yet.
func New(o Options) *Requests {
	if o.Every == 0 {
		o.Every = DefaultEvery
	}
	if o.Notified == nil {
		o.Notified = func() bool { return false }
	}
	if o.Recorded == 0 {
		o.Recorded = 20 * time.Second
	}
	return &Requests{o: o, settled: signal.New(), latest: make(map[cloud.Ref]cloud.Value)}
}

// List returns the requests that run, and those that ended last. It is safe for concurrent use.
func (r *Requests) List() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]Request, len(r.list))
	for i, one := range r.list {
		list[i] = *one
	}
	return list
}

// Run resumes the requests of before, and follows new ones, until ctx ends.
func (r *Requests) Run(ctx context.Context) {
	defer r.uploads.Wait()
	if !r.resumed {
		r.resumed = true
		r.resume(ctx)
	}
	every := time.NewTicker(r.o.Every)
	defer every.Stop()
	r.poll(ctx)
	for skipped := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
			if skipped++; !r.o.Notified() || skipped >= notifiedShare {
				skipped = 0
				r.poll(ctx)
			}
		case message, open := <-r.o.Messages:
			if !open {
				r.o.Messages = nil
				continue
			}
			r.receive(ctx, message)
		case <-r.settled.C():
		}
		r.forgetEnded()
		r.memory.save(r.o.Dir, r.o.Log)
	}
}

// resume continues what was open before the start.
func (r *Requests) resume(ctx context.Context) {
	r.memory.load(r.o.Dir, r.o.Log)
	for _, a := range r.memory.open {
		stream := r.memory.streams[a]
		w, wrong := parse(a.Text, r.o.Now())
		if wrong != "" || stream == "" {
			r.ends(a)
			continue
		}
		r.follow(ctx, a, stream, w)
	}
}

// receive follows what a message says.
func (r *Requests) receive(ctx context.Context, message []byte) {
	property, list, ok := parseNotification(message)
	if !ok {
		return // of another property, or of another form: the next reading finds what it is about
	}
	for _, c := range r.o.Cameras() {
		if c.Properties[sitewise.UploadRequest] != property {
			continue
		}
		for _, a := range list {
			if a.Asset == c.Asset {
				r.take(ctx, c, a)
			}
		}
	}
}

// take follows a value, unless it was followed already.
func (r *Requests) take(ctx context.Context, c sitewise.Camera, a arrival) {
	now := r.o.Now()
	if !r.memory.isNew(a, now) {
		return
	}
	r.memory.note(a)
	w, wrong := parse(a.Text, now)
	switch {
	case wrong != "":
		r.refuse(c, a, "VideoUploadRequest is \""+shown(a.Text)+"\", but "+wrong+".")
	case w.live:
		r.live(c, a, now)
	case len(r.memory.open) >= maxOpen:
		r.refuse(c, a, "Too many uploads are requested at once; request it again when some of them are done.")
	default:
		r.logged(c, a)
		r.memory.begin(a, c.Stream)
		r.memory.save(r.o.Dir, r.o.Log) // before it begins, so that a restart continues it
		r.follow(ctx, a, c.Stream, w)
	}
}

func (r *Requests) logged(c sitewise.Camera, a arrival) {
	logevent.SiteWiseRequested.Log(r.o.Log, zap.String("stream", c.Stream), zap.String("asset", c.Asset), zap.String("request", shown(a.Text)))
}

// live makes a camera live for five minutes from the request on, unless that is over.
func (r *Requests) live(c sitewise.Camera, a arrival, now time.Time) {
	from := a.Time
	if from.After(now) { // the clock of who asks is ahead
		from = now
	}
	until := from.Add(LiveFor)
	if !until.After(now) {
		return
	}
	r.logged(c, a)
	r.o.Live(c.Asset, from, until)
	r.show(&Request{Stream: c.Stream, Asset: c.Asset, Request: shown(a.Text), Time: a.Time, Status: Done,
		Details: "Live until " + until.UTC().Format(time.RFC3339) + ", unless it is requested again."})
}

// refuse answers what cannot be followed.
func (r *Requests) refuse(c sitewise.Camera, a arrival, why string) {
	r.answer(&Request{Stream: c.Stream, Asset: c.Asset, Request: shown(a.Text), Time: a.Time, Status: Failed, Details: why}, health.UserError)
}

const (
	// codeRequest is that of a request that could not be followed.
	codeRequest = "sitewise-request"

	scopeRequest health.Scope = "sitewise-request"
)

// answer shows the result of a request.
func (r *Requests) answer(one *Request, class health.Class) {
	r.show(one)
	logevent.SiteWiseAnswered.Log(r.o.Log, zap.String("stream", one.Stream), zap.String("request", one.Request),
		zap.String("status", one.Status), zap.String("details", one.Details))
	component := r.o.Health.Component(one.Stream, health.JobConfig)
	component.OK(scopeRequest)
	if one.Status == Failed {
		component.Note(scopeRequest, health.Info, health.NewFault(class, codeRequest, nil, "The request over AWS IoT SiteWise for stream %s was "+
			"not followed: %s", one.Stream, one.Details), eventShown)
	}
}

// show lists a request, if it is not listed yet, and forgets the oldest that ended.
func (r *Requests) show(one *Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.Contains(r.list, one) {
		return
	}
	r.list = append(r.list, one)
	for i := 0; len(r.list) > maxListed && i < len(r.list); {
		if r.list[i].Status == Running {
			i++
			continue
		}
		r.list = slices.Delete(r.list, i, i+1)
	}
}

// ends notes that the upload of a request has ended.
func (r *Requests) ends(a arrival) {
	r.mu.Lock()
	r.ended = append(r.ended, a)
	r.mu.Unlock()
	r.settled.Set()
}

// forgetEnded has a restart no longer continue what has ended.
func (r *Requests) forgetEnded() {
	r.mu.Lock()
	ended := r.ended
	r.ended = nil
	r.mu.Unlock()
	for _, a := range ended {
		r.memory.end(a)
	}
}
