package agent

import (
	"context"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/hold"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/holding"
)

// holdAdd adds a hold. An error is a sentence for the person who asked.
func (a *Agent) holdAdd(ctx context.Context, h hold.Hold) (holding.Kept, error) {
	defer a.retention.Wake()
	return a.store.Holding().Ask(ctx, h, append(a.store.Streams(), a.streams.names()...), time.Now())
}

// holdForPeer is how a peer of the local API asks for a hold.
func (a *Agent) holdForPeer(ctx context.Context, r localapi.HoldRequest, by string) (localapi.Hold, error) {
	kept, err := a.holdAdd(ctx, hold.Hold{ID: r.ID, Stream: r.Stream, From: r.From, To: r.To, Reason: r.Reason, Source: by, Until: r.Until})
	return localapi.HoldOf(kept), err
}

// endHold removes a hold. by is who asked for that.
func (a *Agent) endHold(id, by string) (localapi.Hold, error) {
	defer a.retention.Wake()
	h, err := a.store.Holding().Remove(id, by, time.Now())
	return localapi.HoldOf(holding.Kept{Hold: h}), err
}
