package clip

import (
	"context"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
)

// Options of a Source.
type Options struct {
	// URL returns the file's URL, such as file:///door.mp4?loop=true, whenever a session begins. Its error is shown as it
	// is. Required.
	URL func(ctx context.Context) (secret.String, error)
	// Directory is where the files lie that may be played. Required.
	Directory string
	// NoAudio leaves the file's audio out.
	NoAudio bool
	// Now is the hub's clock, with its monotonic reading. Default time.Now.
	Now func() time.Time
	// Wait waits until a frame is due, or ctx ends, whose error it returns then. Default: in real time.
	Wait func(ctx context.Context, due time.Time) error
}

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Wait == nil {
		o.Wait = untilDue
	}
	return o
}

// untilDue keeps the pace.
func untilDue(ctx context.Context, due time.Time) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if wait := time.Until(due); wait > 0 {
		return backoff.Sleep(ctx, wait)
	}
	return nil
}
