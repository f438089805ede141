package localapi

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localapi/socket"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// whole is an agent that does all that the table has.
func whole(done func(what string)) Agent {
	return Agent{
		Snapshot: func() status.Snapshot { return status.Snapshot{Thing: "hub"} },
		Settings: func() []Setting { return []Setting{{Name: "A", Value: "b"}} },
		LogLevel: &level{name: "INFO"},
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "kvs_edge_build_info 1\n")
		}),
		ReadSecrets: func() { done("read-secrets") },
		Reload:      func() (Reloaded, error) { done("reload"); return Reloaded{Changed: []string{"A"}}, nil },
		DeleteStream: func(_ context.Context, stream string) (DeletedStream, error) {
			if done("delete " + stream); stream != "old-door" {
				return DeletedStream{}, errors.New("stream " + stream + " is configured")
			}
			return DeletedStream{Stream: stream, Segments: 2, Bytes: 3}, nil
		},
		Check: func(_ context.Context, each func(CheckProgress)) error {
			done("check")
			each(CheckProgress{Check: "disk", OK: true, Text: "There is room."})
			return errors.New("the check was ended")
		},
		AddHold: func(_ context.Context, r HoldRequest, _ string) (Hold, error) {
			done("hold " + r.Stream)
			return Hold{}, nil
		},
		RemoveHold: func(id, _ string) (Hold, error) { done("remove hold " + id); return Hold{}, nil },
		Upload: func(_ context.Context, r UploadRequest, each func(UploadProgress)) error {
			if done("upload " + r.Stream); r.Stream == "" {
				return errors.New("an upload needs a stream")
			}
			each(UploadProgress{Total: 1, TotalBytes: 7})
			each(UploadProgress{Total: 1, Done: 1, Bytes: 7, TotalBytes: 7, Finished: true})
			return nil
		},
	}
}

type level struct{ name string }

func (l *level) Get() string { return l.name }
func (l *level) Set(name string) error {
	if name != "DEBUG" && name != "INFO" {
		return errors.New("there is no level " + name)
	}
	l.name = name
	return nil
}

// TestWhoMayReadOperatesNothing sends each route of the table from a peer that may read only, as one over TCP.
func TestWhoMayReadOperatesNothing(t *testing.T) {
	t.Parallel()
	var done []string
	s := newServer(Options{Agent: whole(func(what string) { done = append(done, what) }), Log: options("", nil).Log})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.serve(ctx, l) }()
	for _, route := range Routes() {
		text, status := send(t, http.DefaultClient, route.Method, "http://"+l.Addr().String()+route.Path, "INFO")
		if refused := status == http.StatusForbidden; refused != (route.Right == Operate) {
			t.Errorf("%s %s, which needs the right to %s, is answered with %d: %s", route.Method, route.Path, route.Right, status, text)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if len(done) != 0 {
		t.Errorf("the agent did %v", done)
	}
}

func send(t *testing.T, client *http.Client, method, url, body string) (text string, status int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data), resp.StatusCode
}

// childSocket names the socket in the environment of a process of another user.
const childSocket = "LOCALAPI_TEST_SOCKET"

// TestAnotherUserMayReadOnly has a process of another user, in the socket's group, which is not the agent's, ask over the socket.
func TestAnotherUserMayReadOnly(t *testing.T) {
	t.Parallel()
	if socket := os.Getenv(childSocket); socket != "" {
		c := NewClient(socket)
		if _, err := c.Status(t.Context()); err != nil {
			t.Error(err)
		}
		for what, err := range map[string]error{
			"read-secrets": c.ReadSecrets(t.Context()),
			"upload":       c.Upload(t.Context(), UploadRequest{Stream: "door"}, func(UploadProgress) {}),
		} {
			if err == nil || !strings.Contains(err.Error(), "sudo") {
				t.Errorf("%s: %v", what, err)
			}
		}
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	const user, group = 4242, 4243
	dir := shortDir(t)
	socket := filepath.Join(dir, "agent.sock")
	o := options(socket, nil)
	o.Agent = whole(func(what string) { t.Errorf("the agent did %s", what) })
	s, err := NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	program := filepath.Join(dir, "test")
	data, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	testtools.WriteProgram(t, program, data, 0o755)
	if err := errors.Join(os.Chown(socket, 0, group), os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestAnotherUserMayReadOnly$", "-test.v")
	cmd.Env, cmd.Dir = append(os.Environ(), childSocket+"="+socket, "GOCOVERDIR="), "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: group}}
	if output, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(output), "--- PASS") {
		t.Errorf("%v\n%s", err, output)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestConnectionsAreBounded holds as many connections as a right has, and one more.
func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(shortDir(t), "agent.sock")
	stop := serve(t, path, status.Snapshot{Thing: "hub"})
	defer func() { _ = stop() }()
	var held []net.Conn
	for range socket.MaxConnections {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, conn)
	}
	_, err := NewClient(path).Status(t.Context())
	if err == nil || !strings.Contains(err.Error(), "too many connections") {
		t.Errorf("one more: %v", err)
	}
	for _, conn := range held {
		_ = conn.Close()
	}
	testtools.Eventually(t, time.Minute, func() error {
		_, err := NewClient(path).Status(t.Context())
		return err
	})
}
