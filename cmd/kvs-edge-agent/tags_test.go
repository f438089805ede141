package main

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
)

// awaitTagged waits for a fragment of a live upload that began at or after that time and has exactly
// these tags, and behind them the one that ends it.
func (s *site) awaitTagged(stream string, from time.Time, want ...string) {
	s.t.Helper()
	want = append(slices.Clip(want), "AWS_KINESISVIDEO_END_OF_FRAGMENT=")
	s.eventually(fmt.Sprintf("a fragment with the tags %q", want), func() error {
		for _, f := range s.cloud.Media().Fragments(stream) {
			var got []string
			for _, tag := range f.Tags {
				got = append(got, tag.Name+"="+tag.Value)
			}
			if !f.Producer.Before(from) && slices.Equal(got, want) {
				return nil
			}
		}
		return errNothingYet
	})
}

func TestFragmentsGoWithTheTagsThatTheStreamAsksFor(t *testing.T) {
	inWorlds(t, fragmentsGoWithTheTagsThatTheStreamAsksFor)
}

func fragmentsGoWithTheTagsThatTheStreamAsksFor(t *testing.T, w world) {
	s := newSite(t, w)
	camera := startCamera(t, fakecam.Options{})
	s.configure("door", camera.URL())
	ours := []string{"kvs-edge-stream=door", "kvs-edge-hub=" + testThing}
	s.startAgent("AWS_KVS_EDGE_UPLOAD_MODE=live")
	s.awaitTagged("door", time.Time{}, ours...)
	s.stopAgent()
	tags := map[string]string{"kvs-edge:camera": "front door", "kvs-edge:image-generation": "doors", "kvs-edge:notification": "true"}
	if _, err := s.kvs.TagStream(t.Context(), &kinesisvideo.TagStreamInput{StreamName: aws.String("door"), Tags: tags}); err != nil {
		t.Fatal(err)
	}
	requested := []string{"AWS_KINESISVIDEO_IMAGE_GENERATION=", "AWS_KINESISVIDEO_IMAGE_PREFIX=doors", "AWS_KINESISVIDEO_NOTIFICATION="}
	began := time.Now()
	s.startAgent("AWS_KVS_EDGE_UPLOAD_MODE=live")
	s.awaitTagged("door", began, append(append(ours, "kvs-edge-camera=front door"), requested...)...)
	s.stopAgent()
	began = time.Now()
	s.startAgent("AWS_KVS_EDGE_UPLOAD_MODE=live", "AWS_KVS_EDGE_FRAGMENT_TAGS=off")
	s.awaitTagged("door", began, requested...)
	s.stopAgent()
}
