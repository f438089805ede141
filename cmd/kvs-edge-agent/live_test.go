package main

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/playcheck"
)

// hourly removes the schedule that configure sets for a stream.
func (s *site) hourly(stream string) {
	s.t.Helper()
	out, err := s.kvs.DescribeEdgeConfiguration(s.t.Context(), &kinesisvideo.DescribeEdgeConfigurationInput{StreamName: &stream})
	if err != nil {
		s.t.Fatal(err)
	}
	out.EdgeConfig.UploaderConfig = nil
	s.start(stream, out.EdgeConfig)
}

func TestATagMakesAStreamLiveAndTheNewestGoesFirst(t *testing.T) {
	inWorlds(t, aTagMakesAStreamLiveAndTheNewestGoesFirst)
}

func aTagMakesAStreamLiveAndTheNewestGoesFirst(t *testing.T, w world) {
	s := newSite(t, w)
	s.excused[playcheck.Constant] = "the backlog is of another camera"
	camera := startCamera(t, fakecam.Options{})
	backlog := s.backlog("door", 90) // recorded while there was no internet
	s.configure("door", camera.URL())
	s.startAgent()
	s.hourly("door")
	s.stopAgent()
	if _, err := s.kvs.TagStream(t.Context(),
		&kinesisvideo.TagStreamInput{StreamName: aws.String("door"), Tags: map[string]string{"kvs-edge:upload": "live"}}); err != nil {
		t.Fatal(err)
	}
	cloud := s.cloud.Media()
	before := len(cloud.Fragments("door"))
	began := time.Now()
	s.startAgent()
	// A fragment of what the camera shows now comes before the backlog is through.
	s.eventually("a live fragment", func() error {
		for _, f := range cloud.Fragments("door")[before:] {
			if f.Producer.After(began) {
				return nil
			}
		}
		return errNothingYet
	})
	// Some of it may have gone before the camera's first fragment was complete.
	if early := len(cloud.Fragments("door")) - before; early >= len(backlog) {
		t.Errorf("the backlog went first: %d of its %d fragments", early, len(backlog))
	}
	s.awaitFragments("door", backlog) // in between
	s.stopAgent()
	seen := map[int64]int{}
	for _, f := range cloud.Fragments("door") {
		seen[f.Producer.UnixMilli()]++
	}
	for at, n := range seen {
		if n > 1 {
			t.Errorf("the fragment at %d came %d times", at, n)
		}
	}
}
