package iotconfig

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// JobStatus is how the jobs of one stream fare. A nil job does not exist.
type JobStatus struct {
	StreamName string
	Recorder   *JobState
	Uploader   *JobState
}

// JobState is how one job fares.
type JobState struct {
	Status  health.Class
	Details string    // a sentence for people; empty when there is nothing to say
	Updated time.Time // when the status last changed
	// Collected is the end of the newest media that was stored on the disk (recorder) or in the cloud
	// (uploader); zero for never.
	Collected time.Time
}

// jobsStatus is the payload of jobs/status.
type jobsStatus struct {
	Time    edgeconfig.Epoch `json:"Time"`
	Streams []streamJobsDoc  `json:"Streams"`
}

type streamJobsDoc struct {
	StreamName string  `json:"StreamName"`
	Recorder   *jobDoc `json:"Recorder,omitempty"`
	Uploader   *jobDoc `json:"Uploader,omitempty"`
}

type jobDoc struct {
	Status            string           `json:"Status"`
	Details           string           `json:"Details,omitempty"`
	LastCollectedTime edgeconfig.Epoch `json:"LastCollectedTime,omitzero"`
	LastUpdatedTime   edgeconfig.Epoch `json:"LastUpdatedTime,omitzero"`
}

// maxDetails bounds the details of a job.
const maxDetails = 1000

func jobDocs(jobs []JobStatus, collected bool) []streamJobsDoc {
	docs := make([]streamJobsDoc, 0, len(jobs))
	for _, j := range jobs {
		docs = append(docs, streamJobsDoc{StreamName: j.StreamName, Recorder: jobDocOf(j.Recorder, collected), Uploader: jobDocOf(j.Uploader,
			collected)})
	}
	return docs
}

func jobDocOf(j *JobState, collected bool) *jobDoc {
	if j == nil {
		return nil
	}
	d := &jobDoc{Status: string(j.Status), Details: health.Clean(j.Details, maxDetails), LastUpdatedTime: inMilliseconds(j.Updated)}
	if collected && !j.Collected.IsZero() {
		d.LastCollectedTime = inMilliseconds(j.Collected)
	}
	return d
}
