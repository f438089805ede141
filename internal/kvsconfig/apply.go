package kvsconfig

import (
	"context"
	"fmt"

	"github.com/kvs-edge/kvs-edge-agent/internal/desired"
	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// apply has the desired set applied and publishes the outcome.
func (s *Syncer) apply(ctx context.Context) {
	wanted := s.versions.wanted()
	s.any.Store(len(wanted) > 0)
	outcomes := s.o.Applier.Apply(ctx, wanted)
	if ctx.Err() != nil {
		return // a stop says nothing about the configurations
	}
	for _, outcome := range outcomes {
		s.answer(outcome)
	}
	for name := range s.failed {
		if s.versions.streams[name] == nil { // it was not removed: it is no longer this hub's
			delete(s.failed, name)
			s.o.Health.OK(applyScope(name))
		}
	}
}

// answer publishes the outcome of a configuration when it changed.
func (s *Syncer) answer(outcome desired.Outcome) {
	name := outcome.Stream
	e := s.versions.streams[name]
	status := SyncStatus{StreamName: name, StreamARN: e.StreamARN, Status: InSync, LastUpdated: e.LastUpdated}
	if outcome.Err != nil {
		s.failed[name] = true
		f := health.FaultOf(outcome.Err, codeApply)
		s.conditions.raise(applyScope(name), health.Failed, f.Recode(applyCode(name),
			fmt.Sprintf("The configuration of stream %s cannot be applied: %s", name, f.Text)))
		status.Status, status.FailedStatusDetails = SyncFailed, shorten(f.Text)
	} else {
		delete(s.failed, name)
		s.o.Health.OK(applyScope(name))
	}
	if outcome.OverruledBy != "" {
		status.Status = SyncFailed
		status.FailedStatusDetails = fmt.Sprintf("%s configures stream %s of this hub too, and takes precedence.",
			outcome.OverruledBy.Words(), name)
	}
	old := s.statuses.last[name]
	if edgeconfig.Newer(old.LastUpdated, e.LastUpdated) {
		return // a newer version was refused; that answer stands
	}
	if old.Status != status.Status || old.FailedStatusDetails != status.FailedStatusDetails || !old.LastUpdated.Equal(e.LastUpdated) {
		s.publishStatus(status)
	}
}

// remove stops and deletes what is to go. What fails is tried again later.
func (s *Syncer) remove(ctx context.Context) {
	for _, name := range s.versions.removals() {
		e := s.versions.streams[name]
		status := SyncStatus{StreamName: name, StreamARN: e.StreamARN, Status: DeletingAcknowledged, LastUpdated: e.LastUpdated}
		if s.statuses.last[name].Status != DeleteFailed {
			s.publishStatus(status)
		}
		bounded, cancel := context.WithTimeout(ctx, s.o.Timing.RemoveTimeout)
		err := s.o.Applier.Remove(bounded, name)
		cancel()
		if err != nil && ctx.Err() != nil {
			return // at the next start
		}
		if err != nil {
			s.failed[name] = true
			f := health.FaultOf(err, codeApply)
			s.conditions.raise(applyScope(name), health.Degraded, f.Recode(applyCode(name), fmt.Sprintf("Stream %s cannot be deleted yet: %s",
				name, f.Text)))
			status.Status, status.FailedStatusDetails = DeleteFailed, shorten(f.Text)
			s.publishStatus(status)
			continue
		}
		s.versions.removed(name, s.o.Now())
		s.disk.unsaved = true
		delete(s.failed, name)
		s.o.Health.OK(applyScope(name))
		s.conditions.acceptable(name)
		status.Status = Deleted
		s.publishStatus(status)
		s.statuses.forget(name)
	}
}

// applied notifies that what is known is applied. all says that it is the hub's configuration.
func (s *Syncer) applied(ctx context.Context, all bool) {
	if ctx.Err() == nil {
		s.o.Applied(all, s.versions.unclear())
	}
}
