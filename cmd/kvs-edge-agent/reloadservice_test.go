package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/agent"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

// The agent may well run, behind a socket that only the file names.
func TestAReloadSaysWhyTheServicesFileDoesNotNameTheSocket(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(agent.EnvThingName, "")
	t.Setenv(agent.EnvSocket, filepath.Join(dir, "none.sock"))
	file := filepath.Join(dir, "agent.env")
	if err := os.WriteFile(file, []byte("export AWS_KVS_EDGE_SOCKET=/run/elsewhere.sock\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := reload(t.Context(), "", file)
	if !errors.Is(err, status.ErrNotRunning) || !strings.Contains(err.Error(), file+", line 1: ") {
		t.Errorf("it says %v", err)
	}
}
