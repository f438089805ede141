package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// TestAnAgentIsStopped stops programs that end in several ways. The first one has just been started, and does not wait for signals.
func TestAnAgentIsStopped(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script string
		clean  bool
	}{
		"by the signal":       {"echo started; exec sleep 600", true},
		"in order":            {"trap 'exit 0' TERM; echo started; while :; do sleep 0.05; done", true},
		"with an error":       {"trap 'exit 3' TERM; echo started; while :; do sleep 0.05; done", false},
		"by an earlier crash": {"echo started; kill -ABRT $$", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			program, log := filepath.Join(dir, "agent"), filepath.Join(dir, "out")
			testtools.WriteProgram(t, program, []byte("#!/bin/sh\n"+c.script+"\n"), 0o700)
			a, err := startAgent(program, log, os.Environ())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(a.kill)
			testtools.Eventually(t, patience, func() error {
				if said, err := os.ReadFile(log); err != nil || len(said) == 0 {
					return errors.Join(err, errNothingYet)
				}
				return nil
			})
			if err := a.stop(t.Context()); (err == nil) != c.clean {
				t.Errorf("it is stopped with %v", err)
			}
		})
	}
}
