package iotconfig

import (
	"bytes"
	"context"
	"encoding/json"
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

// maxStreamsPerMessage keeps jobs/status within AWS IoT's 128 KB even when every sentence is as
// long as it may be: 2 × 1,000 bytes of details, escaped, and some 400 around them.
const maxStreamsPerMessage = 25

// jobsPublisher sends the jobs' statuses of one connection.
type jobsPublisher struct {
	client *Client
	last   []byte // what was sent last, without its times of collection
}

func newJobsPublisher(c *Client) *jobsPublisher { return &jobsPublisher{client: c} }

// publish sends the statuses if they differ from the last ones, or in any case when always is set.
func (p *jobsPublisher) publish(ctx context.Context, b *broker, always bool) error {
	jobs := p.client.o.Jobs()
	fingerprint, err := json.Marshal(jobDocs(jobs, false)) // media is stored all the time
	if err != nil {
		return err
	}
	if !always && p.last != nil && bytes.Equal(fingerprint, p.last) {
		return nil
	}
	now := inMilliseconds(p.client.o.Now())
	docs := jobDocs(jobs, true)
	for first := true; first || len(docs) > 0; first = false {
		n := min(len(docs), maxStreamsPerMessage)
		payload, err := json.Marshal(jobsStatus{Time: now, Streams: docs[:n]})
		if err != nil {
			return err
		}
		if err := b.publish(ctx, p.client.topics.jobsStatus, false, payload); err != nil {
			return err
		}
		docs = docs[n:]
	}
	p.last = fingerprint
	return nil
}

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
