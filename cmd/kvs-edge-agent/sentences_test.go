package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo/types"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// TestAStuckAgentIsSaidInASentence asks one that takes connections and never answers.
func TestAStuckAgentIsSaidInASentence(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(shortDir(t), "stuck.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	for line, want := range map[string]int{
		"status": exitDown, "status --json": exitDown, "log-level": exitSettings, "log-level INFO": exitSettings, "reload": exitFailure,
		"upload --stream door --last 10m": exitFailure,
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			_, stderr, code := invocation{dir: t.TempDir(), args: append(strings.Fields(line), "--socket", socket)}.run(t)
			if code != want || stderr != "kvs-edge-agent: the agent on "+socket+" does not answer within 5.0 s: see its log; `systemctl restart "+
				"kvs-edge-agent` starts it again\n" {
				t.Errorf("it ends with %d: %s", code, stderr)
			}
		})
	}
}

// TestRecordingsThatMayNotBeReadAreSaidToBe runs as a user who may not, where the test is run by root.
func TestRecordingsThatMayNotBeReadAreSaidToBe(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	if err := recordInto(t, openStore(t, dir), 0, 3, "sps").Seal(); err != nil {
		t.Fatal(err)
	}
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	door := filepath.Join(dir, "door")
	attributes := &syscall.SysProcAttr{}
	if os.Geteuid() == 0 {
		attributes.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
		err = errors.Join(os.Chmod(filepath.Dir(path), 0o755), os.Chmod(dir, 0o755), os.Chmod(door, 0o750))
	} else {
		err = os.Chmod(door, 0)
		t.Cleanup(func() { _ = os.Chmod(door, 0o700) })
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"segments"}, {"verify"}, {"export", "--stream", "door", "/tmp/never.mkv"}} {
		cmd := exec.CommandContext(t.Context(), path, append(args, "--dir", dir)...)
		cmd.Dir, cmd.SysProcAttr = "/", attributes
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != exitFailure ||
			string(out) != "kvs-edge-agent: You may not read "+door+": run this as root or as a member of the agent's group, kvs-edge-agent.\n" {
			t.Errorf("%q ends with %d: %s", args, code, out)
		}
	}
}

// interrupt runs the program until it has written a line that matches, ends it as Ctrl-C does, and returns the rest.
func interrupt(t *testing.T, cmd *exec.Cmd, line string) (text string, code int) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	wanted, sent := regexp.MustCompile(line), false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		text += lines.Text() + "\n"
		if !sent && wanted.MatchString(lines.Text()) {
			sent = true
			_ = cmd.Process.Signal(syscall.SIGINT)
		}
	}
	_ = cmd.Wait()
	return text + stderr.String(), cmd.ProcessState.ExitCode()
}

const exitInterrupted = 130

func TestCtrlCInADemo(t *testing.T) {
	t.Parallel()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	scratch := shortDir(t)
	cmd := exec.CommandContext(ctx, path, "demo", "--duration", "10m")
	cmd.Env = append(os.Environ(), "TMPDIR="+scratch)
	text, code := interrupt(t, cmd, "recording: recorded")
	if code != exitInterrupted || !strings.HasSuffix(text, "kvs-edge-agent: stopped\n") || strings.Contains(text, "context canceled") {
		t.Errorf("it ends with %d: %s", code, text)
	}
	expectEmpty(t, scratch)
}

// uploadInJanuary is a schedule that waits for long.
func uploadInJanuary(c *types.EdgeConfig) {
	c.UploaderConfig.ScheduleConfig.ScheduleExpression = aws.String("0 0 3 1 1 ? *")
}

func TestStatusSaysWhenTheNextUploadStarts(t *testing.T) {
	inWorlds(t, statusSaysWhenTheNextUploadStarts)
}

func statusSaysWhenTheNextUploadStarts(t *testing.T, w world) {
	s := newSite(t, w)
	camera := startCamera(t, fakecam.Options{})
	s.configure("january", camera.URL(), uploadInJanuary)
	s.configure("hourly", camera.URL(), func(c *types.EdgeConfig) { c.UploaderConfig = nil })
	s.startAgent()
	s.awaitRecorded("january", 10)
	for name, within := range map[string]time.Duration{"january": 366 * 24 * time.Hour, "hourly": time.Hour} {
		s.eventually("the next upload of "+name, func() error {
			st, err := s.stream(name)
			if until := time.Until(st.Uploader.NextWindow); err == nil && (until <= 0 || until > within) {
				err = fmt.Errorf("%+v", st.Uploader)
			}
			if err == nil && name == "january" && st.Uploader.State != health.OffBySchedule {
				err = fmt.Errorf("the state is %q, which holds more than a word for machines", st.Uploader.State)
			}
			return err
		})
	}
	out, stderr, _ := s.command("status")
	if zone := regexp.MustCompile(`off by schedule until \d{4}-01-01 03:00(Z|[+-]\d\d:\d\d)`); !zone.MatchString(out) {
		t.Errorf("it shows %s%s", out, stderr)
	}
	s.stopAgent()
}

func TestCtrlCInAnUpload(t *testing.T) { inWorlds(t, ctrlCInAnUpload) }

func ctrlCInAnUpload(t *testing.T, w world) {
	s := newSite(t, w)
	want := s.backlog("door", 10)
	s.configure("door", "rtsp://127.0.0.1:1/gone", uploadInJanuary)
	s.startAgent()
	s.awaitCondition("door", "refuses connections")
	s.cloud.Faults().CutOff()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	from, to := time.UnixMilli(want[0]).UTC().Format(time.RFC3339Nano), time.UnixMilli(want[8]).UTC().Format(time.RFC3339Nano)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	text, code := interrupt(t, exec.CommandContext(ctx, path, "upload", "--socket", s.agent.socket, "--stream", "door",
		"--from", from, "--to", to), `\d of \d fragments are in the cloud`)
	if code != exitInterrupted || !regexp.MustCompile(`kvs-edge-agent: stopped at \d of \d fragments; the rest is uploaded as `+
		`scheduled\n$`).MatchString(text) {
		t.Errorf("it ends with %d: %s", code, text)
	}
	s.cloud.Faults().Restore()
	s.stopAgent()
}
