package agent

import (
	"context"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/hold"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/holding"
)

// keepHold adds a hold. An error is a sentence for the person who asked.
func (a *Agent) keepHold(ctx context.Context, h hold.Hold) (holding.Kept, error) {
	h, err := hold.Complete(h, time.Now())
	if err != nil {
		return holding.Kept{}, err
	}
	if known := append(a.store.Streams(), a.streams.names()...); !a.store.Holds(h.Stream) && !slices.Contains(known, h.Stream) {
		slices.Sort(known)
		return holding.Kept{}, health.UserFault(hold.CodeRequest, nil, "There is no stream %s, neither configured nor recorded; there are: %s.",
			h.Stream, humanize.List(slices.Compact(known)))
	}
	kept, err := a.store.Holding().Add(ctx, h)
	a.retention.Wake()
	return kept, err
}

// holdAdd is keepHold for other parts of the agent.
func (a *Agent) holdAdd(ctx context.Context, h hold.Hold) error {
	_, err := a.keepHold(ctx, h)
	return err
}

// holdForPeer is how a peer of the local API asks for a hold.
func (a *Agent) holdForPeer(ctx context.Context, r localapi.HoldRequest, by string) (localapi.Hold, error) {
	kept, err := a.keepHold(ctx, hold.Hold{ID: r.ID, Stream: r.Stream, From: r.From, To: r.To, Reason: r.Reason, Source: by, Until: r.Until})
	return localapi.HoldOf(kept), err
}

// endHold removes a hold. by is who asked for that.
func (a *Agent) endHold(id, by string) (localapi.Hold, error) {
	h, err := a.store.Holding().Remove(id, by, time.Now())
	a.retention.Wake()
	return localapi.HoldOf(holding.Kept{Hold: h}), err
}
