package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestTheDemoRunsInFIPSMode which the program says of itself. `make test-fips` does the same with a certain module.
func TestTheDemoRunsInFIPSMode(t *testing.T) {
	t.Parallel()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	run := func(mode string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), path, args...)
		cmd.Env = append(os.Environ(), "GODEBUG=fips140="+mode)
		output, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v with fips140=%s: %v\n%s", args, mode, err, output)
		}
		return string(output)
	}
	for mode, want := range map[string]bool{"on": true, "off": false} {
		var said versionInfo
		if err := json.Unmarshal([]byte(run(mode, "version", "--json")), &said); err != nil {
			t.Fatal(err)
		}
		if said.FIPS140 != want || said.FIPSModule == "" || said.Version != "devel" || said.Go != runtime.Version() ||
			said.OS != runtime.GOOS || said.Arch != runtime.GOARCH {
			t.Errorf("with fips140=%s: %+v", mode, said)
		}
		if text := run(mode, "version"); strings.Contains(text, ", FIPS 140-3 mode with module "+said.FIPSModule+")") != want {
			t.Errorf("with fips140=%s it says %s", mode, text)
		}
	}
	for _, args := range [][]string{{"version"}, {"run"}, {"demo"}, {"--help"}} {
		cmd := exec.CommandContext(t.Context(), path, args...)
		cmd.Env = append(os.Environ(), "GODEBUG=fips140=only")
		output, err := cmd.CombinedOutput()
		if want := "kvs-edge-agent: GODEBUG=fips140=only is not supported"; err == nil || cmd.ProcessState.ExitCode() != exitSettings ||
			!strings.HasPrefix(string(output), want) || strings.Count(string(output), "\n") != 1 {
			t.Errorf("%v ended with %v and said:\n%s", args, err, output)
		}
	}
	dir, err := os.MkdirTemp("", "kvs") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if output := run("on", "demo", "--duration", "4s", "--dir", dir); !strings.Contains(output, "is in the cloud once") {
		t.Errorf("the demo says:\n%s\nthe agent:\n%s", output, tail(filepath.Join(dir, "agent.out"), 30))
	}
}
