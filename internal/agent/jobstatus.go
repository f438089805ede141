package agent

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/iotconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

// jobStatuses finds out what DescribeEdgeConfiguration shows of the jobs.
type jobStatuses struct {
	health  *health.Registry
	store   *segment.Store
	streams func() []string // those with jobs
}

func (j jobStatuses) list() []iotconfig.JobStatus {
	list := make([]iotconfig.JobStatus, 0)
	for _, name := range j.streams() {
		list = append(list, iotconfig.JobStatus{
			StreamName: name,
			Recorder:   j.state(name, health.JobRecorder, j.store.LastRecorded(name)),
			Uploader:   j.state(name, health.JobUploader, j.lastCollected(name)),
		})
	}
	return list
}

// lastCollected is the end of the stream's newest media that is in the cloud. After a restart, until the
// next fragment, only whole segments are known to be.
func (j jobStatuses) lastCollected(stream string) time.Time {
	persisted := j.health.Component(stream, health.JobUploader).Value(health.LastPersistedMedia)
	if persisted > 0 {
		return earlier(time.UnixMilli(persisted), j.store.LastRecorded(stream))
	}
	return j.store.LastUploadedEnd(stream)
}

// earlier is the earlier of two times.
func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func (j jobStatuses) state(stream, job string, collected time.Time) *iotconfig.JobState {
	component := j.health.Component(stream, job).Snapshot()
	component.Redate(time.Now())
	class, details := status.JobStatus(component)
	updated := component.StateSince
	if worst, ok := component.Worst(); ok && worst.Since.After(updated) {
		updated = worst.Since
	}
	return &iotconfig.JobState{Status: class, Details: details, Updated: updated, Collected: collected}
}
