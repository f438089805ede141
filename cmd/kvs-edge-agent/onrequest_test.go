package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo/types"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
)

// tagUpload sets the tag of a stream with its upload mode.
func (s *site) tagUpload(stream, mode string) {
	s.t.Helper()
	tags := map[string]string{"kvs-edge:upload": mode}
	if _, err := s.kvs.TagStream(s.t.Context(), &kinesisvideo.TagStreamInput{StreamName: aws.String(stream), Tags: tags}); err != nil {
		s.t.Fatal(err)
	}
}

// awaitUploader waits for a state of a stream's upload, whose mode is mode.
func (s *site) awaitUploader(stream, mode, state string) {
	s.t.Helper()
	s.eventually("the upload "+mode, func() error {
		st, err := s.stream(stream)
		if err != nil {
			return err
		}
		if u := st.Uploader; st.Wanted.UploadMode != mode || state != "" && u.State != state {
			return fmt.Errorf("its mode is %s, and it is %s", st.Wanted.UploadMode, u.State)
		}
		return nil
	})
}

// expectInCloud compares what the cloud has of a stream, in the order of its times, with these producer times.
func (s *site) expectInCloud(when, stream string, want []int64) {
	s.t.Helper()
	var got []int64
	for _, f := range s.cloud.Media().Fragments(stream) {
		got = append(got, f.Producer.UnixMilli())
	}
	slices.Sort(got)
	if want = slices.Sorted(slices.Values(want)); !slices.Equal(got, want) {
		s.t.Errorf("%s the cloud has %d fragments of stream %s:\n%v\nwant %d:\n%v", when, len(got), stream, got, len(want), want)
	}
}

// files lists the states of a stream's segments, the oldest first.
func (s *site) files(stream string) (states []string) {
	s.t.Helper()
	names, err := filepath.Glob(filepath.Join(s.recordings(), stream, "*.mkv"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, name := range slices.Sorted(slices.Values(names)) {
		parts := strings.Split(filepath.Base(name), ".")
		states = append(states, parts[len(parts)-2])
	}
	return states
}

func TestOnRequestOnlyWhatIsRequestedIsUploaded(t *testing.T) {
	inWorlds(t, onRequestOnlyWhatIsRequestedIsUploaded)
}

// It is so with kills between, with and without DeleteAfterUpload, and the mode may change both ways.
func onRequestOnlyWhatIsRequestedIsUploaded(t *testing.T, w world) {
	for _, deletes := range []bool{false, true} {
		s := newSite(t, w)
		want := s.backlog("door", 60) // three segments
		s.configure("door", "rtsp://127.0.0.1:1/gone", func(c *types.EdgeConfig) {
			c.DeletionConfig = &types.DeletionConfig{DeleteAfterUpload: aws.Bool(deletes)}
		})
		s.tagUpload("door", "on-request")
		clock := func(i int) string { return time.UnixMilli(want[i]).UTC().Format(time.RFC3339Nano) }
		request := func(from, to int) {
			t.Helper()
			output, err := s.upload("--stream", "door", "--from", clock(from), "--to", clock(to))
			if all := fmt.Sprintf("done: all %d fragments are in the cloud\n", to-from); err != nil || !strings.Contains(output, all) {
				t.Errorf("a request says %v:\n%s", err, output)
			}
		}
		s.startAgent()
		s.awaitUploader("door", "on-request", "on request")
		request(25, 28)
		s.agent.kill()
		s.startAgent() // with what was known of the tag
		s.awaitUploader("door", "on-request", "on request")
		request(50, 52)
		s.expectInCloud("after a kill", "door", slices.Concat(want[25:28], want[50:52]))
		request(20, 40) // all of the second segment
		asked := slices.Concat(want[20:40], want[50:52])
		s.expectInCloud("after another request", "door", asked)
		files := []string{"sealed", "uploaded", "sealed"}
		if deletes {
			files = []string{"sealed", "sealed"}
		}
		s.eventually("the files", func() error {
			if got := s.files("door"); !slices.Equal(got, files) {
				return fmt.Errorf("they are %v, want %v", got, files)
			}
			return nil
		})
		st, err := s.stream("door")
		if u := st.Uploader; err != nil || u.BacklogBytes != 0 || u.BacklogSeconds != 0 || !u.BacklogSince.IsZero() ||
			st.Wanted.Upload != "on request" {
			t.Errorf("status says %+v, %+v, %v", u, st.Wanted, err)
		}
		if out, _, _ := s.command("status"); !strings.Contains(out, "on request") || !strings.Contains(out, "none") {
			t.Errorf("status prints\n%s", out)
		}
		s.tagUpload("door", "live")
		s.publishRefresh()
		s.awaitFragments("door", want)
		s.expectInCloud("live", "door", want)
		s.tagUpload("door", "on-request")
		s.publishRefresh()
		s.awaitUploader("door", "on-request", "on request")
		s.stopAgent()
		s.expectInCloud("at the end", "door", want)
	}
}

// TestTheModeChangesDuringAnUpload, both ways and repeatedly, while a camera is recorded: nothing is lost, and nothing twice.
func TestTheModeChangesDuringAnUpload(t *testing.T) {
	inWorlds(t, theModeChangesDuringAnUpload)
}

func theModeChangesDuringAnUpload(t *testing.T, w world) {
	s := newSite(t, w)
	want := s.backlog("yard", 120)
	s.configure("yard", "rtsp://127.0.0.1:1/gone")
	camera := startCamera(t, fakecam.Options{})
	s.configure("door", camera.URL())
	s.startService("AWS_KVS_EDGE_UPLOAD_MODE=on-request") // which the file says nothing about at first
	s.awaitUploader("yard", "on-request", "on request")
	cloud := s.cloud.Media()
	for _, mode := range []string{"live", "scheduled", "live"} {
		before := len(cloud.Fragments("yard"))
		s.writeEnv("AWS_KVS_EDGE_UPLOAD_MODE=" + mode)
		s.reload(0, "")
		s.eventually("an upload "+mode, func() error {
			if n := len(cloud.Fragments("yard")); n < min(before+3, len(want)) {
				return errNothingYet
			}
			return nil
		})
		s.writeEnv("AWS_KVS_EDGE_UPLOAD_MODE=on-request")
		s.reload(0, "")
		s.awaitUploader("yard", "on-request", "on request")
		s.awaitUploader("door", "on-request", "on request")
	}
	clock := func(i int) string { return time.UnixMilli(want[i]).UTC().Format(time.RFC3339Nano) }
	if output, err := s.upload("--stream", "yard", "--from", clock(0), "--to", clock(119)); err != nil {
		t.Errorf("a request says %v: %s", err, output)
	}
	if output, err := s.upload("--stream", "yard", "--from", clock(119), "--to", time.Now().UTC().Format(time.RFC3339)); err != nil {
		t.Errorf("a request says %v: %s", err, output)
	}
	s.awaitRecorded("door", 1)
	s.expectInCloud("at the end", "yard", want)
	s.stopAgent()
	seen := make(map[int64]bool)
	for _, f := range cloud.Fragments("door") {
		if at := f.Producer.UnixMilli(); seen[at] {
			t.Errorf("the fragment at %s came twice", f.Producer)
		} else {
			seen[at] = true
		}
	}
}
