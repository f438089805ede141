package clip

import (
	"context"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
)

// Options of a Source.
type Options struct {
	// URL returns the file's URL, such as file:///door.mp4?loop=true, at the start of each session. Its error is shown
	// unchanged. Required.
	URL func(ctx context.Context) (secret.String, error)
	// Directory is the directory of the files that may be played. Required.
	Directory string
	// NoAudio leaves the file's audio out.
	NoAudio bool
	// Now is the hub's clock, with its monotonic reading. Default time.Now.
	Now func() time.Time
	// Wait waits until a frame is due, or returns ctx's error when that ends first. Default: in real time.
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

// untilDue waits in real time.
func untilDue(ctx context.Context, due time.Time) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if wait := time.Until(due); wait > 0 {
		return backoff.Sleep(ctx, wait)
	}
	return nil
}
