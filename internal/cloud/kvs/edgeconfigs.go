package kvs

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo/types"

	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
)

// EdgeConfigRecord is one stream's edge configuration as the control plane has it.
type EdgeConfigRecord struct {
	StreamName  string
	StreamARN   string
	Config      edgeconfig.EdgeConfig // as it came: not validated
	LastUpdated time.Time
	SyncStatus  string // SYNCING, ACKNOWLEDGED, IN_SYNC, SYNC_FAILED, DELETING and so on (API reference, SyncStatus)
}

// EdgeConfigs lists the edge configurations of a hub: all of them, or an error.
func (c *Client) EdgeConfigs(ctx context.Context, hubDeviceARN string) ([]EdgeConfigRecord, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	list := []EdgeConfigRecord{}
	var pages pageWalk
	for token := (*string)(nil); ; {
		out, err := c.listPage(ctx, hubDeviceARN, token)
		if err != nil {
			return nil, callError("ListEdgeAgentConfigurations", "", err)
		}
		for _, e := range out.EdgeConfigs {
			list = append(list, EdgeConfigRecord{
				StreamName: aws.ToString(e.StreamName), StreamARN: aws.ToString(e.StreamARN), Config: edgeConfig(e.EdgeConfig),
				LastUpdated: aws.ToTime(e.LastUpdatedTime), SyncStatus: string(e.SyncStatus),
			})
		}
		token = out.NextToken
		if more, err := pages.after(token); err != nil {
			return nil, callError("ListEdgeAgentConfigurations", "", err)
		} else if !more {
			return list, nil
		}
	}
}

func (c *Client) listPage(ctx context.Context, hub string, token *string) (*kinesisvideo.ListEdgeAgentConfigurationsOutput, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return c.api.ListEdgeAgentConfigurations(ctx, &kinesisvideo.ListEdgeAgentConfigurationsInput{
		HubDeviceArn: &hub, MaxResults: aws.Int32(kvslimit.EdgeConfigsPerPage), NextToken: token,
	})
}

func edgeConfig(in *types.EdgeConfig) edgeconfig.EdgeConfig {
	if in == nil {
		return edgeconfig.EdgeConfig{}
	}
	out := edgeconfig.EdgeConfig{HubDeviceArn: aws.ToString(in.HubDeviceArn)}
	if r := in.RecorderConfig; r != nil {
		if m := r.MediaSourceConfig; m != nil {
			out.RecorderConfig.MediaSourceConfig = edgeconfig.MediaSourceConfig{
				MediaUriSecretArn: aws.ToString(m.MediaUriSecretArn), MediaUriType: edgeconfig.MediaURIType(m.MediaUriType),
			}
		}
		out.RecorderConfig.ScheduleConfig = schedule(r.ScheduleConfig)
	}
	if u := in.UploaderConfig; u != nil {
		out.UploaderConfig = &edgeconfig.UploaderConfig{ScheduleConfig: schedule(u.ScheduleConfig)}
	}
	if d := in.DeletionConfig; d != nil {
		out.DeletionConfig = &edgeconfig.DeletionConfig{EdgeRetentionInHours: whole(d.EdgeRetentionInHours),
			DeleteAfterUpload: d.DeleteAfterUpload}
		if l := d.LocalSizeConfig; l != nil {
			out.DeletionConfig.LocalSizeConfig = &edgeconfig.LocalSizeConfig{
				MaxLocalMediaSizeInMB: whole(l.MaxLocalMediaSizeInMB), StrategyOnFullSize: edgeconfig.StrategyOnFullSize(l.StrategyOnFullSize),
			}
		}
	}
	return out
}

func schedule(in *types.ScheduleConfig) *edgeconfig.ScheduleConfig {
	if in == nil {
		return nil
	}
	return &edgeconfig.ScheduleConfig{ScheduleExpression: aws.ToString(in.ScheduleExpression),
		DurationInSeconds: int(aws.ToInt32(in.DurationInSeconds))}
}

func whole(n *int32) *int {
	if n == nil {
		return nil
	}
	return aws.Int(int(*n))
}
