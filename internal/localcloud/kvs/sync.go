package kvs

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/logevent"
)

// The sync statuses. Source: KVS API, SyncStatus; deleted is only said over MQTT.
const (
	Syncing              = "SYNCING"
	Acknowledged         = "ACKNOWLEDGED"
	InSync               = "IN_SYNC"
	SyncFailed           = "SYNC_FAILED"
	Deleting             = "DELETING"
	DeletingAcknowledged = "DELETING_ACKNOWLEDGED"
	DeleteFailed         = "DELETE_FAILED"
	Deleted              = "DELETED"
)

// The topics, after kvs-edge/{thing}/. See docs/mqtt.md.
const (
	topicUpdate  = "config/update"
	topicDelete  = "config/delete"
	topicRefresh = "config/refresh"
	TopicStatus  = "config/status"
	TopicJobs    = "jobs/status"
)

// Hubs is how configurations get to the hubs, which are named by their things.
type Hubs interface {
	// Publish sends a message at least once, now or when the hub comes.
	Publish(thing, topic string, payload []byte)
	Connected(thing string) bool
}

// underWay are the statuses in which no update is taken.
var underWay = []string{Syncing, Acknowledged, Deleting, DeletingAcknowledged}

// comesFrom lists the statuses that an agent's answer may follow. What is not listed is a late
// repetition, and changes nothing.
var comesFrom = map[string][]string{
	Acknowledged:         {Syncing, SyncFailed},
	InSync:               {Syncing, Acknowledged, SyncFailed},
	SyncFailed:           {Syncing, Acknowledged, InSync, SyncFailed},
	DeletingAcknowledged: {Deleting, DeleteFailed},
	DeleteFailed:         {Deleting, DeletingAcknowledged, DeleteFailed},
	Deleted:              {Deleting, DeletingAcknowledged, DeleteFailed},
}

const (
	repeatEvery      = 10 * time.Second
	acknowledgeUntil = 15 * time.Minute
	lookEvery        = time.Second
	// sameVersion is how far two renderings of LastUpdatedTime may differ.
	sameVersion = 2 * time.Millisecond
)

// Run sends configurations to the hubs until ctx ends. It is the only goroutine that
// does, so that a hub gets them in the order of their versions.
func (c *ControlPlane) Run(ctx context.Context) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.awake.C():
		case <-ticker.C:
		}
		c.Step()
	}
}

// Step fails what was not acknowledged in time and sends what is due.
func (c *ControlPlane) Step() {
	now := c.o.Now()
	late := func(e *edgeRecord) bool {
		return e != nil && e.Status == Syncing && now.Sub(e.Updated) >= acknowledgeUntil
	}
	anyLate := false
	_ = c.view(func(d Streams) error {
		for _, s := range d {
			anyLate = anyLate || late(s.Edge)
		}
		return nil
	})
	if anyLate {
		c.change("fail an unacknowledged configuration", func(d Streams) error {
			for _, s := range d {
				if late(s.Edge) {
					s.Edge.Status, s.Edge.Details = SyncFailed, "The hub did not acknowledge the configuration within 15 minutes."
				}
			}
			return nil
		})
	}
	if c.o.AsAWS {
		return // how AWS itself reaches its agents is not public
	}
	for _, m := range c.due(now) {
		c.o.Hubs.Publish(m.thing, m.topic, m.payload)
	}
}

// refreshHub has a hub list its configurations. AWS has no such message.
func (c *ControlPlane) refreshHub(thing string) {
	if !c.o.AsAWS {
		c.o.Hubs.Publish(thing, topicRefresh, []byte("{}"))
	}
}

// change is update for callers that cannot report a failure.
func (c *ControlPlane) change(what string, change func(Streams) error) {
	if err := c.update(change); err != nil {
		logevent.ChangeNotSaved.Log(c.o.Log, zap.String("change", what), zap.Error(err))
	}
}

type hubMessage struct {
	thing, topic string
	payload      []byte
}

// configMessage is the payload of config/update and, without the last two, of config/delete.
type configMessage struct {
	StreamName, StreamARN string
	LastUpdatedTime       awsapi.Epoch
	CreationTime          awsapi.Epoch `json:",omitzero"`
	EdgeConfig            any          `json:",omitempty"`
}

// due renders the messages to send: new ones at once, others again only to hubs that are
// connected, because the broker keeps the first for the others.
func (c *ControlPlane) due(now time.Time) (out []hubMessage) {
	_ = c.view(func(d Streams) error {
		out = c.dueOf(d, now)
		return nil
	})
	return out
}

func (c *ControlPlane) dueOf(d Streams, now time.Time) (out []hubMessage) {
	for _, s := range d {
		e := s.Edge
		if e == nil || e.Status != Syncing && e.Status != Deleting {
			continue
		}
		if !e.sent.IsZero() && (now.Sub(e.sent) < repeatEvery || !c.o.Hubs.Connected(e.Thing)) {
			continue
		}
		e.sent = now
		topic, message := topicDelete, configMessage{StreamName: s.Name, StreamARN: s.ARN, LastUpdatedTime: awsapi.EpochOf(e.Updated)}
		if e.Status == Syncing {
			topic, message.CreationTime, message.EdgeConfig = topicUpdate, awsapi.EpochOf(e.Created), e.Config
		}
		payload, err := json.Marshal(message)
		if err != nil {
			logevent.ConfigurationNotEncoded.Log(c.o.Log, zap.String("stream", s.Name), zap.Error(err))
			continue
		}
		out = append(out, hubMessage{thing: e.Thing, topic: topic, payload: payload})
	}
	return out
}

// Resend has everything for a thing sent again.
func (c *ControlPlane) Resend(thing string) {
	_ = c.view(func(d Streams) error {
		for _, s := range d {
			if s.Edge != nil && s.Edge.Thing == thing {
				s.Edge.sent = time.Time{}
			}
		}
		return nil
	})
	c.awake.Set()
}

// syncMessage is the payload of config/status.
type syncMessage struct {
	StreamName, SyncStatus, FailedStatusDetails string
	LastUpdatedTime                             awsapi.Epoch
}

// HearStatus takes an agent's answer. Answers about other versions than the present one, and from
// other things than the hub, change nothing, and with AsAWS no answer does.
func (c *ControlPlane) HearStatus(thing string, payload []byte) {
	if c.o.AsAWS {
		return
	}
	var m syncMessage
	if err := json.Unmarshal(payload, &m); err != nil {
		logevent.ConfigStatusUnreadable.Log(c.o.Log, zap.String("thing", thing), zap.Error(err))
		return
	}
	c.change("note a sync status", func(d Streams) error {
		s := d[m.StreamName]
		if s == nil || s.Edge == nil || s.Edge.Thing != thing || m.LastUpdatedTime.Sub(s.Edge.Updated).Abs() > sameVersion ||
			!slices.Contains(comesFrom[m.SyncStatus], s.Edge.Status) {
			c.o.Log.Debug("message on config/status ignored", zap.String("thing", thing), zap.ByteString("message", payload))
			return nil
		}
		s.Edge.Status, s.Edge.Details = m.SyncStatus, m.FailedStatusDetails
		if m.SyncStatus == Deleted {
			s.Edge = nil
		}
		return nil
	})
}

// jobsMessage is the payload of jobs/status.
type jobsMessage struct {
	Streams []struct {
		StreamName         string
		Recorder, Uploader *jobMessage
	}
}

type jobMessage struct {
	Status, Details                    string
	LastCollectedTime, LastUpdatedTime awsapi.Epoch
}

// jobStatuses are the values of RecorderStatus and UploaderStatus.
var jobStatuses = []string{"SUCCESS", "USER_ERROR", "SYSTEM_ERROR"}

func (m *jobMessage) record(before *jobRecord) *jobRecord {
	if m == nil || !slices.Contains(jobStatuses, m.Status) {
		return before
	}
	return &jobRecord{Status: m.Status, Details: m.Details, Collected: m.LastCollectedTime.Time, Updated: m.LastUpdatedTime.Time}
}

// HearJobs takes an agent's report on its jobs, unless AsAWS.
func (c *ControlPlane) HearJobs(thing string, payload []byte) {
	if c.o.AsAWS {
		return
	}
	var m jobsMessage
	if err := json.Unmarshal(payload, &m); err != nil {
		logevent.JobsStatusUnreadable.Log(c.o.Log, zap.String("thing", thing), zap.Error(err))
		return
	}
	c.change("note the status of jobs", func(d Streams) error {
		for _, j := range m.Streams {
			if s := d[j.StreamName]; s != nil && s.Edge != nil && s.Edge.Thing == thing {
				s.Edge.Recorder, s.Edge.Uploader = j.Recorder.record(s.Edge.Recorder), j.Uploader.record(s.Edge.Uploader)
			}
		}
		return nil
	})
}
