package iotconfig

import (
	"bytes"
	"context"
	"encoding/json"
	"time"
)

// maxStreamsPerMessage keeps jobs/status within AWS IoT's 128 KB even when every sentence is as
// long as it may be: 2 × 1,000 bytes of details, escaped, and some 400 around them.
const maxStreamsPerMessage = 25

// jobsPublisher sends the jobs' statuses of one session.
type jobsPublisher struct {
	source *Source
	last   []byte // what was sent last, without its times of collection
}

func newJobsPublisher(s *Source) *jobsPublisher { return &jobsPublisher{source: s} }

// publish sends the statuses if they differ from the last ones, or in any case when always is set.
func (p *jobsPublisher) publish(ctx context.Context, b *broker, always bool) error {
	jobs := p.source.o.Jobs()
	fingerprint, err := json.Marshal(jobDocs(jobs, false)) // media is stored all the time
	if err != nil {
		return err
	}
	if !always && p.last != nil && bytes.Equal(fingerprint, p.last) {
		return nil
	}
	now := p.source.o.Now().UTC().Truncate(time.Millisecond)
	docs := jobDocs(jobs, true)
	for first := true; first || len(docs) > 0; first = false {
		n := min(len(docs), maxStreamsPerMessage)
		payload, err := json.Marshal(jobsStatus{Time: epoch{now}, Streams: docs[:n]})
		if err != nil {
			return err
		}
		if err := b.publish(ctx, p.source.topics.jobsStatus, false, payload); err != nil {
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
		docs = append(docs, streamJobsDoc{StreamName: j.StreamName, Recorder: jobDocOf(j.Recorder, collected), Uploader: jobDocOf(j.Uploader, collected)})
	}
	return docs
}

func jobDocOf(j *JobState, collected bool) *jobDoc {
	if j == nil {
		return nil
	}
	d := &jobDoc{Status: string(j.Status), Details: shorten(j.Details), LastUpdatedTime: epoch{j.Updated.UTC().Truncate(time.Millisecond)}}
	if collected && !j.Collected.IsZero() {
		d.LastCollectedTime = epoch{j.Collected.UTC().Truncate(time.Millisecond)}
	}
	return d
}
