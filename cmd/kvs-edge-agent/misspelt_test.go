package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAMisspeltSettingIsNamedEverywhere in the log at the start, by status, check and reload, until a reload finds it
// corrected.
func TestAMisspeltSettingIsNamedEverywhere(t *testing.T) {
	inWorlds(t, aMisspeltSettingIsNamedEverywhere)
}

func aMisspeltSettingIsNamedEverywhere(t *testing.T, w world) {
	const wrong, right = "AWS_KVS_EDGE_UPLAOD_MODE", "AWS_KVS_EDGE_UPLOAD_MODE"
	const says = wrong + " (did you mean " + right + "?)"
	s := newSite(t, w)
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	s.writeEnv(wrong + "=live")
	log := filepath.Join(s.dir, "agent.out")
	if s.agent, err = startAgent(path, log, nil, "--env-file", s.envFile()); err != nil {
		t.Fatal(err)
	}
	s.agent.socket = socketOf(s.env())
	t.Cleanup(s.agent.kill)

	s.eventually("status names it", func() error {
		if out, stderr, _ := s.command("status"); !strings.Contains(strings.Join(strings.Fields(out), " "), says) {
			return errors.New(out + stderr)
		}
		return nil
	})
	if text, err := os.ReadFile(log); err != nil || !strings.Contains(string(text), `"name": "`+wrong+`", "meant": "`+right+`"`) {
		t.Errorf("the log does not name it: %v\n%s", err, text)
	}
	if output, code := checkHub(t, nil, "--env-file", s.envFile()); code != exitFailure || !strings.Contains(output, says) {
		t.Errorf("check: exit code %d\n%s", code, output)
	}
	s.reload(0, "unknown variables: "+says)

	s.writeEnv(right + "=live")
	s.reload(0, "in effect now: "+right)
	s.reload(0, "no setting has changed; the cameras' secrets are read again\n")
	if out, _, _ := s.command("status"); strings.Contains(out, wrong) {
		t.Errorf("status still names it:\n%s", out)
	}
	if output, _ := checkHub(t, nil, "--env-file", s.envFile()); strings.Contains(output, wrong) {
		t.Errorf("check still names it:\n%s", output)
	}
	s.stopAgent()
}
