package main

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// shellWithout takes variables out of the environment for the length of a test.
func shellWithout(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		t.Setenv(name, "") // so that it is put back after the test
		_ = os.Unsetenv(name)
	}
}

// serviceVariables are those that useServiceSettings may set.
var serviceVariables = []string{
	settings.EnvThingName, settings.EnvRegion, settings.EnvRecordingDirectory, settings.EnvLogOutputDirectory, settings.EnvSocket,
	settings.EnvStateDirectory, "STATE_DIRECTORY", "RUNTIME_DIRECTORY",
}

func writeSettings(t *testing.T, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "agent.env")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func logLevel(t *testing.T) func(c *localapi.Client) (string, error) {
	return func(c *localapi.Client) (string, error) { return c.LogLevel(t.Context()) }
}

// A person on the hub has a shell without settings, and the service's socket is where its file says.
func TestAnAgentIsFoundBehindTheSocketThatOnlyTheServicesFileNames(t *testing.T) {
	shellWithout(t, serviceVariables...)
	dir, err := os.MkdirTemp("", "kvs") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "its.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "TRACE\n") })}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })

	for _, shell := range []string{"", filepath.Join(dir, "mine.sock")} {
		t.Setenv(settings.EnvSocket, shell)
		if level, err := ask("", writeSettings(t, "AWS_KVS_EDGE_SOCKET="+socket+"\n"), logLevel(t)); err != nil || level != "TRACE" {
			t.Errorf("in a shell with the socket %q it says %q, %v", shell, level, err)
		}
	}
	t.Setenv(settings.EnvSocket, socket)
	_, err = ask("", writeSettings(t, "AWS_KVS_EDGE_SOCKET="+socket+".none\n"), logLevel(t))
	if !errors.Is(err, localapi.ErrNotRunning) || !strings.Contains(err.Error(), "takes precedence over "+socket+" of this shell") {
		t.Errorf("where only the agent of the shell runs it says %v", err)
	}
}

// The agent may well run, behind a socket that only the file names.
func TestItIsSaidWhyTheServicesFileDoesNotNameTheSocket(t *testing.T) {
	t.Setenv(settings.EnvThingName, "")
	t.Setenv(settings.EnvSocket, filepath.Join(t.TempDir(), "none.sock"))
	file := writeSettings(t, "export AWS_KVS_EDGE_SOCKET=/run/elsewhere.sock\n")
	_, err := ask("", file, logLevel(t))
	if !errors.Is(err, localapi.ErrNotRunning) || !strings.Contains(err.Error(), file+", line 1: ") {
		t.Errorf("it says %v", err)
	}
}
