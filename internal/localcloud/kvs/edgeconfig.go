package kvs

import (
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvsmodel"
)

// How many configurations ListEdgeAgentConfigurations lists, without MaxResults and at most.
const (
	initialListed = 5
	mostListed    = 10
)

// edgeConfiguration is how the API shows a configuration; the listing leaves EdgeAgentStatus out.
type edgeConfiguration struct {
	StreamName, StreamARN         string
	CreationTime, LastUpdatedTime awsapi.Epoch
	SyncStatus                    string
	FailedStatusDetails           string `json:",omitempty"`
	EdgeConfig                    edgeconfig.EdgeConfig
	EdgeAgentStatus               *edgeAgentStatus `json:",omitempty"`
}

type edgeAgentStatus struct {
	LastRecorderStatus *lastJobStatus `json:",omitempty"`
	LastUploaderStatus *lastJobStatus `json:",omitempty"`
}

// lastJobStatus is LastRecorderStatus or LastUploaderStatus.
type lastJobStatus struct {
	JobStatusDetails                   string       `json:",omitempty"`
	LastCollectedTime, LastUpdatedTime awsapi.Epoch `json:",omitzero"`
	RecorderStatus, UploaderStatus     string       `json:",omitempty"`
}

func (s *streamRecord) edgeConfiguration() edgeConfiguration {
	e := s.Edge
	return edgeConfiguration{
		StreamName: s.Name, StreamARN: s.ARN, CreationTime: awsapi.EpochOf(e.Created), LastUpdatedTime: awsapi.EpochOf(e.Updated),
		SyncStatus: e.Status, FailedStatusDetails: e.Details, EdgeConfig: e.Config,
	}
}

func (j *jobRecord) last() *lastJobStatus {
	return &lastJobStatus{JobStatusDetails: j.Details, LastCollectedTime: awsapi.EpochOf(j.Collected),
		LastUpdatedTime: awsapi.EpochOf(j.Updated)}
}

func (e *edgeRecord) agentStatus() *edgeAgentStatus {
	if e.Recorder == nil && e.Uploader == nil {
		return nil
	}
	var out edgeAgentStatus
	if j := e.Recorder; j != nil {
		out.LastRecorderStatus = j.last()
		out.LastRecorderStatus.RecorderStatus = j.Status
	}
	if j := e.Uploader; j != nil {
		out.LastUploaderStatus = j.last()
		out.LastUploaderStatus.UploaderStatus = j.Status
	}
	return &out
}

// findEdge returns the stream that is meant, which must have a configuration.
func (d Streams) findEdge(id streamID) (*streamRecord, error) {
	s, err := d.findActive(id)
	if err == nil && s.Edge == nil {
		return nil, awsapi.Errorf(http.StatusNotFound, kvsmodel.EdgeConfigMissing, id.member(), "The stream %s has no edge configuration.",
			s.Name)
	}
	return s, err
}

// nextVersion is the time of a new version of a configuration. It always rises, and by more than
// a rendering as a floating point number may lose, because agents order versions by it.
func (c *ControlPlane) nextVersion(e *edgeRecord) time.Time {
	now := c.o.Now().UTC().Truncate(time.Millisecond)
	if e != nil && now.Before(e.Updated.Add(10*time.Millisecond)) {
		return e.Updated.Add(10 * time.Millisecond)
	}
	return now
}

type startEdgeConfigurationUpdateInput struct {
	streamID
	EdgeConfig edgeconfig.EdgeConfig
}

// startEdgeConfigurationUpdate takes any schedule of the right length: only the agent understands them.
func (c *ControlPlane) startEdgeConfigurationUpdate(in startEdgeConfigurationUpdateInput) (any, error) {
	hub, err := edgeconfig.ParseHub(in.EdgeConfig.HubDeviceArn)
	if err != nil {
		return nil, badMember("EdgeConfig.HubDeviceArn", "EdgeConfig.HubDeviceArn: %s", err)
	}
	var out edgeConfiguration
	formerThing := ""
	err = c.update(func(d Streams) error {
		s, err := d.findIdle(in.streamID)
		if err != nil {
			return err
		}
		if s.RetentionHours == 0 {
			return noDataRetention(s)
		}
		next := &edgeRecord{Config: in.EdgeConfig, Thing: hub.Thing, Status: Syncing, Updated: c.nextVersion(s.Edge)}
		next.Created = next.Updated
		if s.Edge != nil {
			if slices.Contains(underWay, s.Edge.Status) {
				return awsapi.Errorf(http.StatusBadRequest, kvsmodel.ResourceInUse, "EdgeConfig",
					"The edge configuration of stream %s is %s; wait until that has ended.", s.Name, s.Edge.Status)
			}
			next.Created = s.Edge.Created
			if formerThing = s.Edge.Thing; formerThing == hub.Thing {
				next.Recorder, next.Uploader = s.Edge.Recorder, s.Edge.Uploader
			}
		}
		s.Edge = next
		out = s.edgeConfiguration()
		return nil
	})
	if err != nil {
		return nil, err
	}
	if formerThing != "" && formerThing != hub.Thing {
		c.refreshHub(formerThing) // it sees from the listing that the stream is gone
	}
	c.awake.Set()
	return out, nil
}

func (c *ControlPlane) describeEdgeConfiguration(in streamID) (any, error) {
	var out edgeConfiguration
	err := c.view(func(d Streams) error {
		s, err := d.findEdge(in)
		if err == nil {
			out = s.edgeConfiguration()
			if !c.o.AsAWS { // an earlier run without AsAWS may have noted one
				out.EdgeAgentStatus = s.Edge.agentStatus()
			}
		}
		return err
	})
	return out, err
}

func (c *ControlPlane) deleteEdgeConfiguration(in streamID) (any, error) {
	err := c.update(func(d Streams) error {
		s, err := d.findEdge(in)
		if err != nil {
			return err
		}
		if e := s.Edge; e.Status != Deleting && e.Status != DeletingAcknowledged {
			e.Status, e.Details, e.Updated, e.sent = Deleting, "", c.nextVersion(e), time.Time{}
		}
		return nil
	})
	c.awake.Set()
	return nil, err
}

type listEdgeAgentConfigurationsInput struct {
	HubDeviceArn string
	MaxResults   *int
	NextToken    string
}

func (c *ControlPlane) listEdgeAgentConfigurations(in listEdgeAgentConfigurationsInput) (any, error) {
	limit, after, err := page(in.MaxResults, initialListed, mostListed, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := struct {
		EdgeConfigs []edgeConfiguration
		NextToken   string `json:",omitempty"`
	}{EdgeConfigs: []edgeConfiguration{}}
	err = c.view(func(d Streams) error {
		for _, name := range slices.Sorted(maps.Keys(d)) {
			s := d[name]
			if name <= after || s.Edge == nil || s.Edge.Config.HubDeviceArn != in.HubDeviceArn {
				continue
			}
			if len(out.EdgeConfigs) == limit {
				out.NextToken = streamToken(out.EdgeConfigs[limit-1].StreamName)
				break
			}
			out.EdgeConfigs = append(out.EdgeConfigs, s.edgeConfiguration())
		}
		return nil
	})
	return out, err
}
