package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kvs-edge/kvs-edge-agent/internal/agent"
)

func TestTheSettingsPageIsThatOfTheCode(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/settings.md")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(page), string(settingsPage())); diff != "" {
		t.Errorf("run make docs:\n%s", diff)
	}
}

// TestEveryVariableIsDocumented finds the names in the code that reads them.
func TestEveryVariableIsDocumented(t *testing.T) {
	t.Parallel()
	documented := make(map[string]bool)
	for _, group := range agent.Variables() {
		for _, v := range group.Variables {
			documented[v.Name] = true
		}
	}
	paths, err := filepath.Glob("../../internal/agent/*.go")
	if err != nil {
		t.Fatal(err)
	}
	found, name := 0, regexp.MustCompile(`\bEnv\w+ *= "([A-Z_]+)"`) // of the others, systemd and Greengrass set them
	for _, path := range paths {
		code, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		for _, m := range name.FindAllStringSubmatch(string(code), -1) {
			found++
			if !documented[m[1]] {
				t.Errorf("%s reads %s, which agent.Variables does not list", path, m[1])
			}
		}
	}
	if found < 15 {
		t.Errorf("only %d names were found in the code", found)
	}
}

func TestTheManPageIsWhole(t *testing.T) {
	t.Parallel()
	page := string(manPage(newRootCommand()))
	for _, want := range []string{".SS \"status [flags]\"", "support\\-bundle", ".B AWS_KVS_EDGE_RECORDING_DIRECTORY", ".SH EXIT STATUS"} {
		if !strings.Contains(page, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if _, err := exec.LookPath("man"); err != nil {
		t.Log("man is not here to format the page")
		return
	}
	path := filepath.Join(t.TempDir(), "kvs-edge-agent.1")
	if err := os.WriteFile(path, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	output, err := exec.CommandContext(t.Context(), "man", "--warnings=all", "-E", "UTF-8", "-l", path).CombinedOutput()
	if err != nil || strings.Contains(string(output), "warning") || !strings.Contains(string(output), "SYNOPSIS") {
		t.Errorf("%v\n%.2000s", err, output)
	}
}

func TestTheServicesSettingsAreRead(t *testing.T) {
	for _, name := range []string{agent.EnvThingName, agent.EnvRegion, agent.EnvRecordingDirectory, "STATE_DIRECTORY"} {
		t.Setenv(name, "") // so that it is put back after the test
		_ = os.Unsetenv(name)
	}
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
