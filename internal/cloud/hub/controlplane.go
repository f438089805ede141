package hub

import (
	"context"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awsclient"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awserr"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/endpoint"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvsconfig"
)

// ControlPlane is the KVS client as kvsconfig sees it.
type ControlPlane struct {
	Client *kvs.Client
	Config awsclient.Config // of the client: it knows where the service is
}

// EdgeConfigs implements kvsconfig.ControlPlane.
func (c ControlPlane) EdgeConfigs(ctx context.Context, hub string) ([]kvsconfig.ListedConfig, error) {
	records, err := c.Client.EdgeConfigs(ctx, hub)
	if err != nil {
		if awserr.Of(err).CredentialsOutdated() {
			c.Client.InvalidateCredentials() // nobody else may be asking, when nothing is uploaded
		}
		return nil, serviceAt(c.Config, endpoint.KinesisVideo).Fault("kinesisvideo:ListEdgeAgentConfigurations", err)
	}
	list := make([]kvsconfig.ListedConfig, 0, len(records))
	for _, r := range records {
		list = append(list, kvsconfig.ListedConfig{
			StreamConfig: edgeconfig.StreamConfig{StreamName: r.StreamName, StreamARN: r.StreamARN, Config: r.Config, LastUpdated: r.LastUpdated},
			SyncStatus:   r.SyncStatus,
		})
	}
	return list, nil
}
