package localcloud

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
)

// The bounds of ListEdgeAgentConfigurations.
const (
	usualListed = 5
	mostListed  = 10
)

// edgeConfiguration is how the API shows a configuration; the listing leaves EdgeAgentStatus out.
type edgeConfiguration struct {
	StreamName, StreamARN         string
	CreationTime, LastUpdatedTime epoch
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
	JobStatusDetails                   string `json:",omitempty"`
	LastCollectedTime, LastUpdatedTime epoch  `json:",omitzero"`
	RecorderStatus, UploaderStatus     string `json:",omitempty"`
}

func (s *streamRecord) edgeConfiguration() edgeConfiguration {
	e := s.Edge
	return edgeConfiguration{
		StreamName: s.Name, StreamARN: s.ARN, CreationTime: epoch{e.Created}, LastUpdatedTime: epoch{e.Updated},
		SyncStatus: e.Status, FailedStatusDetails: e.Details, EdgeConfig: e.Config,
	}
}

func (e *edgeRecord) agentStatus() *edgeAgentStatus {
	if e.Recorder == nil && e.Uploader == nil {
		return nil
	}
	var out edgeAgentStatus
	if j := e.Recorder; j != nil {
		out.LastRecorderStatus = &lastJobStatus{JobStatusDetails: j.Details, LastCollectedTime: epoch{j.Collected}, LastUpdatedTime: epoch{j.Updated}, RecorderStatus: j.Status}
	}
	if j := e.Uploader; j != nil {
		out.LastUploaderStatus = &lastJobStatus{JobStatusDetails: j.Details, LastCollectedTime: epoch{j.Collected}, LastUpdatedTime: epoch{j.Updated}, UploaderStatus: j.Status}
	}
	return &out
}

// findEdge gives the stream that is meant, which must have a configuration.
func (d *document) findEdge(id streamID) (*streamRecord, error) {
	s, err := d.find(id)
	if err == nil && s.Edge == nil {
		return nil, kvsError(http.StatusNotFound, edgeConfigMissing, "The stream %s has no edge configuration.", s.Name)
	}
	return s, err
}

// nextVersion is the time of a new version of a configuration. It always rises, and by more than
// a rendering as a floating point number may lose, because agents order versions by it.
func (c *Cloud) nextVersion(e *edgeRecord) time.Time {
	now := c.o.Now().UTC().Truncate(time.Millisecond)
	if e != nil && now.Before(e.Updated.Add(10*time.Millisecond)) {
		return e.Updated.Add(10 * time.Millisecond)
	}
	return now
}

type startEdgeConfigurationUpdateInput struct {
	streamID
	EdgeConfig json.RawMessage
}

// readEdgeConfig validates everything but the schedules, which only the agent understands.
func readEdgeConfig(data json.RawMessage) (config edgeconfig.EdgeConfig, thing string, err error) {
	if len(data) == 0 || string(data) == "null" {
		return config, "", badArgument("EdgeConfig is required")
	}
	if config, err = edgeconfig.Parse(data); err == nil {
		err = config.Validate()
	}
	var invalid *edgeconfig.Invalid
	if errors.As(err, &invalid) {
		return config, "", badArgument("%s", invalid)
	}
	if err != nil {
		return config, "", err
	}
	hub, err := edgeconfig.ParseHub(config.HubDeviceArn)
	if err != nil {
		return config, "", badArgument("%s", err)
	}
	return config, hub.Thing, nil
}

func (c *Cloud) startEdgeConfigurationUpdate(in startEdgeConfigurationUpdateInput) (any, error) {
	config, thing, err := readEdgeConfig(in.EdgeConfig)
	if err != nil {
		return nil, err
	}
	var out edgeConfiguration
	formerThing := ""
	err = c.update(func(d *document) error {
		s, err := d.find(in.streamID)
		if err != nil {
			return err
		}
		if s.RetentionHours == 0 {
			return kvsError(http.StatusBadRequest, noDataRetention, "The stream %s retains no data: its DataRetentionInHours is 0.", s.Name)
		}
		next := &edgeRecord{Config: config, Thing: thing, Status: syncing, Updated: c.nextVersion(s.Edge)}
		next.Created = next.Updated
		if s.Edge != nil {
			if slices.Contains(underWay, s.Edge.Status) {
				return kvsError(http.StatusBadRequest, resourceInUse, "The edge configuration of stream %s is %s; wait until that has ended.", s.Name, s.Edge.Status)
			}
			next.Created = s.Edge.Created
			if formerThing = s.Edge.Thing; formerThing == thing {
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
	if formerThing != "" && formerThing != thing {
		c.broker.publish(formerThing, topicRefresh, []byte("{}")) // it sees from the listing that the stream is gone
	}
	c.wake()
	return out, nil
}

func (c *Cloud) describeEdgeConfiguration(in streamID) (any, error) {
	var out edgeConfiguration
	err := c.view(func(d *document) error {
		s, err := d.findEdge(in)
		if err == nil {
			out = s.edgeConfiguration()
			out.EdgeAgentStatus = s.Edge.agentStatus()
		}
		return err
	})
	return out, err
}

func (c *Cloud) deleteEdgeConfiguration(in streamID) (any, error) {
	err := c.update(func(d *document) error {
		s, err := d.findEdge(in)
		if err != nil {
			return err
		}
		if e := s.Edge; e.Status != deleting && e.Status != deletingAcknowledged {
			e.Status, e.Details, e.Updated, e.sent = deleting, "", c.nextVersion(e), time.Time{}
		}
		return nil
	})
	c.wake()
	return nil, err
}

type listEdgeAgentConfigurationsInput struct {
	HubDeviceArn string
	MaxResults   *int
	NextToken    string
}

func (c *Cloud) listEdgeAgentConfigurations(in listEdgeAgentConfigurationsInput) (any, error) {
	if _, err := edgeconfig.ParseHub(in.HubDeviceArn); err != nil {
		return nil, badArgument("HubDeviceArn is required: %s", err)
	}
	limit, after, err := page(in.MaxResults, usualListed, mostListed, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := struct {
		EdgeConfigs []edgeConfiguration
		NextToken   string `json:",omitempty"`
	}{EdgeConfigs: []edgeConfiguration{}}
	err = c.view(func(d *document) error {
		for _, name := range slices.Sorted(maps.Keys(d.Streams)) {
			s := d.Streams[name]
			if name <= after || s.Edge == nil || s.Edge.Config.HubDeviceArn != in.HubDeviceArn {
				continue
			}
			if len(out.EdgeConfigs) == limit {
				out.NextToken = tokenAfter(out.EdgeConfigs[limit-1].StreamName)
				break
			}
			out.EdgeConfigs = append(out.EdgeConfigs, s.edgeConfiguration())
		}
		return nil
	})
	return out, err
}
