package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/status"
)

// screen is a terminal whose content a test checks.
type screen struct {
	t      *testing.T
	server string // socket of tmux
}

// newScreen starts a program in a terminal of that size.
func newScreen(t *testing.T, dir string, width, height int, command ...string) *screen {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("tmux is not installed: .ci/tools installs it")
	}
	s := &screen{t, filepath.Join(dir, "tmux")}
	t.Cleanup(func() { _ = exec.Command("tmux", "-S", s.server, "kill-server").Run() })
	s.tmux(append([]string{"-f", "/dev/null", "new-session", "-d", "-x", fmt.Sprint(width), "-y", fmt.Sprint(height)}, command...)...)
	return s
}

func (s *screen) tmux(args ...string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, "tmux", append([]string{"-S", s.server}, args...)...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("tmux %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// await waits until the screen satisfies ok, and returns it.
func (s *screen) await(ok func(lines []string) error) []string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	for {
		text := s.tmux("capture-pane", "-p")
		lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
		err := ok(lines)
		if err == nil {
			return lines
		}
		if backoff.Sleep(ctx, poll) != nil {
			s.t.Fatalf("%v; the screen shows:\n%s", err, text)
		}
	}
}

// troubled is a hub of 20 streams, 7 of which have a problem, of 5 causes; the last streams have the worst.
func troubled() (status.Snapshot, []string) {
	now := time.Now()
	s := status.Snapshot{Time: now, Version: "v1.2.3", Thing: "warehouse-hub-7", Started: now.Add(-30 * time.Hour), Verdict: status.Degraded}
	s.Disk = status.Disk{FreeBytes: 40e9, TotalBytes: 100e9, Forecast: status.Forecast{Days: 3.4}}
	problem := func(job string, severity health.Severity, code, text string) status.Condition {
		return status.Condition{Job: job, Condition: health.Condition{Code: code, Severity: severity, Text: text,
			Since: now.Add(-31 * time.Minute)}}
	}
	conditions := map[int]status.Condition{
		4: problem("uploader", health.Degraded, "upload",
			"Kinesis Video Streams cannot be reached: check the hub's internet connection and firewall (port 443)."),
		9: problem("uploader", health.Degraded, "upload",
			"Kinesis Video Streams cannot be reached: check the hub's internet connection and firewall (port 443)."),
		12: problem("retention", health.Degraded, "deleted-before-upload",
			"Recordings were deleted before they were uploaded: enlarge the disk or the upload windows."),
		15: problem("recorder", health.Degraded, "keyframe-interval",
			"The camera at 10.0.0.15:554 sends a keyframe every 40 s only: set its keyframe (I-frame) interval to a few seconds."),
		17: problem("recorder", health.Failed, "camera",
			"The camera at 10.0.0.17:554 refuses connections: check that it is on and that its RTSP port is right."),
		18: problem("recorder", health.Failed, "camera",
			"The camera at 10.0.0.18:554 refuses the user name or password: correct the secret's MediaURI."),
		19: problem("config", health.Failed, "secret-content", "The secret cameras/yard is not JSON: correct it."),
	}
	var affected []string
	for i := range 20 {
		st := status.Stream{Name: fmt.Sprintf("camera-%02d", i)}
		st.Recorder = status.Recorder{Job: status.Job{State: "recording", Since: now.Add(-29 * time.Hour)}, LastFrame: now,
			BitrateBPS: 4e6, FPS: 25}
		st.Uploader = status.Uploader{Job: status.Job{State: "idle", Since: now, NextWindow: now.Add(time.Hour)},
			LastPersisted: now.Add(-time.Minute)}
		st.Space = status.Space{UsedBytes: 12e9, LimitBytes: 20e9, Forecast: status.Forecast{Days: 4}}
		if c, bad := conditions[i]; bad {
			st.Conditions = []status.Condition{c}
			affected = append(affected, st.Name)
			if c.Severity == health.Failed {
				st.Recorder.State, st.Recorder.Since = "waiting for the camera", now.Add(-2*time.Second)
			}
		}
		s.Streams = append(s.Streams, st)
	}
	return s, affected
}

// serveStatus is an agent that says one thing only.
func serveStatus(t *testing.T, snapshot status.Snapshot) (socket, dir string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "kvs") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	socket = filepath.Join(dir, "agent.sock")
	server, err := localapi.NewServer(localapi.Options{
		Socket: socket, Agent: localapi.Agent{Snapshot: func() status.Snapshot { return snapshot }}, Log: zap.NewNop(),
		Component: health.NewRegistry(time.Now).Component("", health.JobAPI),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done; _ = os.RemoveAll(dir) })
	return socket, dir
}

// whole reports whether a screen has everything that a person must see of a hub.
func whole(lines, affected []string) error {
	text := strings.Join(lines, "\n")
	for _, want := range []string{"warehouse-hub-7", "degraded",
		"20 streams: 17 recording, 3 failed, 4 degraded, 13 without a problem", "more"} {
		if !strings.Contains(text, want) {
			return fmt.Errorf("%q is not on the screen", want)
		}
	}
	for _, name := range affected {
		if !strings.Contains(text, "! "+name) {
			return fmt.Errorf("%s is not marked on the screen", name)
		}
	}
	return nil
}

func TestWatchFitsTheTerminal(t *testing.T) {
	t.Parallel()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	snapshot, affected := troubled()
	socket, dir := serveStatus(t, snapshot)
	s := newScreen(t, dir, 80, 24, path, "status", "--watch", "--interval", "200ms", "--socket", socket)

	lines := s.await(func(lines []string) error {
		return errors.Join(whole(lines, affected), has(lines, "camera-17 recorder: The camera at 10.0.0.17:554 refuses",
			"camera-19 config: The secret", "(since 31 min)"))
	})
	t.Logf("80 x 24:\n%s", strings.Join(lines, "\n"))
	if strings.TrimSpace(lines[0]) == "" || !strings.HasPrefix(lines[0], "warehouse-hub-7") {
		t.Errorf("the first line is %q: the rest has scrolled it away", lines[0])
	}

	s.tmux("resize-window", "-x", "200", "-y", "50")
	lines = s.await(func(lines []string) error {
		return errors.Join(has(lines, "warehouse-hub-7", "20 streams", "LAST FRAME", "PERSISTED", "31 min", "is not JSON",
			"10.0.0.17:554", "internet connection", "deleted before they were uploaded", "keyframe every 40 s", "camera-00", "idle until "),
			marked(lines, affected))
	})
	t.Logf("200 x 50:\n%s", strings.Join(lines, "\n"))
	s.tmux("resize-window", "-x", "80", "-y", "24")
	s.await(func(lines []string) error { return whole(lines, affected) })
	s.tmux("resize-window", "-x", "40", "-y", "12") // even there no line may wrap
	s.await(func(lines []string) error { return has(lines, "warehouse-hub-7", "! camera-19", "more") })
}

func has(lines []string, wanted ...string) error {
	text := strings.Join(lines, "\n")
	for _, want := range wanted {
		if !strings.Contains(text, want) {
			return fmt.Errorf("%q is not on the screen", want)
		}
	}
	return nil
}

func marked(lines, names []string) error {
	for _, name := range names {
		if err := has(lines, "! "+name); err != nil {
			return err
		}
	}
	return nil
}

// TestColoursAreForTerminalsThatHaveThem runs the command where it may be coloured and where not.
func TestColoursAreForTerminalsThatHaveThem(t *testing.T) {
	t.Parallel()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	snapshot, _ := troubled()
	socket, dir := serveStatus(t, snapshot)
	if out, _ := exec.CommandContext(t.Context(), path, "status", "--socket", socket).Output(); strings.Contains(string(out),
		"\x1b") || !strings.Contains(string(out), "degraded") {
		t.Errorf("without a terminal:\n%q", out)
	}
	for i, c := range []struct {
		env     string
		colours bool
	}{{"TERM=tmux-256color", true}, {"NO_COLOR=1", false}, {"TERM=dumb", false}} {
		at := filepath.Join(dir, fmt.Sprint(i))
		if err := os.Mkdir(at, 0o700); err != nil {
			t.Fatal(err)
		}
		s := newScreen(t, at, 120, 90, "env", c.env, "sh", "-c", path+" status --socket "+socket+"; sleep 600")
		s.await(func(lines []string) error { return has(lines, "warehouse-hub-7", "camera-19 config") })
		if got := strings.Contains(s.tmux("capture-pane", "-p", "-e"), "\x1b[31m"); got != c.colours {
			t.Errorf("with %s there are colours: %t, want %t", c.env, got, c.colours)
		}
	}
}

func TestStatusOfOneStream(t *testing.T) {
	t.Parallel()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	snapshot, _ := troubled()
	socket, _ := serveStatus(t, snapshot)
	for _, c := range []struct {
		stream string
		code   int
		says   string
	}{
		{"camera-00", 0, "healthy"}, {"camera-04", exitDegraded, "cannot be reached"}, {"camera-17", exitDown, "refuses connections"},
		{"yard", exitSettings, "this hub has no stream yard; it has: camera-00, camera-01"},
	} {
		out, _ := exec.CommandContext(t.Context(), path, "status", "--socket", socket, "--stream", c.stream).CombinedOutput()
		cmd := exec.CommandContext(t.Context(), path, "status", "--socket", socket, "--stream", c.stream)
		_ = cmd.Run()
		if code := cmd.ProcessState.ExitCode(); code != c.code || !strings.Contains(string(out), c.says) || c.stream != "yard" &&
			strings.Contains(string(out), "camera-01") {
			t.Errorf("--stream %s ends with %d, want %d:\n%s", c.stream, code, c.code, out)
		}
	}
	out, err := exec.CommandContext(t.Context(), path, "__complete", "status", "--socket", socket, "--stream", "").Output()
	if err != nil || !strings.HasPrefix(string(out), "camera-00\ncamera-01\n") {
		t.Errorf("the names of streams are completed as %s: %v", out, err)
	}
}

// TestABarShowsHowFarAnExportIs exports, in a terminal, into a pipe that nobody reads: it hangs there.
func TestABarShowsHowFarAnExportIs(t *testing.T) {
	t.Parallel()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	dir := shortDir(t)
	s := openStore(t, filepath.Join(dir, "recordings"))
	if err := recordInto(t, s, 0, 3000, "sps").Seal(); err != nil {
		t.Fatal(err)
	}
	shell := fmt.Sprintf("%s verify --dir %s; mkfifo pipe; %s export --dir %s --stream door - >pipe & exec 3<pipe; sleep 600",
		path, filepath.Join(dir, "recordings"), path, filepath.Join(dir, "recordings"))
	screen := newScreen(t, dir, 100, 20, "sh", "-c", "cd "+dir+"; "+shell)
	lines := screen.await(func(lines []string) error { return has(lines, "1 file, 3000 fragments", "exporting: ", " kB of ", "[") })
	t.Log(strings.Join(lines, "\n"))
}
