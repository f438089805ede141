package kvsconfig

import (
	"context"
	"fmt"

	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// apply has the desired set applied and publishes the outcome.
func (s *Syncer) apply(ctx context.Context) {
	configs := s.desired.configs()
	s.o.Secrets(s.desired.secrets())
	failed := make(map[string]error)
	for _, outcome := range s.o.Applier.Apply(ctx, configs) {
		if outcome.Err != nil {
			failed[outcome.StreamName] = outcome.Err
		}
	}
	if ctx.Err() != nil {
		return // a stop says nothing about the configurations
	}
	for _, c := range configs {
		status := SyncStatus{StreamName: c.StreamName, StreamARN: c.StreamARN, Status: InSync, LastUpdated: c.LastUpdated}
		if err := failed[c.StreamName]; err != nil {
			s.failed[c.StreamName] = true
			f := health.FaultOf(err, codeApply)
			s.conditions.raise(applyScope(c.StreamName), health.Failed, f.Recode(applyCode(c.StreamName),
				fmt.Sprintf("The configuration of stream %s cannot be applied: %s", c.StreamName, f.Text)))
			status.Status, status.FailedStatusDetails = SyncFailed, shorten(f.Text)
		} else {
			delete(s.failed, c.StreamName)
			s.o.Health.OK(applyScope(c.StreamName))
		}
		if old := s.statuses.last[c.StreamName]; edgeconfig.Newer(old.LastUpdated, c.LastUpdated) {
			continue // a newer version was refused; that answer stands
		} else if old.Status != status.Status || old.FailedStatusDetails != status.FailedStatusDetails || !old.LastUpdated.Equal(c.LastUpdated) {
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
func (s *Syncer) remove(ctx context.Context) {
	for _, name := range s.desired.removals() {
		e := s.desired.streams[name]
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
		s.desired.removed(name, s.o.Now())
		s.disk.unsaved = true
		delete(s.failed, name)
		s.o.Health.OK(applyScope(name))
		s.conditions.acceptable(name)
		status.Status = Deleted
		s.publishStatus(status)
		delete(s.statuses.last, name)
	}
	s.o.Secrets(s.desired.secrets())
}

// applied notifies that a configuration that is the hub's is applied.
func (s *Syncer) applied(ctx context.Context, known bool) {
	if known && ctx.Err() == nil {
		s.o.Applied()
	}
}
