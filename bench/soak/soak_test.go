package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// size of a soak: how long it is, and how many times as often everything happens.
type size struct {
	length time.Duration
	haste  float64
}

// TestSoak is a soak in haste: too short to see whether something grows, but all frames must be in the cloud.
func TestSoak(t *testing.T) {
	t.Parallel()
	proof := testtools.Proof(t, "soak", testtools.Sizes[size]{
		Short: size{time.Second, 60}, Middle: size{time.Minute, 12}, Long: size{20 * time.Minute, 4},
	})
	agent := filepath.Join(t.TempDir(), "kvs-edge-agent")
	build := exec.Command("go", "build", "-trimpath", "-o", agent, "../../cmd/kvs-edge-agent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("cannot build the agent: %v\n%s", err, output)
	}
	dir, err := os.MkdirTemp("", "kvs") // short, as a socket lies in it
	if err != nil {
		t.Fatal(err)
	}
	printed := new(testtools.Text)
	o := options{agent: agent, dir: dir, length: proof.length, round: 10 * time.Minute, every: time.Second, table: proof.length / 2,
		haste: proof.haste}
	if err := run(t.Context(), o, printed); err != nil {
		t.Fatalf("%v:\n%s", err, printed)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Error(err)
	}
}
