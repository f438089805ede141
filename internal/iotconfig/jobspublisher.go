package iotconfig

import (
	"bytes"
	"context"
	"encoding/json"
)

// maxStreamsPerMessage keeps jobs/status within AWS IoT's 128 KB even when every sentence is as
// long as it may be: 2 × 1,000 bytes of details, escaped, and some 400 around them.
const maxStreamsPerMessage = 25

// jobsPublisher sends the jobs' statuses of one connection.
type jobsPublisher struct {
	o    Options
	send func(ctx context.Context, payload []byte) error
	last []byte // what was sent last, without its times of collection
}

// publishChanges sends the statuses if they differ from the last ones.
func (p *jobsPublisher) publishChanges(ctx context.Context) error {
	fingerprint, err := json.Marshal(jobDocs(p.o.Jobs(), false)) // media is stored all the time
	if err != nil || p.last != nil && bytes.Equal(fingerprint, p.last) {
		return err
	}
	return p.publish(ctx)
}

// publish sends the statuses.
func (p *jobsPublisher) publish(ctx context.Context) error {
	jobs := p.o.Jobs()
	fingerprint, err := json.Marshal(jobDocs(jobs, false))
	if err != nil {
		return err
	}
	now := inMilliseconds(p.o.Now())
	docs := jobDocs(jobs, true)
	for first := true; first || len(docs) > 0; first = false {
		n := min(len(docs), maxStreamsPerMessage)
		payload, err := json.Marshal(jobsStatus{Time: now, Streams: docs[:n]})
		if err != nil {
			return err
		}
		if err := p.send(ctx, payload); err != nil {
			return err
		}
		docs = docs[n:]
	}
	p.last = fingerprint
	return nil
}
