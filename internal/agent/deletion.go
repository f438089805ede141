package agent

import (
	"context"
	"fmt"
	"sync"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// codeStream is the code of faults of streams that cannot be deleted on request.
const codeStream = "stream"

// deletion deletes all media of streams, one after the other, until it is stopped. Safe for concurrent use.
type deletion struct {
	delete func(ctx context.Context, stream string) error
	forget func(stream string) // called when all its media is deleted

	mu       sync.Mutex
	cancel   func() // ends the deletion under way; nil when there is none; guarded by mu
	stopping bool   // no further media is deleted; guarded by mu
}

// run deletes all media of a stream and forgets its state. It is called for one stream at a time.
func (d *deletion) run(ctx context.Context, stream string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if !d.setCancel(cancel) {
		return health.SystemFault(codeStream, nil, "The agent is stopping: delete stream %s when it runs again.", stream)
	}
	defer d.setCancel(nil)
	if err := d.delete(ctx, stream); err != nil {
		return fmt.Errorf("cannot delete the media of stream %s: %w", stream, err)
	}
	d.forget(stream)
	return nil
}

// setCancel notes how the deletion under way is cancelled, nil once it has ended. It is false when none may start.
func (d *deletion) setCancel(cancel func()) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cancel = cancel
	return !d.stopping
}

func (d *deletion) isStopping() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stopping
}

// stop cancels the deletion under way and lets no other start: that of a large stream takes minutes on a
// slow disk, and the rest of it is deleted after the next start.
func (d *deletion) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stopping = true
	if d.cancel != nil {
		d.cancel()
	}
}
