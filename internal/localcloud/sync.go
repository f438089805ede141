package localcloud

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"go.uber.org/zap"
)

// The sync statuses. Source: KVS API, SyncStatus; deleted is only said over MQTT.
const (
	syncing              = "SYNCING"
	acknowledged         = "ACKNOWLEDGED"
	inSync               = "IN_SYNC"
	syncFailed           = "SYNC_FAILED"
	deleting             = "DELETING"
	deletingAcknowledged = "DELETING_ACKNOWLEDGED"
	deleteFailed         = "DELETE_FAILED"
	deleted              = "DELETED"
)

// underWay are the statuses in which no update is taken.
var underWay = []string{syncing, acknowledged, deleting, deletingAcknowledged}

// comesFrom lists the statuses that an agent's answer may follow. What is not listed is a late
// repetition, and changes nothing.
var comesFrom = map[string][]string{
	acknowledged:         {syncing, syncFailed},
	inSync:               {syncing, acknowledged, syncFailed},
	syncFailed:           {syncing, acknowledged, inSync, syncFailed},
	deletingAcknowledged: {deleting, deleteFailed},
	deleteFailed:         {deleting, deletingAcknowledged, deleteFailed},
	deleted:              {deleting, deletingAcknowledged, deleteFailed},
}

const (
	repeatEvery      = 10 * time.Second
	acknowledgeUntil = 15 * time.Minute
	lookEvery        = time.Second
	// sameVersion is how far two renderings of LastUpdatedTime may differ.
	sameVersion = 2 * time.Millisecond
)

// synchronise sends configurations to the hubs until ctx ends. It is the only goroutine that
// does, so that a hub gets them in the order of their versions.
func (c *Cloud) synchronise(ctx context.Context) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.kick:
		case <-ticker.C:
		}
		c.step()
	}
}

// wake makes synchronise look now.
func (c *Cloud) wake() {
	select {
	case c.kick <- struct{}{}:
	default:
	}
}

// step gives up what was not acknowledged in time and sends what is due.
func (c *Cloud) step() {
	now := c.o.Now()
	late := func(e *edgeRecord) bool {
		return e != nil && e.Status == syncing && now.Sub(e.Updated) >= acknowledgeUntil
	}
	anyLate := false
	c.mu.Lock()
	c.doc.settle(now)
	for _, s := range c.doc.Streams {
		anyLate = anyLate || late(s.Edge)
	}
	c.mu.Unlock()
	if anyLate {
		c.change("fail an unacknowledged configuration", func(d *document) error {
			for _, s := range d.Streams {
				if late(s.Edge) {
					s.Edge.Status, s.Edge.Details = syncFailed, "The hub did not acknowledge the configuration within 15 minutes."
				}
			}
			return nil
		})
	}
	if c.o.AsAWS {
		return // how AWS itself reaches its agents is not public
	}
	for _, m := range c.due(now) {
		c.broker.publish(m.thing, m.topic, m.payload)
	}
}

// refreshHub has a hub list its configurations. AWS has no such message.
func (c *Cloud) refreshHub(thing string) {
	if !c.o.AsAWS {
		c.broker.publish(thing, topicRefresh, []byte("{}"))
	}
}

// change is update for callers that cannot report a failure.
func (c *Cloud) change(what string, change func(*document) error) {
	if err := c.update(change); err != nil {
		c.log.Error("cannot "+what, zap.Error(err))
	}
}

type hubMessage struct {
	thing, topic string
	payload      []byte
}

// configMessage is the payload of config/update and, without the last two, of config/delete.
type configMessage struct {
	StreamName, StreamARN string
	LastUpdatedTime       epoch
	CreationTime          epoch `json:",omitzero"`
	EdgeConfig            any   `json:",omitempty"`
}

// due renders what is to be sent: at once what never was, later again only to hubs that are
// there, because the broker keeps the first for the others.
func (c *Cloud) due(now time.Time) (out []hubMessage) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.doc.Streams {
		e := s.Edge
		if e == nil || e.Status != syncing && e.Status != deleting {
			continue
		}
		if !e.sent.IsZero() && (now.Sub(e.sent) < repeatEvery || !c.broker.connected(e.Thing)) {
			continue
		}
		e.sent = now
		topic, message := topicDelete, configMessage{StreamName: s.Name, StreamARN: s.ARN, LastUpdatedTime: epoch{e.Updated}}
		if e.Status == syncing {
			topic, message.CreationTime, message.EdgeConfig = topicUpdate, epoch{e.Created}, e.Config
		}
		payload, err := json.Marshal(message)
		if err != nil {
			c.log.Error("cannot render a configuration", zap.String("stream", s.Name), zap.Error(err))
			continue
		}
		out = append(out, hubMessage{thing: e.Thing, topic: topic, payload: payload})
	}
	return out
}

// resend has everything for a thing sent again.
func (c *Cloud) resend(thing string) {
	c.mu.Lock()
	for _, s := range c.doc.Streams {
		if s.Edge != nil && s.Edge.Thing == thing {
			s.Edge.sent = time.Time{}
		}
	}
	c.mu.Unlock()
	c.wake()
}

// syncMessage is the payload of config/status.
type syncMessage struct {
	StreamName, SyncStatus, FailedStatusDetails string
	LastUpdatedTime                             epoch
}

// hearStatus takes an agent's answer. Answers about other versions than the present one, and from
// other things than the hub, change nothing, and with AsAWS no answer does.
func (c *Cloud) hearStatus(thing string, payload []byte) {
	if c.o.AsAWS {
		return
	}
	var m syncMessage
	if err := json.Unmarshal(payload, &m); err != nil {
		c.log.Warn("a config/status cannot be read", zap.String("thing", thing), zap.Error(err))
		return
	}
	c.change("note a sync status", func(d *document) error {
		s := d.Streams[m.StreamName]
		if s == nil || s.Edge == nil || s.Edge.Thing != thing || m.LastUpdatedTime.Sub(s.Edge.Updated).Abs() > sameVersion ||
			!slices.Contains(comesFrom[m.SyncStatus], s.Edge.Status) {
			c.log.Debug("a config/status changes nothing", zap.String("thing", thing), zap.ByteString("message", payload))
			return nil
		}
		s.Edge.Status, s.Edge.Details = m.SyncStatus, m.FailedStatusDetails
		if m.SyncStatus == deleted {
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
	LastCollectedTime, LastUpdatedTime epoch
}

// jobStatuses are the values of RecorderStatus and UploaderStatus.
var jobStatuses = []string{"SUCCESS", "USER_ERROR", "SYSTEM_ERROR"}

func (m *jobMessage) record(before *jobRecord) *jobRecord {
	if m == nil || !slices.Contains(jobStatuses, m.Status) {
		return before
	}
	return &jobRecord{Status: m.Status, Details: m.Details, Collected: m.LastCollectedTime.Time, Updated: m.LastUpdatedTime.Time}
}

// hearJobs takes an agent's report on its jobs, unless AsAWS.
func (c *Cloud) hearJobs(thing string, payload []byte) {
	if c.o.AsAWS {
		return
	}
	var m jobsMessage
	if err := json.Unmarshal(payload, &m); err != nil {
		c.log.Warn("a jobs/status cannot be read", zap.String("thing", thing), zap.Error(err))
		return
	}
	c.change("note the status of jobs", func(d *document) error {
		for _, j := range m.Streams {
			if s := d.Streams[j.StreamName]; s != nil && s.Edge != nil && s.Edge.Thing == thing {
				s.Edge.Recorder, s.Edge.Uploader = j.Recorder.record(s.Edge.Recorder), j.Uploader.record(s.Edge.Uploader)
			}
		}
		return nil
	})
}
