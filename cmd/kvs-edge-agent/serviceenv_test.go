package main

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/agent"
)

func TestTheServicesSettingsAreRead(t *testing.T) {
	shellWithout(t, serviceVariables...)
	t.Setenv("RUNTIME_DIRECTORY", "/run/mine")
	t.Setenv(agent.EnvLogOutputDirectory, "/log")
	path := filepath.Join(t.TempDir(), "agent.env")
	text := "# who\nAWS_REGION=us-west-2\n AWS_IOT_CORE_THING_NAME = \"hub 1\"\n;x=y\nAWS_KVS_EDGE_RECORDING_DIRECTORY=/media\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if used, err := useServiceSettings(path); err != nil || !used {
		t.Fatal(used, err)
	}
	for name, want := range map[string]string{
		agent.EnvRegion: "us-west-2", agent.EnvThingName: "hub 1", agent.EnvRecordingDirectory: "/media",
		"STATE_DIRECTORY": "/var/lib/kvs-edge-agent", "RUNTIME_DIRECTORY": "/run/mine", agent.EnvLogOutputDirectory: "/log",
	} {
		if got := os.Getenv(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	t.Setenv(agent.EnvThingName, "another")
	if used, err := useServiceSettings(path); err != nil || used {
		t.Errorf("a shell with settings of its own got the service's: %v", err)
	}
	_ = os.Unsetenv(agent.EnvThingName)
	if used, err := useServiceSettings(filepath.Join(t.TempDir(), "none")); err != nil || used {
		t.Errorf("without the file: %v %v", used, err)
	}
}

func TestAllFaultsOfTheServicesFileAreNamedAtOnce(t *testing.T) {
	shellWithout(t, serviceVariables...)
	path := writeSettings(t, "export A=1\nAWS_REGION=us-west-2\nno sign\n")
	_, err := useServiceSettings(path)
	if got := faultsOf(err); len(got) != 2 || !strings.HasPrefix(got[0], path+", line 1: ") || !strings.HasPrefix(got[1], path+", line 3: ") {
		t.Errorf("it says %q", got)
	}
}

// A person on the hub asks about the recordings of the service, whatever directory the shell is in.
func TestStoreCommandsFindTheServicesRecordings(t *testing.T) {
	shellWithout(t, serviceVariables...)
	var flags storeFlags
	if dir, err := flags.directory(filepath.Join(t.TempDir(), "none")); err != nil || dir != "." {
		t.Errorf("where no service is: %s, %v", dir, err)
	}
	if dir, err := flags.directory(writeSettings(t, "AWS_REGION=us-west-2\n")); err != nil || dir != "/var/lib/kvs-edge-agent/recordings" {
		t.Errorf("by the unit: %s, %v", dir, err)
	}
	shellWithout(t, serviceVariables...)
	path := writeSettings(t, "AWS_KVS_EDGE_RECORDING_DIRECTORY=/media/disk\n")
	if dir, err := flags.directory(path); err != nil || dir != "/media/disk" {
		t.Errorf("by the service's file: %s, %v", dir, err)
	}
	t.Setenv(agent.EnvRecordingDirectory, "/mine")
	if dir, err := flags.directory(path); err != nil || dir != "/mine" {
		t.Errorf("by the shell: %s, %v", dir, err)
	}
	flags.dir = "/flag"
	if dir, err := flags.directory(path); err != nil || dir != "/flag" {
		t.Errorf("by --dir: %s, %v", dir, err)
	}
}

// What root may read the agent may not: a private key that scp has left as root's own.
func TestCheckByRootHasTheRightsOfTheServicesUser(t *testing.T) {
	const key, file = "KVS_EDGE_TEST_KEY", "KVS_EDGE_TEST_SETTINGS"
	if path := os.Getenv(key); path != "" { // the process of its own, which gives up root for good
		_, err := asService(nil, os.Getenv(file), os.Getenv(file))
		err = errors.Join(err, takeRightsOf("nobody"))
		if _, readErr := os.ReadFile(path); err == nil && errors.Is(readErr, fs.ErrPermission) {
			os.Exit(0)
		}
		os.Exit(1)
	}
	if os.Geteuid() != 0 {
		t.Skip("only root has rights to give up")
	}
	path := filepath.Join(t.TempDir(), "private.key")
	if err := os.WriteFile(path, []byte("key"), 0o600); err != nil {
		t.Fatal(err)
	}
	shellWithout(t, serviceVariables...)
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), key+"="+path, file+"="+writeSettings(t, "AWS_REGION=us-west-2\n"))
	if output, err := child.CombinedOutput(); err != nil {
		t.Errorf("the key could be read: %v\n%s", err, output)
	}
}
