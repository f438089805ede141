package kvs

import (
	"net/http"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvsmodel"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
)

// The statuses of a stream. Source: KVS API, StreamInfo; in state/cloud.json ACTIVE is "".
const (
	streamCreating = "CREATING"
	streamActive   = "ACTIVE"
	streamUpdating = "UPDATING"
	streamDeleting = "DELETING"
)

// defaultStreamDelay is how long a stream has a status that passes. In AWS it is up to some seconds.
const defaultStreamDelay = 300 * time.Millisecond

func (s *streamRecord) status() string {
	if s.Status == "" {
		return streamActive
	}
	return s.Status
}

// enter puts a stream into a status that passes by itself.
func (c *ControlPlane) enter(s *streamRecord, status string) {
	delay := c.o.StreamDelay
	if delay == 0 {
		delay = defaultStreamDelay
	}
	s.Status, s.Settles = status, c.o.Now().UTC().Add(max(delay, 0))
}

// settle ends the statuses that have lasted as long as they should. It runs before each use of the
// document, so that a status depends on the clock only, also after a restart.
func (d Streams) settle(now time.Time) {
	for name, s := range d {
		switch {
		case s.Status == "" || now.Before(s.Settles):
		case s.Status == streamDeleting:
			delete(d, name)
		default:
			s.Status, s.Settles = "", time.Time{}
		}
	}
}

// streamID names a stream in a request.
type streamID struct {
	StreamName, StreamARN string
}

// find returns the stream that is meant, whatever its status.
func (d Streams) find(id streamID) (*streamRecord, error) {
	switch {
	case id.StreamName == "" && id.StreamARN == "":
		return nil, badMember("StreamName", "Either StreamName or StreamARN is required")
	case id.StreamARN == "":
		if s := d[id.StreamName]; s != nil {
			return s, nil
		}
		return nil, notFound("StreamName", id.StreamName)
	}
	resource := parseResource(id.StreamARN)
	if id.StreamName != "" && id.StreamName != resource.name {
		return nil, badMember("StreamARN", "StreamName %s and StreamARN %s are two different streams", id.StreamName, id.StreamARN)
	}
	if s := d[resource.name]; s != nil && s.ARN == id.StreamARN {
		return s, nil
	}
	return nil, notFound("StreamARN", id.StreamARN)
}

// findActive is find for operations to which a stream that is not active does not exist.
func (d Streams) findActive(id streamID) (*streamRecord, error) {
	s, err := d.find(id)
	if err == nil && !s.takesRequests() {
		return nil, notFound(id.member(), s.Name)
	}
	return s, err
}

// findIdle is find for operations that change a stream: they need one that is ACTIVE and are refused
// with ResourceInUseException otherwise.
func (d Streams) findIdle(id streamID) (*streamRecord, error) {
	s, err := d.find(id)
	if err == nil && s.status() != streamActive {
		return nil, awsapi.Errorf(http.StatusBadRequest, kvsmodel.ResourceInUse, id.member(),
			"The stream %s is %s; wait until it is ACTIVE.", s.Name, s.status())
	}
	return s, err
}

func (id streamID) member() string {
	if id.StreamName != "" {
		return "StreamName"
	}
	return "StreamARN"
}

// takesRequests reports whether the stream can be used. One that is CREATING can: AWS's C producer
// tags a stream, asks for its endpoint and sends media right after CreateStream, without waiting.
func (s *streamRecord) takesRequests() bool { return s.status() != streamDeleting }

// Stream implements media.StreamLookup. A stream that is DELETING is not found: the status that
// comes along is for the message.
func (c *ControlPlane) Stream(nameOrARN string) (info media.StreamInfo, found bool) {
	_ = c.view(func(d Streams) error {
		s := d[nameOrARN]
		if s == nil {
			if s = d[parseResource(nameOrARN).name]; s == nil || s.ARN != nameOrARN {
				return nil
			}
		}
		info = media.StreamInfo{Name: s.Name, ARN: s.ARN, Created: s.Created, RetentionHours: s.RetentionHours, Status: s.status()}
		found = s.takesRequests()
		return nil
	})
	return info, found
}
