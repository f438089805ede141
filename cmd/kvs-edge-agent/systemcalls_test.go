package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/deploy/systemd/filter"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// underFilter writes a script that executes the agent as a systemd of that version would, with its
// reading of these words of SystemCallFilter=.
func underFilter(t *testing.T, dir, version string, words []string) string {
	t.Helper()
	table, err := os.Open("../../deploy/systemd/filter/testdata/groups-" + version)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = table.Close() }()
	groups, err := filter.ReadGroups(table)
	if err != nil {
		t.Fatal(err)
	}
	numbers, err := filter.Numbers()
	if err != nil {
		t.Fatal(err)
	}
	// The libseccomp beside a systemd before 239 may not know calls that are younger than Linux 4.9, whose
	// youngest is pkey_free: they are forbidden although the filter names them.
	// Source: Linux, arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h.
	var calls []string
	for _, name := range filter.Allowed(words, groups) {
		n, ok := numbers[name]
		if ok && (version > "239" || n <= numbers["pkey_free"]) {
			calls = append(calls, strconv.FormatUint(uint64(n), 10))
		}
	}
	launcher := filepath.Join(dir, "underfilter")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", launcher, "../../deploy/systemd/filter/exec")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	agent, err := program()
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(dir, "agent")
	text := fmt.Sprintf("#!/bin/sh\nexec %s %s %s \"$@\"\n", launcher, strings.Join(calls, ","), agent)
	testtools.WriteProgram(t, script, []byte(text), 0o755)
	return script
}

// TestRunsUnderTheSystemCallFilterOfEachSystemd records, uploads, reloads and stops under the drop-in
// of the package, as each version of systemd expands it. The versions before 231 are those where the
// package does not install it: there somebody may have copied it.
func TestRunsUnderTheSystemCallFilterOfEachSystemd(t *testing.T) {
	t.Parallel()
	file, err := os.Open("../../deploy/systemd/system-calls.conf")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	words, err := filter.Words(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range []string{"219", "229", "231", "237", "252"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			runsUnderFilter(t, version, words)
		})
	}
}

func runsUnderFilter(t *testing.T, version string, words []string) {
	s := newSite(t, ourContract)
	door := startCamera(t, fakecam.Options{})
	s.configure("door", door.URL())
	s.writeEnv()
	var err error
	script := underFilter(t, s.dir, version, words)
	if s.agent, err = startAgent(script, filepath.Join(s.dir, "agent.out"), nil, "--env-file", s.envFile()); err != nil {
		t.Fatal(err)
	}
	s.agent.socket = socketOf(s.env())
	t.Cleanup(s.agent.kill)
	s.awaitRecorded("door", 30)

	s.writeEnv("AWS_KVS_EDGE_LOG_LEVEL=DEBUG", "AWS_KVS_EDGE_METRICS_ADDRESS=127.0.0.1:0")
	s.reload(0, "")
	s.expectLevel("DEBUG")
	door.Unplug()
	s.awaitAllInCloud("door", sentByCamera(door))
	s.stopAgent()

	output, err := os.ReadFile(filepath.Join(s.dir, "agent.out"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(strings.ToLower(string(output)), "operation not permitted") {
		t.Errorf("a system call was refused:\n%s", lastLines(string(output), 40))
	}
}

// TestAFilterOfGroupsThatSystemdDoesNotKnowEndsTheAgent shows that the filters of these tests are in
// force: @system-service came with version 239.
func TestAFilterOfGroupsThatSystemdDoesNotKnowEndsTheAgent(t *testing.T) {
	t.Parallel()
	words := []string{"@system-service", "~@privileged", "adjtimex"}
	script := underFilter(t, t.TempDir(), "237", words)
	if output, err := exec.CommandContext(t.Context(), script, "version").CombinedOutput(); err == nil {
		t.Errorf("it ran: %s", output)
	}
}
