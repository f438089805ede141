package main

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/preflight"
)

// checkHub runs the command with exactly env, whatever service this machine has.
func checkHub(t *testing.T, env []string, args ...string) (output string, code int) {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(args, "--env-file") {
		args = append(args, "--env-file", writeSettings(t, ""))
	}
	command := exec.CommandContext(t.Context(), path, append([]string{"check"}, args...)...)
	command.Env, command.Dir = env, t.TempDir()
	out, err := command.Output()
	if command.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), command.ProcessState.ExitCode()
}

func TestCheckPrintsALineEachAndAnExitCode(t *testing.T) {
	inWorlds(t, checkPrintsALineEachAndAnExitCode)
}

func checkPrintsALineEachAndAnExitCode(t *testing.T, w world) {
	s, camera := newRecordingSite(t, w)

	output, code := checkHub(t, s.env())
	if code != 0 || strings.Contains(output, "✘") || strings.Count(output, "✔") < 12 ||
		strings.Count(output, "\n") != strings.Count(output, "✔") {
		t.Errorf("exit code %d:\n%s", code, output)
	}
	t.Logf("\n%s", output)

	camera.Unplug()
	s.awaitCondition("door", "The camera at") // check believes the agent about a camera it cannot reach itself
	output, code = checkHub(t, s.env(), "--json")
	var report struct {
		OK       bool
		Findings []preflight.Finding
	}
	if err := json.Unmarshal([]byte(output), &report); err != nil {
		t.Fatalf("%v:\n%s", err, output)
	}
	bad := 0
	for _, f := range report.Findings {
		if !f.OK {
			bad++
			if f.Check != "camera" || f.Stream != "door" {
				t.Errorf("found bad: %+v", f)
			}
		}
	}
	if code != exitFailure || report.OK || bad != 1 {
		t.Errorf("exit code %d, %d bad:\n%s", code, bad, output)
	}
	s.stopAgent()

	if output, code = checkHub(t, []string{"AWS_REGION=us-west-2"}); code != exitFailure || !strings.Contains(output, "✘ settings") {
		t.Errorf("without settings: exit code %d:\n%s", code, output)
	}
}
