package agent

import (
	"context"

	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/evidence/collect"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
)

// evidence makes evidence for a peer, signed with the key whose files the settings name now: rotation needs no restart.
func (a *Agent) evidence(ctx context.Context, span localapi.Span) (localapi.Evidence, error) {
	s := a.settings()
	h := collect.Hub{Thing: s.IoT.ThingName, Version: a.o.Version, Clock: a.hubClock, Certificate: s.IoT.Signing}
	if s.AccountID != "" {
		h.ARN = edgeconfig.HubARN(s.Region, s.AccountID, s.IoT.ThingName)
	}
	made, err := collect.Make(ctx, a.store, h, span.Stream, span.From, span.To)
	return localapi.Evidence{From: made.From, To: made.To, Manifest: made.Manifest, Signature: made.Signature,
		Certificate: made.Certificate}, err
}
