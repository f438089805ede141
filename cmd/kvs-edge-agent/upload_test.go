package main

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
)

// upload runs the command beside the agent.
func (s *site) upload(args ...string) (output string, err error) {
	s.t.Helper()
	path, err := program()
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.CommandContext(s.t.Context(), path, append([]string{"upload", "--socket", s.agent.socket}, args...)...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestUploadOnDemandComesFirstAndNothingTwice(t *testing.T) {
	inWorlds(t, uploadOnDemandComesFirstAndNothingTwice)
}

func uploadOnDemandComesFirstAndNothingTwice(t *testing.T, w world) {
	s := newSite(t, w)
	want := s.backlog("door", 40)
	s.configure("door", "rtsp://127.0.0.1:1/gone")
	s.startAgent()
	cloud := s.cloud.Media()
	if err := cloud.AwaitFragments(t.Context(), "door", 1); err != nil {
		t.Fatal(err)
	}
	clock := func(i int) string { return time.UnixMilli(want[i]).UTC().Format(time.RFC3339Nano) }
	output, err := s.upload("--stream", "door", "--from", clock(35), "--to", clock(38))
	if err != nil || !strings.Contains(output, "done: all 3 fragments are in the cloud\n") {
		t.Errorf("it says %v:\n%s", err, output)
	}
	ahead := 0
	for _, f := range cloud.Fragments("door") {
		if f.Producer.UnixMilli() == want[35] {
			break
		}
		ahead++
	}
	if ahead > 25 {
		t.Errorf("%d fragments of the backlog went first", ahead)
	}
	if err := cloud.AwaitFragments(t.Context(), "door", len(want)); err != nil {
		t.Fatal(err)
	}
	if output, err = s.upload("--stream", "door", "--from", clock(0), "--to", clock(39)); err != nil ||
		!strings.Contains(output, "done: all 39 fragments") {
		t.Errorf("for media in the cloud it says %v:\n%s", err, output)
	}
	s.stopAgent()
	if n := len(cloud.Fragments("door")); n != len(want) {
		t.Errorf("the cloud has %d fragments, want each of %d once", n, len(want))
	}
	for _, c := range []struct{ args, says string }{
		{"--stream yard --from 2026-01-01 --to 2026-01-02", "no agent is running"},
		{"--stream door --from 2026-01-02 --to 2026-01-01", "is not before --to"},
		{"--from 2026-01-01 --to 2026-01-02", "is needed"},
	} {
		if output, err := s.upload(strings.Fields(c.args)...); err == nil || !strings.Contains(output, c.says) {
			t.Errorf("upload %s says %v: %s", c.args, err, output)
		}
	}
}

func TestWhatWasRefusedIsUploadedOnDemand(t *testing.T) {
	inWorlds(t, whatWasRefusedIsUploadedOnDemand)
}

func whatWasRefusedIsUploadedOnDemand(t *testing.T, w world) {
	s := newSite(t, w)
	want := s.backlog("door", 8)
	s.configure("door", "rtsp://127.0.0.1:1/gone")
	cloud := s.cloud.Media()
	cloud.Faults().Inject("door", media.ErrorAt(media.AtFragmentStart, 4007).Of(want[2], want[5]))
	s.startAgent()
	s.eventually("all but the refused fragments", func() error {
		st, err := s.stream("door")
		if err == nil && (st.Uploader.FragmentsRefused != 2 || st.Uploader.RefusedBytes == 0 || st.Uploader.BacklogBytes != 0) {
			err = fmt.Errorf("the uploader is %+v", st.Uploader)
		}
		return err
	})
	if output, _, _ := s.command("status"); !strings.Contains(output, "2 fragments refused") {
		t.Errorf("status says:\n%s", output)
	}
	if output, err := command(newSegmentsCommand(), "--dir", s.recordings()); err != nil ||
		!strings.Contains(output, "not uploaded, refused") ||
		!strings.Contains(output, "0 kB + 2 fragments refused") {
		t.Errorf("segments says %v:\n%s", err, output)
	}
	if output, err := s.upload("--refused", "door"); err == nil || !strings.Contains(output, "2 of 2 fragments stay on the hub") {
		t.Errorf("it says %v:\n%s", err, output)
	}
	cloud.Faults().Clear()
	if output, err := s.upload("--refused", "--all"); err != nil || !strings.Contains(output, "done: all 2 fragments are in the cloud\n") {
		t.Errorf("it says %v:\n%s", err, output)
	}
	for args, says := range map[string]string{"--refused --all": "nothing is refused\n",
		"--refused door": "no fragment of stream door is refused\n"} {
		if output, err := s.upload(strings.Fields(args)...); err != nil || output != says {
			t.Errorf("upload %s says %v: %s", args, err, output)
		}
	}
	for args, says := range map[string]string{
		"--refused": "needs one stream, or --all", "--all": "needs one stream, or --all", "--refused door --all": "needs one stream, or --all",
		"--refused door --last 1h": "and no times", "door": "only flags may follow", "--refused yard": "This hub has no stream yard",
	} {
		if output, err := s.upload(strings.Fields(args)...); err == nil || !strings.Contains(output, says) {
			t.Errorf("upload %s says %v: %s", args, err, output)
		}
	}
	s.stopAgent()
	if n := len(cloud.Fragments("door")); n != len(want) {
		t.Errorf("the cloud has %d fragments, want each of %d once", n, len(want))
	}
}
