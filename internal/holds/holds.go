// Package holds owns who asks for holds: people and programs on the hub, the cloud, and events whose media is to be held. It must not know
// how recordings are kept from being deleted.
package holds

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/hold"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/holding"
)

// Book keeps the holds: *holding.Book.
type Book interface {
	Ask(ctx context.Context, h hold.Hold, known []string, now time.Time) (holding.Kept, error)
	Extend(ctx context.Context, h hold.Hold) (holding.Kept, error)
	Find(stream, id string) (hold.Hold, bool)
	Remove(id, by string, now time.Time) (hold.Hold, error)
}

// Options of Holds. All are required.
type Options struct {
	Book Book
	// Streams returns the names of all streams, configured or recorded.
	Streams func() []string
	// Changed is called when what is held may have changed. It must not wait.
	Changed func()
	Now     func() time.Time
	Log     *zap.Logger
}

// Holds are asked for holds. Safe for concurrent use.
type Holds struct {
	o  Options
	mu sync.Mutex
	// refused says why the hold of an event was refused, by its ID; guarded by mu.
	refused map[string]string
}

// New returns Holds.
func New(o Options) *Holds { return &Holds{o: o, refused: make(map[string]string)} }

// Add adds a hold. An error is a *health.Fault, or that of ctx.
func (h *Holds) Add(ctx context.Context, wanted hold.Hold) (holding.Kept, error) {
	defer h.o.Changed()
	return h.o.Book.Ask(ctx, wanted, h.o.Streams(), h.o.Now())
}

// Remove ends a hold, and returns it. by is who asked for that. An error is a *health.Fault.
func (h *Holds) Remove(id, by string) (hold.Hold, error) {
	defer h.o.Changed()
	return h.o.Book.Remove(id, by, h.o.Now())
}

// ForCloud returns how the cloud asks for a hold: it returns how many segments that holds, and their bytes. settle waits until what the
// cloud said before is in force, as it may have configured the stream just then.
func (h *Holds) ForCloud(settle func(context.Context)) func(context.Context, hold.Hold) (segments int, bytes int64, err error) {
	return func(ctx context.Context, wanted hold.Hold) (int, int64, error) {
		settle(ctx)
		kept, err := h.Add(ctx, wanted)
		return kept.Segments, kept.Bytes, err
	}
}

// Known reports whether there is a hold with that ID.
func (h *Holds) Known(id string) bool {
	for _, stream := range h.o.Streams() {
		if _, ok := h.o.Book.Find(stream, id); ok {
			return true
		}
	}
	return false
}

// AddForPeer is how a peer of the local API asks for a hold.
func (h *Holds) AddForPeer(ctx context.Context, r localapi.HoldRequest, by string) (localapi.Hold, error) {
	kept, err := h.Add(ctx, hold.Hold{ID: r.ID, Stream: r.Stream, From: r.From, To: r.To, Reason: r.Reason, Source: by, Until: r.Until})
	return localapi.HoldOf(kept), err
}

// RemoveForPeer is how a peer of the local API ends a hold.
func (h *Holds) RemoveForPeer(id, by string) (localapi.Hold, error) {
	ended, err := h.Remove(id, by)
	return localapi.HoldOf(holding.Kept{Hold: ended}), err
}
