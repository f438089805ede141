package iotconfig

import (
	"encoding/json"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/edgeconfig"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// JobStatus is how the jobs of one stream fare.
type JobStatus struct {
	StreamName string
	Jobs       []JobState
}

// JobState is how one job fares.
type JobState struct {
	Key     string // as health.StreamJob.Cloud: "Recorder" or "Uploader" today
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

// streamJobsDoc is a stream with its jobs, each of which has its key beside StreamName.
type streamJobsDoc struct {
	StreamName string            `json:"StreamName"`
	Jobs       map[string]jobDoc `json:"-"`
}

// MarshalJSON implements json.Marshaler.
func (d streamJobsDoc) MarshalJSON() ([]byte, error) {
	members := map[string]any{"StreamName": d.StreamName}
	for key, job := range d.Jobs {
		members[key] = job
	}
	return json.Marshal(members)
}

type jobDoc struct {
	Status            string           `json:"Status"`
	Details           string           `json:"Details,omitempty"`
	LastCollectedTime edgeconfig.Epoch `json:"LastCollectedTime,omitzero"`
	LastUpdatedTime   edgeconfig.Epoch `json:"LastUpdatedTime,omitzero"`
}

// maxDetails bounds the details of a job.
const maxDetails = 1000

func jobDocs(streams []JobStatus, collected bool) []streamJobsDoc {
	docs := make([]streamJobsDoc, 0, len(streams))
	for _, s := range streams {
		doc := streamJobsDoc{s.StreamName, make(map[string]jobDoc, len(s.Jobs))}
		for _, j := range s.Jobs {
			doc.Jobs[j.Key] = jobDocOf(j, collected)
		}
		docs = append(docs, doc)
	}
	return docs
}

func jobDocOf(j JobState, collected bool) jobDoc {
	d := jobDoc{Status: string(j.Status), Details: health.Clean(j.Details, maxDetails), LastUpdatedTime: inMilliseconds(j.Updated)}
	if collected && !j.Collected.IsZero() {
		d.LastCollectedTime = inMilliseconds(j.Collected)
	}
	return d
}
