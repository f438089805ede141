package agent

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader"
)

// demands knows which streams can be asked for an upload: those whose upload job runs.
type demands struct {
	mu      sync.Mutex
	open    map[string]*demanded
	changed chan struct{} // closed when a job begins; nil when nobody waits for one
}

// codeUploadStopped is the fault of an upload whose job ended before it.
const codeUploadStopped = "upload-stopped"

// demanded is a stream's upload job as demands see it.
type demanded struct {
	uploader *uploader.Uploader
	ctx      context.Context
	group    sync.WaitGroup // uploads on demand
}

// during makes a stream's uploader available while run runs. It ends when the last upload on
// demand has ended too, so that nothing of the stream goes on after its job.
func (d *demands) during(stream string, u *uploader.Uploader, run func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithCancel(ctx)
		one := &demanded{uploader: u, ctx: ctx}
		d.mu.Lock()
		if d.open == nil {
			d.open = make(map[string]*demanded)
		}
		d.open[stream] = one
		if d.changed != nil {
			close(d.changed)
			d.changed = nil
		}
		d.mu.Unlock()
		defer func() {
			d.mu.Lock()
			delete(d.open, stream)
			d.mu.Unlock()
			cancel()
			one.group.Wait()
		}()
		return run(ctx)
	}
}

// upload brings what is recorded of a stream from (inclusive) to (exclusive) to the cloud, before
// everything else, and tells each how far it is. An error that is for the asker is a *health.Fault.
func (d *demands) upload(ctx context.Context, stream string, from, to time.Time, each func(uploader.Progress)) error {
	if stream == "" || from.IsZero() || !from.Before(to) {
		return health.UserFault("upload-request", nil, "An upload needs a stream, and a beginning that is before its end.")
	}
	return d.on(ctx, stream, func(ctx context.Context, u *uploader.Uploader) error { return u.Range(ctx, from, to, each) })
}

// uploadRefused brings what the service refused of a stream to the cloud, as upload does.
func (d *demands) uploadRefused(ctx context.Context, stream string, each func(uploader.Progress)) error {
	return d.on(ctx, stream, func(ctx context.Context, u *uploader.Uploader) error { return u.Refused(ctx, each) })
}

// on uploads with a stream's uploader, for as long as its job runs.
func (d *demands) on(ctx context.Context, stream string, do func(context.Context, *uploader.Uploader) error) error {
	d.mu.Lock()
	one := d.open[stream]
	if one != nil {
		one.group.Add(1)
	}
	d.mu.Unlock()
	if one == nil {
		return health.UserFault("upload-request", nil, "This hub has no stream %s that could be uploaded; `kvs-edge-agent status` lists those it has.", stream)
	}
	defer one.group.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(one.ctx, cancel)()
	err := do(ctx, one.uploader)
	if errors.Is(err, context.Canceled) && one.ctx.Err() != nil {
		return health.SystemFault(codeUploadStopped, nil, "The upload of stream %s stopped, as its configuration changed or the agent stops; ask again.", stream)
	}
	return err
}

// await waits until an upload job of the stream runs that is not ending already, but not longer than
// patience.
func (d *demands) await(ctx context.Context, stream string, patience time.Duration) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		d.mu.Lock()
		// One that ends holds its place until its last fragment is sent.
		if one := d.open[stream]; one != nil && one.ctx.Err() == nil {
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
