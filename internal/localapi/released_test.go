package localapi

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

// released holds what a released version's client sent, and what its agent answered, byte by byte: status, log-level, upload,
// reload and streams delete over a socket, and curl. The recordings' directory has another name.
const released = "testdata/released"

func recorded(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(released, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// answerOf reads a recorded answer.
func answerOf(t *testing.T, raw []byte, method string) (resp *http.Response, body string) {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(raw)), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(data)
}

// asReleased is an agent that does as the one of the recorded answers.
func asReleased(t *testing.T) Agent {
	a := whole(func(string) {})
	decode := func(name string, into any) {
		_, body := answerOf(t, recorded(t, name), http.MethodGet)
		if err := json.Unmarshal([]byte(body), into); err != nil {
			t.Fatal(err)
		}
	}
	text := func(name string) error {
		_, body := answerOf(t, recorded(t, name), http.MethodPost)
		return errors.New(strings.TrimSpace(body))
	}
	var snapshot status.Snapshot
	var list []Setting
	decode("get-status-200.answer", &snapshot)
	decode("get-settings-200.answer", &list)
	a.Snapshot, a.Settings = func() status.Snapshot { return snapshot }, func() []Setting { return list }
	a.LogLevel = &strictLevel{level{"INFO"}, text("put-log-level-400.answer")}
	a.Reload = func() (Reloaded, error) { return Reloaded{}, text("post-reload-400.answer") }
	a.DeleteStream = func(context.Context, string) (DeletedStream, error) {
		return DeletedStream{}, text("post-delete-stream-400.answer")
	}
	a.Upload = func(_ context.Context, r UploadRequest, each func(UploadProgress)) error {
		name := "post-upload-200.answer"
		if r.Stream == "nosuch" {
			name = "post-upload-200-unknown.answer"
		}
		_, body := answerOf(t, recorded(t, name), http.MethodPost)
		for line := range strings.Lines(body) {
			var p UploadProgress
			if err := json.Unmarshal([]byte(line), &p); err != nil {
				t.Error(err)
			}
			if p.Error != "" {
				return errors.New(p.Error)
			}
			each(p)
		}
		return nil
	}
	return a
}

type strictLevel struct {
	level
	refuse error
}

func (l *strictLevel) Set(name string) error {
	if l.level.Set(name) != nil {
		return l.refuse
	}
	return nil
}

// TestClientsOfAReleaseAreAnswered sends what they sent, and compares: what was in an answer is still there.
func TestClientsOfAReleaseAreAnswered(t *testing.T) {
	t.Parallel()
	requests, err := filepath.Glob(filepath.Join(released, "*.request"))
	if err != nil || len(requests) < 10 {
		t.Fatalf("%d requests, %v", len(requests), err)
	}
	for _, path := range requests {
		name := strings.TrimSuffix(filepath.Base(path), ".request")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(filepath.Join(shortDir(t), "agent.sock"), nil)
			o.Agent = asReleased(t)
			s, err := NewServer(o)
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- s.Run(ctx) }()
			defer func() { stop(); <-ended }()
			conn, err := net.Dial("unix", o.Socket)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			request := recorded(t, name+".request")
			if _, err := conn.Write(request); err != nil {
				t.Fatal(err)
			}
			method, _, _ := strings.Cut(string(request), " ")
			now, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(now.Body)
			if err != nil {
				t.Fatal(err)
			}
			then, wanted := answerOf(t, recorded(t, name+".answer"), method)
			if now.StatusCode != then.StatusCode || now.Header.Get("Content-Type") != then.Header.Get("Content-Type") ||
				now.Header.Get("Allow") != then.Header.Get("Allow") {
				t.Errorf("it is answered with %s %v, and was with %s %v", now.Status, now.Header, then.Status, then.Header)
			}
			if then.Header.Get("Content-Type") != typeJSON {
				if diff := cmp.Diff(wanted, string(body)); diff != "" {
					t.Errorf("(-then +now):\n%s", diff)
				}
				return
			}
			if missing := missingIn(decoded(t, wanted), decoded(t, string(body)), ""); len(missing) > 0 {
				t.Errorf("missing or of another value: %v", missing)
			}
		})
	}
}

func decoded(t *testing.T, text string) (value any) {
	t.Helper()
	if text == "" {
		return nil
	}
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatal(err)
	}
	return value
}

// missingIn lists the paths of what has in then another value than now, or none now.
func missingIn(then, now any, path string) (list []string) {
	switch then := then.(type) {
	case map[string]any:
		of, _ := now.(map[string]any)
		for key, value := range then {
			list = append(list, missingIn(value, of[key], path+"."+key)...)
		}
	case []any:
		of, _ := now.([]any)
		if len(of) != len(then) {
			return append(list, path)
		}
		for i, value := range then {
			list = append(list, missingIn(value, of[i], fmt.Sprintf("%s[%d]", path, i))...)
		}
	default:
		if !cmp.Equal(then, now) {
			list = append(list, path)
		}
	}
	return list
}

// TestAgentsOfAReleaseAreUnderstood answers with what they answered.
func TestAgentsOfAReleaseAreUnderstood(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(shortDir(t), "agent.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(playReleased)}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	c := NewClient(socket)
	ctx := t.Context()

	if s, err := c.Status(ctx); err != nil || s.Thing != "demo-hub" || len(s.Streams) != 1 || s.Verdict != status.Healthy {
		t.Errorf("status: %+v, %v", s, err)
	}
	if list, err := c.Settings(ctx); err != nil || len(list) != 3 {
		t.Errorf("settings: %v, %v", list, err)
	}
	if level, err := c.SetLogLevel(ctx, "DEBUG"); err != nil || level != "DEBUG" {
		t.Errorf("log level: %q, %v", level, err)
	}
	if err := c.ReadSecrets(ctx); err != nil {
		t.Error(err)
	}
	var last UploadProgress
	if err := c.Upload(ctx, UploadRequest{Stream: "demo-camera"}, func(p UploadProgress) { last = p }); err != nil || last.Done != 73 {
		t.Errorf("upload: %+v, %v", last, err)
	}
	for what, ask := range map[string]func() error{
		`log level; it must be one of OFF`:  func() error { _, err := c.SetLogLevel(ctx, "SHOUT"); return err },
		"has no stream nosuch that could":   func() error { return c.Upload(ctx, UploadRequest{Stream: "nosuch"}, nil) },
		"was started without --env-file":    func() error { _, err := c.Reload(ctx); return err },
		"demo-camera is configured for thi": func() error { _, err := c.DeleteStream(ctx, "demo-camera"); return err },
	} {
		if err := ask(); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%v, want %q", err, what)
		}
	}
}

// playReleased answers with the recorded bytes.
func playReleased(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	name := strings.ToLower(r.Method) + strings.ReplaceAll(strings.TrimPrefix(r.URL.Path, "/v1"), "/", "-") + "-200"
	switch {
	case string(body) == "SHOUT", strings.HasSuffix(r.URL.Path, "/reload"), strings.HasSuffix(r.URL.Path, "/delete-stream"):
		name = strings.TrimSuffix(name, "200") + "400"
	case bytes.Contains(body, []byte("nosuch")):
		name += "-unknown"
	}
	answer, err := os.ReadFile(filepath.Join(released, name+".answer"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusTeapot)
		return
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	_, _ = conn.Write(answer)
	_ = conn.Close()
}
