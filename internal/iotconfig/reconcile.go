package iotconfig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// saveEvery is how soon a failed save is tried again, and a file that somebody removed written again.
const saveEvery = 5 * time.Second

// round is what one pass over new information leads to.
type round struct {
	apply  bool     // the desired set changed
	remove bool     // a removal is asked for
	unsure bool     // a stream is missing from a listing, which another one is to confirm
	known  bool     // the cloud has listed all that this hub is to do; a message tells of one stream only
	pushed bool     // a message changed the desired set, which a listing soon after is to confirm
	acks   []func() // of the messages that were merged
}

// acknowledge confirms the messages to the broker.
func (r round) acknowledge() {
	for _, ack := range r.acks {
		ack()
	}
}

// start makes the last good set run before anything else is tried.
func (s *Source) start(ctx context.Context) {
	s.o.Health.SetState("offline")
	s.apply(ctx)
	s.applied(ctx, s.known)
	s.remove(ctx)
	s.save()
}

// reconcile is the one goroutine that changes the desired set, until ctx ends.
func (s *Source) reconcile(ctx context.Context) {
	retry := backoff.New(s.timing.retry)
	again := time.NewTimer(0) // of what failed
	if len(s.failed) == 0 {
		again.Stop()
	}
	confirm, afterPush := time.NewTimer(0), time.NewTimer(0)
	confirm.Stop()
	afterPush.Stop()
	saving := time.NewTicker(saveEvery) // of what the disk did not take
	defer saving.Stop()
	defer again.Stop()
	defer confirm.Stop()
	defer afterPush.Stop()
	for {
		var r round
		select {
		case <-ctx.Done():
			return
		case <-s.inbox.ready:
			r = s.mergeMessages(ctx, s.inbox.take())
		case hub := <-s.found:
			r = s.mergeHub(hub)
		case l := <-s.listings:
			r = s.mergeListing(l)
		case <-again.C:
			r = round{apply: true, remove: true}
		case <-confirm.C:
			s.requestListing()
		case <-saving.C:
			s.keepUploads()
		case <-afterPush.C:
			s.requestListing()
		}
		// On disk before it is acknowledged, acknowledged before it is tried: a configuration that
		// takes the agent down must not come back with every connection.
		s.save()
		r.acknowledge()
		if r.apply {
			s.apply(ctx)
		}
		s.heard = s.heard || r.pushed
		s.applied(ctx, r.known || s.heard && s.unlistable.Load())
		if r.remove {
			s.remove(ctx)
			s.save()
		}
		switch {
		case !r.apply && !r.remove:
		case len(s.failed) > 0:
			again.Reset(retry.Next())
		default:
			again.Stop()
			retry.Reset()
		}
		if r.unsure {
			confirm.Reset(s.timing.confirm)
		}
		if r.pushed {
			afterPush.Reset(s.timing.afterPush)
		}
	}
}

func (s *Source) mergeMessages(ctx context.Context, messages []message) (r round) {
	for _, m := range messages {
		switch m.topic {
		case s.topics.update:
			c, err := parseUpdate(m.payload)
			r.pushed = s.mergeUpdate(c, err, "") || r.pushed
			r.apply = r.apply || r.pushed
		case s.topics.delete:
			c, err := parseDelete(m.payload)
			r.remove = s.mergeDelete(c, err) || r.remove
		case s.topics.refresh:
			s.requestListing()
			s.o.Refreshed()
		case s.topics.uploadRequest:
			s.upload(ctx, m.payload)
		}
		r.acks = append(r.acks, m.ack)
	}
	return r
}

// mergeUpdate takes a configuration, or the reason why it cannot be read. listedAs is its status
// in the control plane when it comes from there. It reports whether there is something to apply.
func (s *Source) mergeUpdate(c StreamConfig, err error, listedAs string) bool {
	if err == nil {
		err = s.check(c)
	}
	if err != nil {
		s.refuse(err)
		return false
	}
	switch s.desired.update(c, s.o.Now()) {
	case accepted:
		s.unsaved = true
		s.learnHub(c.Config.HubDeviceArn)
		s.o.Health.OK(scopeMessage)
		s.acceptable(c.StreamName)
		s.o.Log.Info("configuration received", zap.String("stream", c.StreamName), zap.Time("updated", c.LastUpdated))
		s.publishStatus(syncStatus{StreamName: c.StreamName, StreamARN: c.StreamARN, SyncStatus: Acknowledged, LastUpdatedTime: epoch{c.LastUpdated}})
		delete(s.failed, c.StreamName)
		return true
	case repeated:
		// A listing says what the control plane believes: silence when it is right.
		if listedAs == "" || listedAs == syncing || listedAs == Acknowledged {
			s.repeatStatus(c.StreamName, c.LastUpdated)
		}
	case stale:
		s.o.Log.Debug("stale configuration", zap.String("stream", c.StreamName), zap.Time("updated", c.LastUpdated))
		if listedAs == "" {
			s.repeatStatus(c.StreamName, time.Time{})
		}
	}
	return false
}

// check refuses what is not for this hub or cannot be followed. The error is a *refusal.
func (s *Source) check(c StreamConfig) error {
	text := ""
	if err := s.o.Check(c.Config); err != nil {
		text = err.Error()
	} else if !s.belongs(c.Config.HubDeviceArn) {
		hub := s.hubARN()
		if hub == "" {
			hub = "thing " + s.o.ThingName
		}
		text = fmt.Sprintf("HubDeviceArn is %s, but this hub is %s", c.Config.HubDeviceArn, hub)
	}
	if text == "" {
		return nil
	}
	return &refusal{Stream: c.StreamName, ARN: c.StreamARN, LastUpdated: c.LastUpdated, Text: text}
}

// belongs reports whether a HubDeviceArn is this hub's; while that is unknown the thing decides.
func (s *Source) belongs(arn string) bool {
	if hub := s.hubARN(); hub != "" {
		return arn == hub
	}
	h, err := edgeconfig.ParseHub(arn)
	return err == nil && h.Thing == s.o.ThingName
}

func (s *Source) learnHub(arn string) {
	if s.hubARN() == "" {
		s.setHubARN(arn)
		s.o.Log.Info("the hub's ARN is learnt from a configuration", zap.String("hub", arn))
		s.requestListing()
	}
}

// mergeHub takes the hub's ARN that was found. Configurations for another hub, from before, stop;
// their media stays.
func (s *Source) mergeHub(hub string) (r round) {
	if hub == s.hubARN() {
		return r
	}
	s.setHubARN(hub)
	s.o.Health.OK(scopeHub)
	for _, name := range sortedNames(s.desired.streams) {
		if e := s.desired.streams[name]; e.Config.HubDeviceArn != "" && e.Config.HubDeviceArn != hub {
			s.o.Health.Note(scopeHub, health.Degraded, health.UserFault(codeHub, nil,
				"This hub is %s, but stream %s was configured for %s: it stops, its media stays.", hub, name, e.Config.HubDeviceArn), eventShown)
			delete(s.desired.streams, name)
			s.unsaved, r.apply = true, true
		}
	}
	return r
}

// refuse answers what cannot be followed, as far as it can be told whom it is about.
func (s *Source) refuse(err error) {
	var why *refusal
	if !errors.As(err, &why) {
		why = &refusal{Text: err.Error()}
	}
	if why.Stream == "" {
		s.event(health.Info, health.UserFault(codeMessage, nil, "A message about a configuration cannot be read and is ignored: %s.", shorten(why.Text)))
		return
	}
	answer := syncStatus{StreamName: why.Stream, StreamARN: why.ARN, SyncStatus: SyncFailed, FailedStatusDetails: shorten(why.Text), LastUpdatedTime: epoch{why.LastUpdated}}
	if why.LastUpdated.IsZero() { // it cannot be placed among the versions, so it must not count as one
		s.event(health.Info, health.UserFault(codeMessage, nil, "A message about the configuration of stream %s is refused: %s.", why.Stream, shorten(why.Text)))
		s.publish(answer)
		return
	}
	v := s.desired.refuse(why.Stream, why.LastUpdated)
	if v == repeated && s.repeatStatus(why.Stream, why.LastUpdated) {
		return
	}
	if v == stale {
		s.repeatStatus(why.Stream, time.Time{})
		return
	}
	s.refused[why.Stream] = s.o.Now()
	s.raise(refusedScope(why.Stream), health.Degraded, health.UserFault(refusedCode(why.Stream), nil,
		"The new configuration of stream %s is refused, the one before stays in force: %s.", why.Stream, shorten(why.Text)))
	s.publishStatus(answer)
}

// mergeDelete takes a deletion, or the reason why it cannot be read. It reports whether there is
// something to remove.
func (s *Source) mergeDelete(c StreamConfig, err error) bool {
	var why *refusal
	if errors.As(err, &why) && why.Stream != "" {
		s.event(health.Info, health.UserFault(codeMessage, nil, "A message to delete the configuration of stream %s is refused: %s.", why.Stream, shorten(why.Text)))
		s.publish(syncStatus{StreamName: why.Stream, StreamARN: why.ARN, SyncStatus: DeleteFailed, FailedStatusDetails: shorten(why.Text), LastUpdatedTime: epoch{why.LastUpdated}})
		return false
	}
	if err != nil {
		s.refuse(err)
		return false
	}
	switch s.desired.remove(c, s.o.Now()) {
	case accepted:
		s.unsaved = true
		s.o.Health.OK(scopeMessage)
		s.o.Log.Info("deletion received", zap.String("stream", c.StreamName), zap.Time("updated", c.LastUpdated))
		return true
	case repeated:
		if !s.repeatStatus(c.StreamName, time.Time{}) {
			s.publishStatus(syncStatus{StreamName: c.StreamName, StreamARN: c.StreamARN, SyncStatus: Deleted, LastUpdatedTime: epoch{c.LastUpdated}})
		}
	case stale:
		s.repeatStatus(c.StreamName, time.Time{})
	}
	return false
}

// apply has the desired set applied and tells the cloud what came of it.
func (s *Source) apply(ctx context.Context) {
	configs := s.desired.configs()
	s.cameras.want(s.desired.secrets())
	failed := make(map[string]error)
	for _, outcome := range s.o.Applier.Apply(ctx, configs) {
		if outcome.Err != nil {
			failed[outcome.StreamName] = outcome.Err
		}
	}
	if ctx.Err() != nil {
		return // a stop is no verdict on the configurations
	}
	for _, c := range configs {
		status := syncStatus{StreamName: c.StreamName, StreamARN: c.StreamARN, SyncStatus: InSync, LastUpdatedTime: epoch{c.LastUpdated}}
		if err := failed[c.StreamName]; err != nil {
			s.failed[c.StreamName] = true
			f := health.FaultOf(err, codeApply)
			s.raise(applyScope(c.StreamName), health.Failed, f.Recode(applyCode(c.StreamName),
				fmt.Sprintf("The configuration of stream %s cannot be applied: %s", c.StreamName, f.Text)))
			status.SyncStatus, status.FailedStatusDetails = SyncFailed, shorten(f.Text)
		} else {
			delete(s.failed, c.StreamName)
			s.o.Health.OK(applyScope(c.StreamName))
		}
		if old := s.statuses[c.StreamName]; newer(old.LastUpdatedTime.Time, c.LastUpdated) {
			continue // a newer version was refused; that answer stands
		} else if old.SyncStatus != status.SyncStatus || old.FailedStatusDetails != status.FailedStatusDetails || !old.LastUpdatedTime.Equal(c.LastUpdated) {
			s.publishStatus(status)
		}
	}
	for name := range s.failed {
		if s.desired.streams[name] == nil { // it was not removed: it is no longer this hub's
			delete(s.failed, name)
			s.o.Health.OK(applyScope(name))
		}
	}
}

// remove stops and deletes what is to go. What fails is tried again later.
func (s *Source) remove(ctx context.Context) {
	for _, name := range s.desired.removals() {
		e := s.desired.streams[name]
		status := syncStatus{StreamName: name, StreamARN: e.StreamARN, SyncStatus: DeletingAcknowledged, LastUpdatedTime: epoch{e.LastUpdated}}
		if s.statuses[name].SyncStatus != DeleteFailed {
			s.publishStatus(status)
		}
		bounded, cancel := context.WithTimeout(ctx, s.timing.removeTimeout)
		err := s.o.Applier.Remove(bounded, name)
		cancel()
		if err != nil && ctx.Err() != nil {
			return // at the next start
		}
		if err != nil {
			s.failed[name] = true
			f := health.FaultOf(err, codeApply)
			s.raise(applyScope(name), health.Degraded, f.Recode(applyCode(name), fmt.Sprintf("Stream %s cannot be deleted yet: %s", name, f.Text)))
			status.SyncStatus, status.FailedStatusDetails = DeleteFailed, shorten(f.Text)
			s.publishStatus(status)
			continue
		}
		s.desired.removed(name, s.o.Now())
		s.unsaved = true
		delete(s.failed, name)
		s.o.Health.OK(applyScope(name))
		s.acceptable(name)
		status.SyncStatus = Deleted
		s.publishStatus(status)
		delete(s.statuses, name)
	}
	s.cameras.want(s.desired.secrets())
}

// publishStatus notes and sends a status.
func (s *Source) publishStatus(status syncStatus) {
	s.statuses[status.StreamName] = status
	s.forgetStrangers(status.StreamName)
	s.publish(status)
}

func (s *Source) publish(status syncStatus) {
	status.Time = epoch{s.o.Now().UTC().Truncate(time.Millisecond)}
	payload, err := json.Marshal(status)
	if err != nil {
		s.o.Log.Error("cannot encode a status", zap.String("stream", status.StreamName), zap.Error(err))
		return
	}
	s.outbox.put(publication{topic: s.topics.configStatus, payload: payload, about: status.StreamName})
}

// repeatStatus sends a stream's last status again. With a time, that rendering of LastUpdatedTime
// is the one to answer with from now on.
func (s *Source) repeatStatus(stream string, at time.Time) bool {
	status, ok := s.statuses[stream]
	if !ok {
		return false
	}
	if !at.IsZero() {
		status.LastUpdatedTime = epoch{at}
	}
	s.publishStatus(status)
	return true
}

// save keeps the desired set on disk when it changed, or when the file is gone. A failure is reported and tried again every
// saveEvery: the configurations are in force all the same.
func (s *Source) save() {
	if !s.unsaved && !(s.kept && s.dir.missing(lastGoodFile)) {
		return
	}
	doc, err := s.desired.document(s.o.Now())
	if err == nil {
		err = s.dir.write(lastGoodFile, doc)
	}
	if err != nil {
		s.raise(scopeState, health.Degraded, health.SystemFault(codeState, err,
			"The configuration cannot be kept on disk, so that the hub would not record after an offline boot: %s.", s.dir.advice(lastGoodFile, err)))
		return
	}
	s.unsaved, s.kept = false, true
	s.o.Health.OK(scopeState)
}
