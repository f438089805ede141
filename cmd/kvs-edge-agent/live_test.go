package main

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
)

// hourly takes the schedule away that configure gives a stream.
func (s *stage) hourly(stream string) {
	s.t.Helper()
	out, err := s.kvs.DescribeEdgeConfiguration(s.t.Context(), &kinesisvideo.DescribeEdgeConfigurationInput{StreamName: &stream})
	if err != nil {
		s.t.Fatal(err)
	}
	out.EdgeConfig.UploaderConfig = nil
	s.eventually("changing the configuration", func() error { // refused while the one before is on its way
		_, err := s.kvs.StartEdgeConfigurationUpdate(s.t.Context(), &kinesisvideo.StartEdgeConfigurationUpdateInput{StreamName: &stream, EdgeConfig: out.EdgeConfig})
		return err
	})
}

func TestATagMakesAStreamLiveAndTheNewestGoesFirst(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	camera := startCamera(t, fakecam.Options{})
	backlog := s.backlog("door", 120) // recorded while there was no internet
	s.configure("door", camera.URL())
	s.startAgent()
	s.hourly("door")
	s.stopAgent()
	if _, err := s.kvs.TagStream(t.Context(), &kinesisvideo.TagStreamInput{StreamName: aws.String("door"), Tags: map[string]string{"kvs-edge:upload": "live"}}); err != nil {
		t.Fatal(err)
	}
	cloud := s.cloud.Media()
	before := len(cloud.Fragments("door"))
	began := time.Now()
	s.startAgent()
	// A fragment of what the camera shows now comes long before the backlog can be through.
	s.eventually("a live fragment", func() error {
		for _, f := range cloud.Fragments("door")[before:] {
			if f.Producer.After(began) {
				return nil
			}
		}
		return errNothingYet
	})
	last := backlog[len(backlog)-1]
	for _, f := range cloud.Fragments("door")[before:] {
		if f.Producer.UnixMilli() == last {
			t.Error("the backlog went first")
		}
	}
	seen := map[int64]int{}
	s.eventually("the backlog in between", func() error {
		clear(seen)
		for _, f := range cloud.Fragments("door") {
			seen[f.Producer.UnixMilli()]++
		}
		for _, at := range backlog {
			if seen[at] == 0 {
				return errNothingYet
			}
		}
		return nil
	})
	s.stopAgent()
	for at, n := range seen {
		if n > 1 {
			t.Errorf("the fragment at %d came %d times", at, n)
		}
	}
}
