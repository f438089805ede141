package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
)

// filesOf returns the contents of the files that a page has saved, by their names.
func filesOf(t *testing.T, page string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, page))
	if err != nil {
		t.Fatal(err)
	}
	blocks, err := blocksOf(page, string(text))
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string]string)
	for _, b := range blocks {
		if b.directive == "save" {
			files[b.args] = b.text
		}
	}
	return files
}

// TestTheSubStreamIsLiveAndTheMainStreamOnRequest is the set-up of docs/on-request.md, with its files: a camera with two streams, of
// which the small one goes to the cloud at once, and of the large one only what is requested.
func TestTheSubStreamIsLiveAndTheMainStreamOnRequest(t *testing.T) {
	s := newSite(t, ourContract)
	files := filepath.Join(s.dir, "streams.d")
	if err := os.Mkdir(files, 0o700); err != nil {
		t.Fatal(err)
	}
	cameras := map[string]*fakecam.Camera{
		"door.json": startCamera(t, fakecam.Options{}), "door-sub.json": startCamera(t, fakecam.Options{}),
	}
	texts := filesOf(t, "docs/on-request.md")
	for name, camera := range cameras {
		text := texts[name]
		begin := strings.Index(text, "rtsp://")
		if begin < 0 {
			t.Fatalf("the page has no %s with a camera", name)
		}
		text = text[:begin] + camera.URL() + text[begin+strings.Index(text[begin:], `"`):]
		if err := os.WriteFile(filepath.Join(files, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.cloud.CreateStream(strings.TrimSuffix(name, ".json"), demoRetention); err != nil {
			t.Fatal(err)
		}
	}
	s.startAgent("AWS_KVS_EDGE_STREAMS_DIRECTORY=" + files)
	cloud := s.cloud.Media()
	began := time.Now()
	if err := cloud.AwaitFragments(t.Context(), "door-sub", 4); err != nil {
		t.Fatal(err)
	}
	s.awaitUploader("door", "on-request", "on request")
	s.awaitUploader("door-sub", "live", "")
	if n := len(cloud.Fragments("door")); n > 0 {
		t.Errorf("the cloud has %d fragments of the main stream, which nobody requested", n)
	}
	main, err := s.stream("door")
	if err != nil || !slices.Equal(main.Wanted.MainOf, []string{"door-sub"}) || main.Uploader.BacklogBytes != 0 || len(main.Conditions) > 0 {
		t.Errorf("the main stream is %+v, %v", main, err)
	}
	if sub, err := s.stream("door-sub"); err != nil || sub.Wanted.SubOf != "door" {
		t.Errorf("the sub stream is %+v, %v", sub.Wanted, err)
	}
	if out, _, _ := s.command("streams", "show", "door"); !strings.Contains(out, "main of") || !strings.Contains(out, "on request") {
		t.Errorf("it is shown as\n%s", out)
	}
	// The minutes that somebody saw in the small stream, of the large one.
	until := began.Add(2 * time.Second)
	s.eventually("recordings of the main stream", func() error {
		if st, err := s.stream("door"); err != nil || st.Recorder.LastFrame.Before(until.Add(2*time.Second)) {
			return errors.Join(errNothingYet, err)
		}
		return nil
	})
	var requested []int64
	span := []string{"--from", began.UTC().Format(time.RFC3339Nano), "--to", until.UTC().Format(time.RFC3339Nano)}
	if output, err := s.upload(append([]string{"--stream", "door"}, span...)...); err != nil {
		t.Errorf("a request says %v: %s", err, output)
	}
	for _, f := range cloud.Fragments("door") {
		if at := f.Producer; at.Before(began.Add(-2*time.Second)) || !at.Before(until) {
			t.Errorf("the fragment at %s was not requested", at)
		}
		requested = append(requested, f.Producer.UnixMilli())
	}
	if len(requested) == 0 {
		t.Error("no fragment of the main stream came")
	}
	s.agent.kill()
	s.startAgent("AWS_KVS_EDGE_STREAMS_DIRECTORY=" + files)
	before := len(cloud.Fragments("door-sub"))
	if err := cloud.AwaitFragments(t.Context(), "door-sub", before+3); err != nil {
		t.Fatal(err)
	}
	s.expectInCloud("after a kill", "door", requested)

	// Without its sub stream the main one says so.
	if err := os.Remove(filepath.Join(files, "door-sub.json")); err != nil {
		t.Fatal(err)
	}
	s.awaitCondition("door", "names stream door-sub, which is not configured on this hub")
	s.stopAgent()
}
