// Package ondemand owns the uploads that somebody asks for: over the local API, and from the cloud. It finds the upload job of the
// stream, and lists what runs and waits. It must not know how media is sent, nor how requests arrive.
package ondemand

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/meter"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader"
)

// Uploads runs uploads on demand. Streams whose upload job runs can be asked for one. The zero value has none. Safe for concurrent
// use.
type Uploads struct {
	NoCloud  bool         // nothing is uploaded at all
	Cap      *meter.Meter // of the line; nil without the cloud
	requests requests     // that run or wait
	// Asked is called at the end of each upload of a time that somebody asks for: then media that was in the cloud before has its
	// neighbours. nil for nothing.
	Asked func(stream string, from, to time.Time)

	mu      sync.Mutex
	targets map[string]*target // by stream, guarded by mu
	changed chan struct{}      // closed when a job starts; nil when nobody waits for one; guarded by mu
}

// codeUploadStopped is the fault of an upload whose job ended before it.
const codeUploadStopped = "upload-stopped"

// target is a stream's upload job, which can be asked for an upload.
type target struct {
	uploader *uploader.Uploader
	ctx      context.Context // of the job
	group    sync.WaitGroup  // uploads on demand
}

// RegisterWhile makes a stream's uploader available while run runs. It ends when the last upload on
// demand has ended too, so that no upload of the stream outlives its job.
func (d *Uploads) RegisterWhile(stream string, u *uploader.Uploader, run func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithCancel(ctx)
		job := &target{uploader: u, ctx: ctx}
		d.mu.Lock()
		if d.targets == nil {
			d.targets = make(map[string]*target)
		}
		d.targets[stream] = job
		if d.changed != nil {
			close(d.changed)
			d.changed = nil
		}
		d.mu.Unlock()
		defer func() {
			d.mu.Lock()
			delete(d.targets, stream)
			d.mu.Unlock()
			cancel()
			job.group.Wait()
		}()
		return run(ctx)
	}
}

// checkRange says what is wrong with a request; nil for none.
func checkRange(stream string, from, to time.Time) *health.Fault {
	if stream == "" || from.IsZero() || !from.Before(to) {
		return health.UserFault("upload-request", nil, "An upload needs a stream, and a start that is before its end.")
	}
	return nil
}

// upload sends the recordings of a stream from (inclusive) to (exclusive) to the cloud, before
// everything else, and calls each with the progress. An error that is for the caller is a *health.Fault.
func (d *Uploads) upload(ctx context.Context, stream string, from, to time.Time, each func(uploader.Progress)) error {
	if fault := checkRange(stream, from, to); fault != nil {
		return fault
	}
	request := d.requests.begin(stream, from, to)
	defer d.requests.end(request)
	return d.uploadRange(ctx, request, from, to, each)
}

// uploadRange is upload, for a request that is listed already.
func (d *Uploads) uploadRange(ctx context.Context, request *request, from, to time.Time, each func(uploader.Progress)) error {
	each = d.requests.noted(request, each)
	if d.Asked != nil {
		defer d.Asked(request.stream, from, to)
	}
	return d.On(ctx, request.stream, func(ctx context.Context, u *uploader.Uploader) error { return u.Range(ctx, from, to, each) })
}

// uploadRefused sends the refused fragments of a stream again, as upload does.
func (d *Uploads) uploadRefused(ctx context.Context, stream string, each func(uploader.Progress)) error {
	request := d.requests.begin(stream, time.Time{}, time.Time{})
	defer d.requests.end(request)
	each = d.requests.noted(request, each)
	return d.On(ctx, stream, func(ctx context.Context, u *uploader.Uploader) error { return u.Refused(ctx, each) })
}

// Serves reports whether a stream's upload job runs.
func (d *Uploads) Serves(stream string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.targets[stream] != nil
}

// noTarget says why a stream cannot be uploaded.
func (d *Uploads) noTarget(stream string) *health.Fault {
	if d.NoCloud {
		return health.UserFault("upload-request", nil, "Nothing is uploaded by this hub, as %s is off: set it to on, restart the agent, and "+
			"upload stream %s then.", settings.EnvCloud, stream)
	}
	return health.UserFault("upload-request", nil, "This hub has no stream %s that could be uploaded; `kvs-edge-agent status` lists those "+
		"it has.", stream)
}

// On uploads with a stream's uploader, for as long as its job runs.
func (d *Uploads) On(ctx context.Context, stream string, do func(context.Context, *uploader.Uploader) error) error {
	d.mu.Lock()
	job := d.targets[stream]
	if job != nil {
		job.group.Add(1)
	}
	d.mu.Unlock()
	if job == nil {
		return d.noTarget(stream)
	}
	defer job.group.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(job.ctx, cancel)()
	err := do(ctx, job.uploader)
	if errors.Is(err, context.Canceled) && job.ctx.Err() != nil {
		return health.SystemFault(codeUploadStopped, nil, "The upload of stream %s stopped, as its configuration changed or the agent stops; "+
			"ask again.", stream)
	}
	return err
}

// await waits until an upload job of the stream runs that is not ending already, but not longer than
// patience.
func (d *Uploads) await(ctx context.Context, stream string, patience time.Duration) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		d.mu.Lock()
		// One that ends holds its place until its last fragment is sent.
		if job := d.targets[stream]; job != nil && job.ctx.Err() == nil {
			d.mu.Unlock()
			return
		}
		if d.changed == nil {
			d.changed = make(chan struct{})
		}
		changed := d.changed
		d.mu.Unlock()
		select {
		case <-changed:
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// ForPeer is how a peer of the local API asks for an upload.
func (d *Uploads) ForPeer(ctx context.Context, r localapi.UploadRequest, each func(localapi.UploadProgress)) error {
	show := func(p uploader.Progress) {
		each(localapi.UploadProgress{Total: p.Total, Done: p.Done, Refused: p.Refused, Finished: p.Finished, Bytes: p.Bytes,
			TotalBytes: p.TotalBytes})
	}
	if r.Refused {
		return d.uploadRefused(ctx, r.Stream, show)
	}
	return d.upload(ctx, r.Stream, r.From, r.To, show)
}

const (
	// jobBegins is how long the cloud's request waits for a stream's job: after the start of the agent
	// the one comes as soon as the other.
	jobBegins = 2 * time.Second
	// jobRestarts is how long it waits for a job that ended under it. It is longer than the jobs of an
	// agent take that stops, so that it ends with the agent and not before: then the next start resumes it.
	jobRestarts = 30 * time.Second
)

// ForCloud is how the cloud asks for an upload. It continues when the stream's job is
// restarted, as with a new configuration. An error is also that not all is in the cloud at the end.
func (d *Uploads) ForCloud(ctx context.Context, stream string, from, to time.Time, each func(done, total int)) error {
	if fault := checkRange(stream, from, to); fault != nil {
		return fault
	}
	request := d.requests.begin(stream, from, to)
	defer d.requests.end(request)
	d.await(ctx, stream, jobBegins)
	for {
		var last uploader.Progress
		err := d.uploadRange(ctx, request, from, to, func(p uploader.Progress) {
			last = p
			each(p.Done-p.Refused, p.Total)
		})
		switch {
		case err != nil && ctx.Err() == nil && health.FaultOf(err, "").Code == codeUploadStopped:
			d.await(ctx, stream, jobRestarts)
		case err != nil && ctx.Err() == nil && health.FaultOf(err, "").Code == meter.CodeReached:
			d.awaitCap(ctx)
		case err != nil:
			return err
		case last.Total == 0:
			return health.UserFault("upload-request", nil, "Nothing is recorded of stream %s from %s to %s.", stream, inWords(from), inWords(to))
		case last.Refused > 0:
			return health.SystemFault("upload-request", nil, "%d of %d fragments stay on the hub, as the service does not accept them; "+
				"`kvs-edge-agent status` says why.", last.Refused, last.Total)
		default:
			return nil
		}
	}
}

// capAgain is how long it takes at the most until the cap is asked again.
const capAgain = time.Minute

// awaitCap waits until the cap's answer may be another one.
func (d *Uploads) awaitCap(ctx context.Context) {
	changes, stop := d.Cap.Watch()
	defer stop()
	again := time.NewTimer(capAgain)
	defer again.Stop()
	select {
	case <-changes:
	case <-again.C:
	case <-ctx.Done():
	}
}

// inWords is a time as people and machines read it.
func inWords(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.999Z") }

// requests are the uploads on demand that run or wait, as status shows them. The zero value has none. Safe for concurrent use.
type requests struct {
	mu   sync.Mutex
	list []*request // the oldest first, guarded by mu
}

// request is one of them.
type request struct {
	stream string
	shown  status.Request // guarded by requests.mu
}

// begin lists a request until end; from and to are zero for refused fragments of any time.
func (r *requests) begin(stream string, from, to time.Time) *request {
	one := &request{stream: stream, shown: status.Request{From: from, To: to, Since: time.Now()}}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, one)
	return one
}

func (r *requests) end(one *request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = slices.DeleteFunc(r.list, func(other *request) bool { return other == one })
}

// noted is each, with the progress noted before.
func (r *requests) noted(one *request, each func(uploader.Progress)) func(uploader.Progress) {
	return func(p uploader.Progress) {
		r.mu.Lock()
		one.shown.Done, one.shown.Total, one.shown.Bytes, one.shown.TotalBytes = p.Done, p.Total, p.Bytes, p.TotalBytes
		r.mu.Unlock()
		each(p)
	}
}

// of lists those of a stream.
func (r *requests) of(stream string) (list []status.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range r.list {
		if one.stream == stream {
			list = append(list, one.shown)
		}
	}
	return list
}

// Of lists the requests for a stream, as status shows them.
func (d *Uploads) Of(stream string) []status.Request { return d.requests.of(stream) }
