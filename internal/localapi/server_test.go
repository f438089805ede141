package localapi

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

// shortDir returns a directory whose path fits a socket address.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kvs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// options are those of a server that knows a snapshot.
func options(socket string, snapshot func() status.Snapshot) Options {
	return Options{
		Socket: socket, Agent: Agent{Snapshot: snapshot}, Log: zap.NewNop(),
		Component: health.NewRegistry(time.Now).Component("", health.JobAPI),
	}
}

func serve(t *testing.T, socket string, s status.Snapshot) (stop func() error) {
	t.Helper()
	server, err := NewServer(options(socket, func() status.Snapshot { return s }))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	return func() error { cancel(); return <-done }
}

func TestClientReadsWhatTheAgentSays(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(shortDir(t), "run", "agent.sock")
	want := status.Snapshot{
		Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Version: "1", Thing: "hub", PID: 7, Verdict: status.Healthy,
		Streams: []status.Stream{{Name: "door", Recorder: status.Recorder{Job: status.Job{State: "recording", Status: "SUCCESS"}, FPS: 25}}},
	}
	stop := serve(t, socket, want)
	got, err := NewClient(socket).Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	info, err := os.Stat(socket)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o660 {
		t.Errorf("the socket's mode is %v: others could ask", info.Mode())
	}
	if _, err := NewServer(options(socket, nil)); err == nil ||
		!strings.Contains(err.Error(), "another agent answers") {
		t.Errorf("a second agent on the socket: got %v", err)
	}
	if err := stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	if _, err := os.Stat(socket); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is still there after the stop: %v", err)
	}
	if _, err := NewClient(socket).Status(t.Context()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("without an agent: got %v, want ErrNotRunning", err)
	}
}

func TestSocketOfADeadAgentIsReplaced(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(shortDir(t), "agent.sock")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	stop := serve(t, socket, status.Snapshot{Thing: "hub"})
	if got, err := NewClient(socket).Status(t.Context()); err != nil || got.Thing != "hub" {
		t.Errorf("got %v, %v", got.Thing, err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// A path mistyped in the settings may be that of a key.
func TestAFileInThePlaceOfTheSocketIsKept(t *testing.T) {
	t.Parallel()
	path := filepath.Join(shortDir(t), "private.key")
	if err := os.WriteFile(path, []byte("key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := NewServer(options(path, nil)); err == nil ||
		!strings.Contains(err.Error(),
			path+" exists and is not a socket; set AWS_KVS_EDGE_SOCKET") {
		t.Errorf("it says %v", err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "key" {
		t.Errorf("of the file there is %q, %v", data, err)
	}
}

func TestTooLongSocketPathSaysWhatToDo(t *testing.T) {
	t.Parallel()
	_, err := NewServer(options(filepath.Join(t.TempDir(), strings.Repeat("x", 200)), nil))
	if err == nil || !strings.Contains(err.Error(), "AWS_KVS_EDGE_SOCKET") {
		t.Errorf("got %v", err)
	}
}
