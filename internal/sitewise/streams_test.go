package sitewise_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awserr"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	ours "github.com/kvs-edge/kvs-edge-agent/internal/sitewise"
)

// testStreamsAreCreated also has the first tries refused, with a sentence.
func testStreamsAreCreated(t *testing.T) {
	r := newRig(t, seed)
	_, err := r.cloud.CreateStream("back-door", 24)
	must(t, err)
	r.start()
	r.awaitStreams("back-door", "front-door")
	client := r.kvs()
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	created := make(chan string, 10)
	go func() {
		defer close(done)
		ours.EnsureStreams(ctx, ours.StreamOptions{
			Source: r.source, Health: r.health, Log: zap.NewNop(),
			Ensure: func(ctx context.Context, stream string) (bool, error) {
				made, err := client.Ensure(ctx, kvs.NewStream{Name: stream, RetentionHours: 168, Tags: map[string]string{ours.TagHub: "hub-1"}})
				if made && err == nil {
					created <- stream
				}
				return made, err
			},
			Meaning: func(err error) (awserr.Error, string) {
				var answer *kvs.RequestError
				if errors.As(err, &answer) {
					return answer.Meaning, "kinesisvideo:" + answer.Operation
				}
				return awserr.Of(err), ""
			},
		})
	}()
	defer func() { cancel(); <-done }()
	if got := <-created; got != "front-door" {
		t.Errorf("%s is created", got)
	}
	hours, err := client.Retention(ctx, "front-door")
	tags, tagErr := client.Tags(ctx, "front-door")
	if err != nil || tagErr != nil || hours != 168 || tags[ours.TagHub] != "hub-1" {
		t.Errorf("front-door keeps media for %d h, its tags are %v: %v, %v", hours, tags, err, tagErr)
	}
	if hours, _ := client.Retention(ctx, "back-door"); hours != 24 {
		t.Errorf("back-door, which existed, keeps media for %d h", hours)
	}
	r.cloud.Faults().RefuseOperation("CreateStream", 403, "AccessDeniedException")
	r.set(r.asset("back"), "KinesisVideoStreamName", "third")
	r.eventually("the sentence", func() error {
		for _, c := range r.health.Component("third", health.JobConfig).Snapshot().Conditions {
			if c.Code == "sitewise-stream" && c.Class == health.UserError {
				return nil
			}
		}
		return fmt.Errorf("there is none")
	})
}
