package main

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

func TestTheServicesSettingsAreRead(t *testing.T) {
	shellWithout(t, serviceVariables...)
	t.Setenv("RUNTIME_DIRECTORY", "/run/mine")
	t.Setenv(settings.EnvLogOutputDirectory, "/log")
	path := filepath.Join(t.TempDir(), "agent.env")
	text := "# who\nAWS_REGION=us-west-2\n AWS_IOT_CORE_THING_NAME = \"hub 1\"\n;x=y\nAWS_KVS_EDGE_RECORDING_DIRECTORY=/media\n" +
		"TZ=Europe/Berlin\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(settings.EnvRegion, "eu-west-1")
	t.Setenv("TZ", "Asia/Tokyo")
	if err := useServiceSettings(path); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		settings.EnvRegion: "us-west-2", settings.EnvThingName: "hub 1", settings.EnvRecordingDirectory: "/media",
		"STATE_DIRECTORY": "/var/lib/kvs-edge-agent", "RUNTIME_DIRECTORY": "/run/mine", settings.EnvLogOutputDirectory: "/log",
		"TZ": "Asia/Tokyo",
	} {
		if got := os.Getenv(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	t.Setenv(settings.EnvThingName, "another")
	shellWithout(t, "TZ")
	if err := useServiceSettings(path); err != nil || os.Getenv(settings.EnvThingName) != "hub 1" {
		t.Errorf("a shell with settings of its own has the thing %s: %v", os.Getenv(settings.EnvThingName), err)
	}
	if zone, set := os.LookupEnv("TZ"); set {
		t.Errorf("a shell without a time zone got %s", zone)
	}
	t.Setenv(settings.EnvThingName, "another")
	if err := useServiceSettings(filepath.Join(t.TempDir(), "none")); err != nil || os.Getenv(settings.EnvThingName) != "another" {
		t.Errorf("without the file: the thing is %s, %v", os.Getenv(settings.EnvThingName), err)
	}
}

func TestAllFaultsOfTheServicesFileAreNamedAtOnce(t *testing.T) {
	shellWithout(t, serviceVariables...)
	path := writeSettings(t, "export A=1\nAWS_REGION=us-west-2\nno sign\n")
	err := useServiceSettings(path)
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
	t.Setenv(settings.EnvRecordingDirectory, "/mine")
	if dir, err := flags.directory(path); err != nil || dir != "/media/disk" || !strings.Contains(flags.note,
		"takes precedence over /mine of this shell") {
		t.Errorf("by the service's file, in a shell with another: %s, %v, %q", dir, err, flags.note)
	}
	for name, file := range map[string]string{
		"no service": filepath.Join(t.TempDir(), "none"), "a file with a fault": writeSettings(t, "x\n"),
	} {
		t.Setenv(settings.EnvRecordingDirectory, "/mine")
		if dir, err := flags.directory(file); err != nil || dir != "/mine" || flags.note != "" {
			t.Errorf("by the shell, with %s: %s, %v, %q", name, dir, err, flags.note)
		}
	}
	flags.dir = "/flag"
	if dir, err := flags.directory(path); err != nil || dir != "/flag" {
		t.Errorf("by --dir: %s, %v", dir, err)
	}
}

// What root may read the agent may not: a private key that scp has left as root's own.
func TestCheckByRootHasTheRightsOfTheServicesUser(t *testing.T) {
	const key, file = "KVS_EDGE_TEST_KEY", "KVS_EDGE_TEST_SETTINGS"
	if path := os.Getenv(key); path != "" { // the process of its own, which drops root permanently
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
