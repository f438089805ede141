package main

import (
	"os/exec"
	"strings"
	"testing"
	"time"
)

// upload runs the command beside the agent.
func (s *stage) upload(args ...string) (output string, err error) {
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
	s := newStage(t, w)
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
	if output, err = s.upload("--stream", "door", "--from", clock(0), "--to", clock(39)); err != nil || !strings.Contains(output, "done: all 39 fragments") {
		t.Errorf("of what is in the cloud already it says %v:\n%s", err, output)
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
