package agent

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/iotconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

// jobStatuses is what DescribeEdgeConfiguration shows of the jobs.
func (a *Agent) jobStatuses() []iotconfig.JobStatus {
	list := make([]iotconfig.JobStatus, 0)
	for _, name := range a.streams.names() {
		list = append(list, iotconfig.JobStatus{
			StreamName: name,
			Recorder:   a.jobState(name, health.JobRecorder, a.store.LastRecorded),
			Uploader:   a.jobState(name, health.JobUploader, a.lastCollected),
		})
	}
	return list
}

// lastCollected is the end of the stream's newest media that is in the cloud. After a restart, until the
// next fragment, only whole segments are known to be.
func (a *Agent) lastCollected(stream string) time.Time {
	persisted := a.health.Part(stream, health.JobUploader).Number(health.LastPersistedMedia).Load()
	if persisted > 0 {
		return earlier(time.UnixMilli(persisted), a.store.LastRecorded(stream))
	}
	return a.store.LastUploadedEnd(stream)
}

// earlier is the earlier of two times.
func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func (a *Agent) jobState(stream, job string, collected func(stream string) time.Time) *iotconfig.JobState {
	part := a.health.Part(stream, job).Snapshot()
	part.Redate(time.Now())
	class, details := status.JobStatus(part)
	updated := part.StateSince
	if worst, ok := part.Worst(); ok && worst.Since.After(updated) {
		updated = worst.Since
	}
	return &iotconfig.JobState{Status: class, Details: details, Updated: updated, Collected: collected(stream)}
}
