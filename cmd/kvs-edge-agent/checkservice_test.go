package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/agent"
)

// TestCheckHasTheVariablesOfTheService looks at what counts: the file, then the unit, and of the shell nothing that
// the service does not see.
func TestCheckHasTheVariablesOfTheService(t *testing.T) {
	path := writeSettings(t, "AWS_REGION=us-west-2\nAWS_IOT_CORE_THING_NAME=hub-7\nAWS_KVS_EDGE_AUDIO=off\n")
	unit := &agent.Unit{User: "kvs-edge-agent", EnvFile: path, Environment: map[string]string{agent.EnvStateDirectory: "/var/lib/mine", agent.EnvAudio: "on"}}
	shell := map[string]string{
		agent.EnvRegion: "eu-west-1", agent.EnvThingName: "hub-7", agent.EnvStateDirectory: "/shell", agent.EnvMinFreeDisk: "10%", "https_proxy": "http://p:1",
	}
	for name, row := range map[string]struct {
		unit  *agent.Unit
		own   string
		want  map[string]string
		notes []string
	}{
		"the service under systemd": {unit, "", map[string]string{
			agent.EnvRegion: "us-west-2", agent.EnvThingName: "hub-7", agent.EnvStateDirectory: "/var/lib/mine", agent.EnvAudio: "off", agent.EnvMinFreeDisk: "", "https_proxy": "",
		}, []string{"This shell has another value of AWS_REGION than " + path, "does not see what this shell sets of AWS_KVS_EDGE_MIN_FREE_DISK, https_proxy"}},
		"a container, without systemd": {nil, "", map[string]string{
			agent.EnvRegion: "us-west-2", agent.EnvStateDirectory: "/shell", agent.EnvMinFreeDisk: "10%", agent.EnvRecordingDirectory: "/var/lib/kvs-edge-agent/recordings",
		}, []string{"another value of AWS_REGION"}},
		"a file of one's own": {&agent.Unit{EnvFile: "/none"}, path, map[string]string{
			agent.EnvRegion: "us-west-2", agent.EnvStateDirectory: "/shell", agent.EnvMinFreeDisk: "10%", agent.EnvRecordingDirectory: "",
		}, []string{"another value of AWS_REGION"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, assignment := range os.Environ() {
				if name, _, _ := strings.Cut(assignment, "="); isSetting(name) {
					shellWithout(t, name)
				}
			}
			shellWithout(t, append(serviceVariables, agent.EnvAudio, agent.EnvMinFreeDisk, "https_proxy", "LOGS_DIRECTORY")...)
			for name, value := range shell {
				t.Setenv(name, value)
			}
			view, err := asService(row.unit, row.own, path)
			if err != nil {
				t.Fatal(err)
			}
			for name, want := range row.want {
				if got := os.Getenv(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			if said := strings.Join(view.notes, "\n"); strings.Count(said, "\n") != len(row.notes)-1 {
				t.Errorf("it says %q", said)
			}
			for i, want := range row.notes {
				if i < len(view.notes) && !strings.Contains(view.notes[i], want) {
					t.Errorf("it says %q, want %q", view.notes[i], want)
				}
			}
			if view.unit != nil != (row.unit == unit) {
				t.Errorf("the unit that applies is %+v", view.unit)
			}
		})
	}
}

func TestADropInKeepsWhatItHas(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "unit.d")
	for _, lines := range [][]string{{"ReadWritePaths=-/mnt/a"}, {"ProtectHome=read-only", "ReadWritePaths=-/mnt/a"}} {
		if _, _, err := writeDropIn(dir, lines); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, agent.DropInName))
	if err != nil {
		t.Fatal(err)
	}
	if want := "\n[Service]\nReadWritePaths=-/mnt/a\nProtectHome=read-only\n"; !strings.HasSuffix(string(text), want) {
		t.Errorf("the file is %q", text)
	}
}

// TestCheckTakesAFileAsRunDoes with the real program, whose shell has other settings.
func TestCheckTakesAFileAsRunDoes(t *testing.T) {
	t.Parallel()
	path := writeSettings(t, "AWS_REGION=us-west-2\nAWS_KVS_EDGE_UPLAOD_MODE=live\nAWS_KVS_EDGE_METRICS_ADDRESS=nonsense\n")
	output, code := checkHub(t, []string{"AWS_REGION=eu-west-1"}, "--env-file", path)
	for _, want := range []string{
		"✔ environment            This shell has another value of AWS_REGION than " + path,
		"✘ settings               No setting has the name AWS_KVS_EDGE_UPLAOD_MODE (did you mean AWS_KVS_EDGE_UPLOAD_MODE?)",
		"AWS_KVS_EDGE_METRICS_ADDRESS is \"nonsense\"",
	} {
		if code != exitFailure || !strings.Contains(output, want) {
			t.Errorf("exit code %d, it lacks %q:\n%s", code, want, output)
		}
	}
	if output, code = checkHub(t, nil, "--env-file", path+".none"); code != exitFailure || !strings.Contains(output, "cannot read the settings in "+path+".none: no such file") {
		t.Errorf("without the file: exit code %d:\n%s", code, output)
	}
}
