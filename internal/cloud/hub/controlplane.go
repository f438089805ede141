package hub

import (
	"context"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awserr"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/iotconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// ControlPlane is the KVS client as iotconfig sees it.
type ControlPlane struct{ Client *kvs.Client }

// EdgeConfigs implements iotconfig.ControlPlane.
func (c ControlPlane) EdgeConfigs(ctx context.Context, hub string) ([]iotconfig.ListedConfig, error) {
	records, err := c.Client.EdgeConfigs(ctx, hub)
	if err != nil {
		if awserr.Of(err).CredentialsOutdated() {
			c.Client.InvalidateCredentials() // nobody else may be asking, when nothing is uploaded
		}
		return nil, Service{Name: "Kinesis Video Streams", Setting: settings.EnvRegion}.Fault("kinesisvideo:ListEdgeAgentConfigurations", err)
	}
	list := make([]iotconfig.ListedConfig, 0, len(records))
	for _, r := range records {
		list = append(list, iotconfig.ListedConfig{
			StreamConfig: iotconfig.StreamConfig{StreamName: r.StreamName, StreamARN: r.StreamARN, Config: r.Config, LastUpdated: r.LastUpdated},
			SyncStatus:   r.SyncStatus,
		})
	}
	return list, nil
}
