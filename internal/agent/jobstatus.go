package agent

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/iotconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

// jobStatuses lists what DescribeEdgeConfiguration shows of the jobs.
func (a *Agent) jobStatuses() []iotconfig.JobStatus {
	list := make([]iotconfig.JobStatus, 0)
	for _, name := range a.streams.names() {
		s := iotconfig.JobStatus{StreamName: name}
		for _, kind := range a.streams.workers.jobs {
			s.Jobs = append(s.Jobs, a.jobState(name, kind))
		}
		list = append(list, s)
	}
	return list
}

func (a *Agent) jobState(stream string, kind jobKind) iotconfig.JobState {
	component := a.health.Component(stream, kind.Name).Snapshot()
	component.Redate(time.Now())
	class, details := status.JobStatus(component)
	updated := component.StateSince
	if worst, ok := component.Worst(); ok && worst.Since.After(updated) {
		updated = worst.Since
	}
	return iotconfig.JobState{Key: kind.Cloud, Status: class, Details: details, Updated: updated, Collected: kind.collected(stream)}
}
