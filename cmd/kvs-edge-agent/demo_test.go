package main

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// shortDir is a directory for sockets, whose paths must be short.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kvs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestDemoCountsVideoAsVideoAndSoundAsSound(t *testing.T) {
	t.Parallel()
	for name, audio := range map[string]string{"aac": fakecam.AudioAAC, "mu-law": fakecam.AudioMuLaw} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			camera := startCamera(t, fakecam.Options{Audio: audio})
			scratch := shortDir(t)
			stdout, stderr, code := invocation{env: []string{"TMPDIR=" + scratch}, args: []string{"demo", "--duration", "6s",
				"--camera", camera.URL()}}.run(t)
			for _, want := range []string{"lost                           0\n", "repeated                       0\n",
				"audio blocks in the cloud", "Nothing was lost and nothing came twice: every frame that is on the disk"} {
				if code != 0 || !strings.Contains(stdout, want) {
					t.Errorf("it ends with %d, %q is missing in\n%s%s", code, want, stdout, stderr)
				}
			}
			if regexp.MustCompile(`audio blocks in the cloud +0\n`).MatchString(stdout) {
				t.Errorf("no audio was counted:\n%s", stdout)
			}
			expectEmpty(t, scratch)
		})
	}
}

func expectEmpty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("%v is left in the directory for temporary files: %v", left, err)
	}
}

func TestDemoSaysSoonThatACameraCannotBeRecorded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		camera, says string
		code         int
	}{
		{"rtsp://127.0.0.1:1/live", "the camera cannot be recorded: The camera at 127.0.0.1:1 refuses connections", exitFailure},
		{"foo", "--camera: The camera's URL is not a URL such as", exitSettings},
	} {
		t.Run(c.camera, func(t *testing.T) {
			t.Parallel()
			scratch, late := shortDir(t), testtools.SchedulingDelay(t)
			stdout, stderr, code := invocation{env: []string{"TMPDIR=" + scratch}, args: []string{"demo", "--camera", c.camera}}.run(t)
			if code != c.code || !strings.Contains(stderr, c.says) || strings.Contains(stdout+stderr, "secret") {
				t.Errorf("it ends with %d: %s%s", code, stdout, stderr)
			}
			// There is a line a second, and the demo ends with the one at which the patience is over: the first that says why, on a
			// machine on which the agent comes to it late. As late the demo may be as well, but no more.
			if lines := strings.Count(stdout, "recorded 0 frames"); lines > int((cameraPatience+4*late())/time.Second)+1 {
				t.Errorf("it continues for %d s, on a machine that is %v late: %s", lines, late(), stdout)
			}
			if lines := strings.Count(stdout, "refuses connections"); lines > int(cameraPatience/time.Second)+1 {
				t.Errorf("it continues for %d s after it knows why: %s", lines, stdout)
			}
			expectEmpty(t, scratch)
		})
	}
}

// TestDemoSaysThatACameraDoesNotAnswer has one that takes the connection and stays silent.
func TestDemoSaysThatACameraDoesNotAnswer(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	stdout, stderr, code := invocation{
		env:  []string{"TMPDIR=" + shortDir(t)},
		args: []string{"demo", "--duration", "5s", "--camera", "rtsp://" + silent.Addr().String() + "/live"},
	}.run(t)
	if code != exitFailure || !strings.Contains(stdout+stderr, "the camera has not answered yet") &&
		!strings.Contains(stderr, "does not answer") ||
		!strings.Contains(stderr, "nothing was recorded: ") && !strings.Contains(stderr, "the camera cannot be recorded: ") {
		t.Errorf("it ends with %d: %s%s", code, stdout, stderr)
	}
}

func TestDemoWorksASecondTimeInItsDirectory(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	for range 2 { // each with a fake camera of its own, at another port
		stdout, stderr, code := invocation{args: []string{"demo", "--duration", "4s", "--dir", dir}}.run(t)
		if code != 0 || !strings.Contains(stdout, "Nothing was lost and nothing came twice: every frame that the camera sent") {
			t.Fatalf("it ends with %d: %s%s", code, stdout, stderr)
		}
	}
}

// keptDemo is a demo that stays up.
type keptDemo struct {
	cmd    *exec.Cmd
	stderr strings.Builder
	pid    int      // of the agent
	shell  []string // the printed commands
	play   string   // the printed address of the media in the cloud
}

// playlistAddress is the address of a session of HLS.
var playlistAddress = regexp.MustCompile(`https://\S+getHLSMasterPlaylist\.m3u8\S*`)

func startKeptDemo(t *testing.T, dir string) *keptDemo {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	hung := time.AfterFunc(patience, cancel)
	defer hung.Stop()
	d := &keptDemo{cmd: exec.CommandContext(ctx, path, "demo", "--keep", "--duration", "3s", "--dir", dir)}
	d.cmd.Stderr = &d.stderr
	out, err := d.cmd.StdoutPipe()
	if err == nil {
		err = d.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.cmd.Process.Kill(); _ = d.cmd.Wait() })
	playing := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if m := regexp.MustCompile(`agent started as process (\d+)`).FindStringSubmatch(lines.Text()); m != nil {
			d.pid, _ = strconv.Atoi(m[1])
		}
		if address := playlistAddress.FindString(lines.Text()); address != "" {
			d.play = address
		}
		playing = playing || strings.Contains(lines.Text(), "In another shell:")
		if playing && strings.HasPrefix(lines.Text(), "  ") {
			d.shell = append(d.shell, strings.TrimSpace(lines.Text()))
		}
		if playing && strings.Contains(lines.Text(), " upload ") { // the last one
			return d
		}
	}
	t.Fatalf("it ended: %s", d.stderr.String())
	return nil
}

// TestDemoPrintsCommandsThatWork runs them as they are printed, in a shell that knows nothing else.
func TestDemoPrintsCommandsThatWork(t *testing.T) {
	t.Parallel()
	d := startKeptDemo(t, shortDir(t))
	exports, ran := "", 0
	for _, line := range d.shell {
		if strings.HasPrefix(line, "export ") {
			exports += line + "\n"
			continue
		}
		if strings.HasPrefix(line, "aws ") {
			if _, err := exec.LookPath("aws"); err != nil {
				continue
			}
		}
		ran++
		cmd := exec.CommandContext(t.Context(), "sh", "-c", exports+line)
		cmd.Dir, cmd.Env = t.TempDir(), []string{"PATH=/usr/bin:/bin", "HOME=/nonexistent"}
		if out, err := cmd.CombinedOutput(); err != nil && !strings.Contains(line, " status ") { // the camera may be back in a moment
			t.Errorf("%s\n%v: %s", line, err, out)
		}
	}
	if ran < 5 {
		t.Errorf("only %d commands are printed: %q", ran, d.shell)
	}
	_ = d.cmd.Process.Signal(syscall.SIGINT)
	if err := d.cmd.Wait(); err != nil {
		t.Errorf("after Ctrl-C: %v, %s", err, d.stderr.String())
	}
}

// TestPrintedAddressesPlay: what demo --keep prints, and localcloud for a directory in which it has media, is an address that ffprobe
// plays, of at least a second.
func TestPrintedAddressesPlay(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffprobe")
	dir := shortDir(t)
	d := startKeptDemo(t, dir)
	plays := func(who, address string) {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-select_streams", "v", "-count_frames", "-of", "csv=p=0",
			"-show_entries", "stream=nb_read_frames", address).Output()
		// A master playlist has its stream in a program as well, so that it is counted twice.
		n, numberErr := strconv.Atoi(strings.TrimSpace(strings.SplitN(string(out), "\n", 2)[0]))
		if err != nil || numberErr != nil || n < 25 {
			t.Errorf("of the address that %s prints, %q, ffprobe plays %q, %v", who, address, out, err)
		}
	}
	plays("demo", d.play)
	_ = d.cmd.Process.Signal(syscall.SIGINT)
	if err := d.cmd.Wait(); err != nil {
		t.Fatalf("after Ctrl-C: %v, %s", err, d.stderr.String())
	}

	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cloud := exec.CommandContext(ctx, path, "localcloud", "--dir", filepath.Join(dir, "cloud"))
	out, err := cloud.StdoutPipe()
	if err == nil {
		err = cloud.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cloud.Process.Kill(); _ = cloud.Wait() }()
	var address string
	for lines := bufio.NewScanner(out); lines.Scan() && !strings.HasPrefix(lines.Text(), "# The local cloud is up"); {
		if strings.HasPrefix(lines.Text(), "# Play "+demoStream+" for 12 hours: ") {
			address = playlistAddress.FindString(lines.Text())
		}
	}
	plays("localcloud", address)
}

func TestDemoNoticesThatItsAgentDies(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	d := startKeptDemo(t, dir)
	if err := syscall.Kill(d.pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	err := d.cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitFailure || !strings.Contains(d.stderr.String(),
		"the agent ended by itself (signal: killed): see "+filepath.Join(dir, "agent.out")) {
		t.Errorf("%v: %s", err, d.stderr.String())
	}
}
