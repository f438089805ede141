package kvsconfig

import (
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/desired/edgestream"
	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
)

// round is what one pass over new information leads to.
type round struct {
	apply  bool   // the desired set changed
	remove bool   // a removal is asked for
	unsure bool   // a stream is missing from a listing, which another one is to confirm
	known  bool   // the cloud has listed all that this hub is to do; a message is about one stream only
	pushed bool   // a message changed the desired set, which a listing soon after is to confirm
	merged func() // acknowledges the messages that were merged; nil: none
}

// acknowledge confirms the messages to the broker.
func (r round) acknowledge() {
	if r.merged != nil {
		r.merged()
	}
}

// mergeMessages takes what is in the inbox.
func (s *Syncer) mergeMessages() (r round) {
	r.merged = s.o.Inbox.Take(
		func(c edgeconfig.StreamConfig, err error) { r.pushed = s.mergeUpdate(c, err, "") || r.pushed },
		func(c edgeconfig.StreamConfig, err error) { r.remove = s.mergeDelete(c, err) || r.remove },
		func() {
			s.RequestListing()
			s.o.Refreshed()
		})
	r.apply = r.pushed
	return r
}

// mergeUpdate takes a configuration, or the reason why it cannot be read. listedAs is its status
// in the control plane when it comes from there. It reports whether there is something to apply.
func (s *Syncer) mergeUpdate(c edgeconfig.StreamConfig, err error, listedAs string) bool {
	var wanted desired.Stream
	if err == nil {
		wanted, err = s.translate(c, originOf(listedAs))
	}
	if err != nil {
		s.refuse(err)
		if hub := c.Config.HubDeviceArn; hub == "" || s.hub.is(hub) {
			s.lose(err)
		}
		return false
	}
	switch s.versions.update(c, wanted, s.o.Now()) {
	case accepted:
		s.disk.unsaved = true
		s.learnHub(c.Config.HubDeviceArn)
		s.o.Health.OK(health.ScopeMessage)
		s.conditions.acceptable(c.StreamName)
		logevent.ConfigurationReceived.Log(s.o.Log, zap.String("stream", c.StreamName), zap.Time("updated", c.LastUpdated))
		s.publishStatus(SyncStatus{StreamName: c.StreamName, StreamARN: c.StreamARN, Status: Acknowledged, LastUpdated: c.LastUpdated})
		delete(s.failed, c.StreamName)
		return true
	case repeated:
		// A listing says what the control plane believes: silence when it is right.
		if listedAs == "" || listedAs == syncing || listedAs == Acknowledged {
			s.statuses.repeat(c.StreamName, c.LastUpdated)
		}
	case stale:
		s.o.Log.Debug("stale configuration ignored", zap.String("stream", c.StreamName), zap.Time("updated", c.LastUpdated))
		if listedAs == "" {
			s.statuses.repeat(c.StreamName, time.Time{})
		}
	}
	return false
}

// originOf is where a configuration comes from: one that is listed has a status there.
func originOf(listedAs string) desired.Origin {
	if listedAs == "" {
		return desired.MQTT
	}
	return desired.KVS
}

// translate returns what a configuration wants, and refuses what is not for this hub or cannot be followed. The error
// is a *edgeconfig.Refusal.
func (s *Syncer) translate(c edgeconfig.StreamConfig, origin desired.Origin) (desired.Stream, error) {
	text := ""
	wanted, err := edgestream.Of(c, origin)
	if err != nil {
		text = err.Error()
	} else if !s.hub.is(c.Config.HubDeviceArn) {
		hub := s.hub.get()
		if hub == "" {
			hub = "thing " + s.o.ThingName
		}
		text = fmt.Sprintf("HubDeviceArn is %s, but this hub is %s", c.Config.HubDeviceArn, hub)
	}
	if text == "" {
		return wanted, nil
	}
	return desired.Stream{}, &edgeconfig.Refusal{Stream: c.StreamName, ARN: c.StreamARN, LastUpdated: c.LastUpdated, Text: text}
}

func (s *Syncer) learnHub(arn string) {
	if s.hub.get() == "" {
		s.hub.set(arn)
		logevent.HubARNLearned.Log(s.o.Log, zap.String("hub", arn))
		s.RequestListing()
	}
}

// mergeHub takes the hub's ARN that was found. Configurations for another hub, from before, stop;
// their media stays.
func (s *Syncer) mergeHub(hub string) (r round) {
	if hub == s.hub.get() {
		return r
	}
	s.hub.set(hub)
	s.o.Health.OK(scopeHub)
	for _, name := range sortedNames(s.versions.streams) {
		if e := s.versions.streams[name]; e.Config.HubDeviceArn != "" && e.Config.HubDeviceArn != hub {
			fault := health.UserFault(codeHub, nil,
				"This hub is %s, but stream %s was configured for %s: it stops, its media is kept.", hub, name, e.Config.HubDeviceArn)
			s.o.Health.Note(scopeHub, health.Degraded, fault, eventShown)
			s.conditions.logFault(fault)
			delete(s.versions.streams, name)
			s.disk.unsaved, r.apply = true, true
		}
	}
	return r
}

// refuse answers what cannot be followed, where the stream that it is about is known.
func (s *Syncer) refuse(err error) {
	var why *edgeconfig.Refusal
	if !errors.As(err, &why) {
		why = &edgeconfig.Refusal{Text: err.Error()}
	}
	if why.Stream == "" {
		s.conditions.event(health.Info, health.UserFault(codeMessage, nil, "A message about a configuration cannot be read and is ignored: "+
			"%s.", shorten(why.Text)))
		return
	}
	answer := SyncStatus{StreamName: why.Stream, StreamARN: why.ARN, Status: SyncFailed, FailedStatusDetails: shorten(why.Text),
		LastUpdated: why.LastUpdated}
	if why.LastUpdated.IsZero() { // it cannot be placed among the versions, so it must not count as one
		s.conditions.event(health.Info, health.UserFault(codeMessage, nil, "A message about the configuration of stream %s is refused: %s.",
			why.Stream, shorten(why.Text)))
		s.o.Publish(answer)
		return
	}
	v := s.versions.refuse(why.Stream, why.LastUpdated)
	if v == repeated && s.statuses.repeat(why.Stream, why.LastUpdated) {
		return
	}
	if v == stale {
		s.statuses.repeat(why.Stream, time.Time{})
		return
	}
	s.conditions.refuse(why.Stream, s.o.Now(), health.UserFault(refusedCode(why.Stream), nil,
		"The new configuration of stream %s is refused, the previous one stays in force: %s.", why.Stream, shorten(why.Text)))
	s.publishStatus(answer)
}

// lose notes that a stream of this hub is configured, but that nobody can tell how.
func (s *Syncer) lose(err error) {
	var why *edgeconfig.Refusal
	if errors.As(err, &why) && why.Stream != "" && s.versions.lose(why.Stream, why.LastUpdated, s.o.Now()) {
		s.disk.unsaved = true
	}
}

// mergeDelete takes a deletion, or the reason why it cannot be read. It reports whether there is
// something to remove.
func (s *Syncer) mergeDelete(c edgeconfig.StreamConfig, err error) bool {
	var why *edgeconfig.Refusal
	if errors.As(err, &why) && why.Stream != "" {
		s.conditions.event(health.Info, health.UserFault(codeMessage, nil, "A message to delete the configuration of stream %s is refused: "+
			"%s.", why.Stream, shorten(why.Text)))
		s.o.Publish(SyncStatus{StreamName: why.Stream, StreamARN: why.ARN, Status: DeleteFailed, FailedStatusDetails: shorten(why.Text),
			LastUpdated: why.LastUpdated})
		return false
	}
	if err != nil {
		s.refuse(err)
		return false
	}
	switch s.versions.remove(c, s.o.Now()) {
	case accepted:
		s.disk.unsaved = true
		s.o.Health.OK(health.ScopeMessage)
		logevent.DeletionReceived.Log(s.o.Log, zap.String("stream", c.StreamName), zap.Time("updated", c.LastUpdated))
		return true
	case repeated:
		if !s.statuses.repeat(c.StreamName, time.Time{}) {
			s.publishStatus(SyncStatus{StreamName: c.StreamName, StreamARN: c.StreamARN, Status: Deleted, LastUpdated: c.LastUpdated})
		}
	case stale:
		s.statuses.repeat(c.StreamName, time.Time{})
	}
	return false
}

// mergeListing takes a complete listing. One with a record whose stream is not known is not complete:
// what it lacks says nothing.
func (s *Syncer) mergeListing(l listing) (r round) {
	listed := make(map[string]bool, len(l.configs))
	complete := true
	for _, c := range l.configs {
		listed[c.StreamName] = true
		complete = complete && kvslimit.IsStreamName(c.StreamName)
		switch c.SyncStatus {
		case deleting, DeletingAcknowledged, DeleteFailed:
			r.remove = s.mergeDelete(c.StreamConfig, listedName(c)) || r.remove
		default:
			s.versions.relist(c.StreamName)
			r.apply = s.mergeUpdate(c.StreamConfig, listedName(c), c.SyncStatus) || r.apply
		}
	}
	r.remove = r.remove || len(s.versions.removals()) > 0
	s.disk.unsaved = true
	s.o.Health.OK(health.ScopeMessage)
	if !complete {
		return r
	}
	r.known = true
	missing := s.versions.absences(listed, l.began, s.o.Now())
	r.unsure = missing.unsure
	for _, name := range missing.left {
		s.statuses.forget(name)
		delete(s.failed, name)
		s.o.Health.OK(applyScope(name))
		s.conditions.acceptable(name)
		logevent.ConfigurationGone.Log(s.o.Log, zap.String("stream", name))
	}
	r.apply = r.apply || len(missing.left) > 0
	s.conditions.endRefusals(l.began, func(stream string) bool { return !listed[stream] && s.versions.streams[stream] == nil })
	return r
}

// listedName refuses records whose name could not even be a directory.
func listedName(c ListedConfig) error {
	if !kvslimit.IsStreamName(c.StreamName) {
		return &edgeconfig.Refusal{Text: "a listed StreamName is not valid"}
	}
	return nil
}
