package kvs

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvsmodel"
)

// The quotas of streams that the service model does not have. Source: KVS API reference,
// UpdateDataRetention; KVS developer guide, quotas.
const (
	maxRetentionHours = 87_600
	maxListedStreams  = 10_000
)

type createStreamInput struct {
	StreamName                      string
	DeviceName, KmsKeyId, MediaType string            `json:",omitempty"`
	DataRetentionInHours            int               `json:",omitempty"`
	Tags                            map[string]string `json:",omitempty"`
	StreamStorageConfiguration      *streamStorage    `json:",omitempty"`
}

// CreateStream makes a stream that is ACTIVE at once. One that exists keeps its ARN and gets the
// retention; one that is DELETING is gone first.
func (c *ControlPlane) CreateStream(name string, retentionHours int) (arn string, err error) {
	arn, err = c.ensureStream(createStreamInput{StreamName: name, DataRetentionInHours: retentionHours})
	if err != nil {
		return "", fmt.Errorf("cannot create stream %s: %w", name, err)
	}
	return arn, nil
}

// ensureStream makes a stream, or sets the retention of one that exists. It is ACTIVE afterwards.
func (c *ControlPlane) ensureStream(in createStreamInput) (arn string, err error) {
	if err := conforms("CreateStream", in); err != nil {
		return "", err
	}
	return arn, c.update(func(d Streams) error {
		next, err := c.newStream(in)
		if err != nil {
			return err
		}
		s := d[in.StreamName]
		if s == nil || s.Status == streamDeleting {
			s = next
			d[s.Name] = s
		}
		s.Status, s.Settles, s.RetentionHours = "", time.Time{}, in.DataRetentionInHours
		arn = s.ARN
		return nil
	})
}

// conforms reports what in, as the request of an operation, breaks of the model of the service.
func conforms(operation string, in any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	o := kvsmodel.ByName(operation)
	if _, _, err := o.Read(body); err != nil {
		return o.Refusal(err)
	}
	return nil
}

// newStream checks what the model of the service does not and makes the record.
func (c *ControlPlane) newStream(in createStreamInput) (*streamRecord, error) {
	if err := checkRetention("DataRetentionInHours", in.DataRetentionInHours); err != nil {
		return nil, err
	}
	if err := checkTagKeys("Tags.key", slices.Sorted(maps.Keys(in.Tags))); err != nil {
		return nil, err
	}
	now := c.o.Now().UTC().Truncate(time.Millisecond)
	key := in.KmsKeyId
	if key == "" {
		key = c.o.Home.ARN("kms", "alias/aws/kinesisvideo")
	}
	s := &streamRecord{
		Name: in.StreamName, ARN: c.o.Home.ARN("kinesisvideo", fmt.Sprintf("stream/%s/%d", in.StreamName, now.UnixMilli())),
		Version: newVersion(), Created: now, RetentionHours: in.DataRetentionInHours,
		DeviceName: in.DeviceName, MediaType: in.MediaType, KmsKeyID: key, Tags: in.Tags,
	}
	if in.StreamStorageConfiguration != nil {
		s.setTier(in.StreamStorageConfiguration.DefaultStorageTier, now)
	}
	return s, nil
}

func checkRetention(member string, hours int) error {
	if hours < 0 || hours > maxRetentionHours {
		return badMember(member, "%s must lead to a retention of 0 to %d hours, not %d", member, maxRetentionHours, hours)
	}
	return nil
}

func newVersion() string { return strings.ReplaceAll(awsapi.RequestID(), "-", "")[:20] }

func (c *ControlPlane) createStream(in createStreamInput) (any, error) {
	var arn string
	err := c.update(func(d Streams) error {
		s, err := c.newStream(in)
		if err != nil {
			return err
		}
		if existing := d[s.Name]; existing != nil {
			return awsapi.Errorf(http.StatusBadRequest, kvsmodel.ResourceInUse, "StreamName",
				"The stream %s already exists: it is %s.", s.Name, existing.status())
		}
		c.enter(s, streamCreating)
		d[s.Name], arn = s, s.ARN
		return nil
	})
	return map[string]string{"StreamARN": arn}, err
}

// streamInfo is the API's StreamInfo.
type streamInfo struct {
	StreamName, StreamARN, Version, Status, KmsKeyId string
	DeviceName                                       string `json:",omitempty"`
	MediaType                                        string `json:",omitempty"`
	CreationTime                                     awsapi.Epoch
	DataRetentionInHours                             int
}

func (s *streamRecord) info() streamInfo {
	return streamInfo{
		StreamName: s.Name, StreamARN: s.ARN, Version: s.Version, Status: s.status(), KmsKeyId: s.KmsKeyID,
		DeviceName: s.DeviceName, MediaType: s.MediaType, CreationTime: awsapi.EpochOf(s.Created), DataRetentionInHours: s.RetentionHours,
	}
}

func (c *ControlPlane) describeStream(in streamID) (any, error) {
	var info streamInfo
	err := c.view(func(d Streams) error {
		s, err := d.find(in)
		if err == nil {
			info = s.info()
		}
		return err
	})
	return map[string]any{"StreamInfo": info}, err
}

type listStreamsInput struct {
	MaxResults          *int
	NextToken           string
	StreamNameCondition struct{ ComparisonValue string } // the one ComparisonOperator is BEGINS_WITH
}

func (c *ControlPlane) listStreams(in listStreamsInput) (any, error) {
	limit, after, err := page(in.MaxResults, maxListedStreams, maxListedStreams, in.NextToken)
	if err != nil {
		return nil, err
	}
	out := struct {
		StreamInfoList []streamInfo
		NextToken      string `json:",omitempty"`
	}{StreamInfoList: []streamInfo{}}
	err = c.view(func(d Streams) error {
		for _, name := range slices.Sorted(maps.Keys(d)) {
			if name <= after || !strings.HasPrefix(name, in.StreamNameCondition.ComparisonValue) {
				continue
			}
			if len(out.StreamInfoList) == limit {
				out.NextToken = streamToken(out.StreamInfoList[limit-1].StreamName)
				break
			}
			out.StreamInfoList = append(out.StreamInfoList, d[name].info())
		}
		return nil
	})
	return out, err
}

type deleteStreamInput struct{ StreamARN, CurrentVersion string }

func (c *ControlPlane) deleteStream(in deleteStreamInput) (any, error) {
	thing := ""
	err := c.update(func(d Streams) error {
		s, err := d.findIdle(streamID{StreamARN: in.StreamARN})
		if err != nil {
			return err
		}
		if in.CurrentVersion != "" {
			if err := checkVersion(s, in.CurrentVersion); err != nil {
				return err
			}
		}
		if s.Edge != nil {
			thing = s.Edge.Thing
		}
		s.Edge = nil
		c.enter(s, streamDeleting)
		return nil
	})
	if err == nil && thing != "" {
		c.refreshHub(thing) // the configuration went with the stream
	}
	return nil, err
}

func checkVersion(s *streamRecord, current string) error {
	if current == s.Version {
		return nil
	}
	return awsapi.Errorf(http.StatusBadRequest, kvsmodel.VersionMismatch, "CurrentVersion",
		"The version of stream %s is %s, not %s.", s.Name, s.Version, current)
}

// changeStream is an update of a stream that is asked for with its version: the stream is UPDATING
// for a moment and has another version.
func (c *ControlPlane) changeStream(id streamID, version string, change func(*streamRecord) error) error {
	return c.update(func(d Streams) error {
		s, err := d.findIdle(id)
		if err != nil {
			return err
		}
		if err := checkVersion(s, version); err != nil {
			return err
		}
		if err := change(s); err != nil {
			return err
		}
		s.Version = newVersion()
		c.enter(s, streamUpdating)
		return nil
	})
}

type updateStreamInput struct {
	streamID
	CurrentVersion        string
	DeviceName, MediaType *string
}

func (c *ControlPlane) updateStream(in updateStreamInput) (any, error) {
	return nil, c.changeStream(in.streamID, in.CurrentVersion, func(s *streamRecord) error {
		if in.DeviceName != nil {
			s.DeviceName = *in.DeviceName
		}
		if in.MediaType != nil {
			s.MediaType = *in.MediaType
		}
		return nil
	})
}

type updateDataRetentionInput struct {
	streamID
	CurrentVersion, Operation  string
	DataRetentionChangeInHours int
}

func (c *ControlPlane) updateDataRetention(in updateDataRetentionInput) (any, error) {
	return nil, c.changeStream(in.streamID, in.CurrentVersion, func(s *streamRecord) error {
		hours := s.RetentionHours + in.DataRetentionChangeInHours
		if in.Operation == "DECREASE_DATA_RETENTION" {
			hours = s.RetentionHours - in.DataRetentionChangeInHours
		}
		if err := checkRetention("DataRetentionChangeInHours", hours); err != nil {
			return err
		}
		s.RetentionHours = hours
		return nil
	})
}

func (c *ControlPlane) getDataEndpoint(in streamID) (any, error) {
	err := c.view(func(d Streams) error { _, err := d.findActive(in); return err })
	return map[string]string{"DataEndpoint": c.o.Endpoint()}, err
}
