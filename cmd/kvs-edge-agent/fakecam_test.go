package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// fakecamProcess is the command as a process of its own.
type fakecamProcess struct {
	t     *testing.T
	cmd   *exec.Cmd
	urls  []string
	lines chan map[string]any // of --json; closed when it has ended
}

// startFakecam starts the command on a free port, and returns when it has printed its address.
func startFakecam(t *testing.T, args ...string) *fakecamProcess {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	p := &fakecamProcess{t: t, lines: make(chan map[string]any, 1000)}
	p.cmd = exec.Command(path, append([]string{"fakecam", "--json", "--listen", "127.0.0.1:0"}, args...)...)
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	go func() {
		defer close(p.lines)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var line map[string]any
			if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
				t.Errorf("%s: %v", lines.Bytes(), err)
			}
			p.lines <- line
		}
	}()
	for _, u := range p.await("camera")["urls"].([]any) {
		p.urls = append(p.urls, u.(string))
	}
	return p
}

// await returns the next line with an event.
func (p *fakecamProcess) await(event string) map[string]any {
	p.t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				p.t.Fatalf("the camera ended without %s", event)
			}
			if line["event"] == event {
				return line
			}
		case <-timeout:
			p.t.Fatalf("there was no %s", event)
		}
	}
}

// stop ends the camera as Ctrl-C does, and returns what it said in the end.
func (p *fakecamProcess) stop() (lines []map[string]any) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		p.t.Fatal(err)
	}
	for line := range p.lines {
		lines = append(lines, line)
	}
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("after Ctrl-C the camera ends with %v", err)
	}
	return lines
}

// streamsOf is what ffprobe says of the streams at an address or in a file.
func streamsOf(t *testing.T, url string) string {
	t.Helper()
	args := []string{"-v", "error", "-show_entries", "stream=codec_name,width,height,sample_rate", "-of", "csv=p=0", url}
	if strings.HasPrefix(url, "rtsp") {
		args = append([]string{"-rtsp_transport", "tcp"}, args...)
	}
	out, err := exec.CommandContext(t.Context(), "ffprobe", args...).CombinedOutput()
	if err != nil {
		t.Errorf("ffprobe: %v", err)
	}
	return strings.ReplaceAll(strings.TrimSpace(string(out)), "\n", " ")
}

// recordFrom records at least this many frames of a camera with the command, and returns the files.
func recordFrom(t *testing.T, url string, frames int) []string {
	t.Helper()
	dir, stdout, stderr, code := invocation{dir: t.TempDir(), args: []string{"record", "--dir", ".", url}}.runFor(t, 6,
		func(dir, stdout string, code int) bool {
			if code != 0 {
				return recordedIt(dir, stdout, code)
			}
			report, _ := stampsIn(t, mediaBelow(t, dir)...)
			return report.Frames >= frames
		})
	files := mediaBelow(t, dir)
	if code != 0 || len(files) == 0 {
		t.Fatalf("record ends with %d and %v: %s%s", code, files, stdout, stderr)
	}
	return files
}

// stampsIn runs the command stamps.
func stampsIn(t *testing.T, files ...string) (r stampsReport, code int) {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, append([]string{"fakecam", "stamps", "--json"}, files...)...)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	return r, cmd.ProcessState.ExitCode()
}

func TestAFakeCameraIsRecordedAndItsFramesAreCounted(t *testing.T) {
	t.Parallel()
	for codec, args := range map[string][]string{
		"H.264": {"--audio", "aac", "--user", "admin", "--password", "p@ss/1"},
		"H.265": {"--codec", "h265", "--tls"},
	} {
		t.Run(codec, func(t *testing.T) {
			t.Parallel()
			camera := startFakecam(t, args...)
			files := recordFrom(t, camera.urls[0], 25)
			report, code := stampsIn(t, files...)
			wrong := report.Missing + uint64(report.Repeated+report.Unmarked)
			if code != 0 || report.Frames < 25 || wrong > 0 || len(report.Sessions) != 1 {
				t.Errorf("recorded is %+v, exit code %d", report, code)
			}
			if twice, code := stampsIn(t, append(files, files...)...); code != exitFailure || twice.Repeated != report.Frames {
				t.Errorf("files that are named twice hold %+v, exit code %d", twice, code)
			}
			for session, sent := 1.0, 0.0; int(sent) < report.Frames; session++ { // one, unless it took the machine several
				began, ended := camera.await("session_began"), camera.await("session_ended")
				sent, _ = ended["frames"].(float64)
				if began["session"] != session || ended["session"] != session || ended["first_counter"] != (session-1)*(1<<32) {
					t.Errorf("the camera says %v and %v", began, ended)
				}
			}
			camera.stop()
		})
	}
}

func TestFakeCamerasAreAsTheFlagsSay(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffprobe", "ffmpeg")
	movie := filepath.Join(t.TempDir(), "movie.mp4")
	makeFilm(t, movie, "-c:v", "libx264", "-bf", "0")
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for flags, want := range map[string]string{
		"":                                     "h264,1920,1080",
		"--size 1280x720 --fps 10":             "h264,1280,720",
		"--codec h265 --size 640x360":          "hevc,640,360",
		"--codec mjpeg --stamps=false":         "mjpeg,640,360",
		"--audio pcma --bitrate 2000000":       "h264,1920,1080 pcm_alaw,8000",
		"--file " + movie:                      "h264,320,240",
		"--user u --password-file " + password: "h264,1920,1080",
		"--oddity near-wrap --oddity no-inband-params --oddity lose-packet=1h": "h264,1920,1080",
	} {
		t.Run(flags, func(t *testing.T) {
			t.Parallel()
			camera := startFakecam(t, strings.Fields(flags)...)
			if got := streamsOf(t, camera.urls[0]); got != want {
				t.Errorf("ffprobe sees %q, want %q", got, want)
			}
			if strings.Contains(flags, "password") && !strings.Contains(camera.urls[0], "u:secret@") {
				t.Errorf("the address is %s", camera.urls[0])
			}
			camera.stop()
		})
	}
}

// makeFilm makes a film of 30 frames per second.
func makeFilm(t *testing.T, path string, args ...string) {
	t.Helper()
	source := []string{"-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=30:duration=1", "-pix_fmt", "yuv420p", "-g", "15"}
	args = append(append(source, args...), path)
	if out, err := exec.CommandContext(t.Context(), "ffmpeg", args...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg %v: %v\n%s", args, err, out)
	}
}

func TestFilmsOfAllKindsCanBePlayed(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg")
	h264, h265 := []string{"-c:v", "libx264", "-bf", "0"}, []string{"-c:v", "libx265", "-x265-params", "log-level=error:bframes=0"}
	for _, test := range []struct {
		name string
		args []string
		h265 bool
		fps  float64
	}{
		{"film.mp4", h264, false, 30}, {"film.mov", h264, false, 30}, {"film.mkv", h264, false, 30}, {"film.ts", h264, false, 30},
		{"film.h264", h264, false, filmFPS},
		{"film265.mp4", h265, true, 30}, {"film265.mkv", h265, true, 30}, {"film.hevc", h265, true, filmFPS},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), test.name)
			makeFilm(t, path, test.args...)
			film, err := readFilm(path)
			if err != nil {
				t.Fatal(err)
			}
			if film.h265 != test.h265 || film.fps != test.fps {
				t.Errorf("H.265 is %v, and the film has %v frames per second", film.h265, film.fps)
			}
			o := fakecamOptions{listen: "127.0.0.1:0", codec: "h264", file: path, stamps: true}
			camera, _, err := o.start()
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = camera.Close() }()
			if files := recordFrom(t, camera.URL(), 30); len(files) > 0 {
				if report, code := stampsIn(t, files...); code != 0 || report.Frames < 30 {
					t.Errorf("recorded is %+v, exit code %d", report, code)
				}
			}
		})
	}
}

func TestFilmsThatCannotBePlayedAreNamed(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg")
	dir := t.TempDir()
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"b.mp4":   {[]string{"-c:v", "libx264", "-bf", "2"}, errFilmOrder.Error()},
		"b.h264":  {[]string{"-c:v", "libx264", "-bf", "2"}, errFilmOrder.Error()},
		"b.hevc":  {[]string{"-c:v", "libx265", "-x265-params", "log-level=error"}, errFilmOrder.Error()},
		"m4v.mp4": {[]string{"-c:v", "mpeg4"}, "the video is"},
		"a.gif":   {nil, errFilmUnknown.Error()},
	} {
		path := filepath.Join(dir, name)
		makeFilm(t, path, test.args...)
		if _, err := readFilm(path); err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

func TestEveryOddityCanBeHad(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for _, odd := range fakecamOddities {
		if seen[odd.name] || odd.about == "" {
			t.Errorf("the oddity %s comes twice, or without a description", odd.name)
		}
		seen[odd.name] = true
		text := odd.name
		if odd.takesDuration() {
			text += "=1h"
		}
		o := fakecamOptions{listen: "127.0.0.1:0", codec: "h264", user: "u", password: "p", audio: "aac", oddities: []string{text}}
		camera, timed, err := o.start()
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if (len(timed) == 1) != (odd.do != nil) {
			t.Errorf("%s: %d things happen from time to time", text, len(timed))
		}
		if err := camera.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestWhatACameraDoesWrongComesAgain(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg")
	camera := startFakecam(t, "--oddity", "drop=1500ms", "--oddity", "jump=1s", "--oddity", "repeat-packet=200ms")
	reader := exec.CommandContext(t.Context(), "ffmpeg", "-v", "quiet", "-rtsp_transport", "tcp", "-i", camera.urls[0],
		"-c", "copy", "-f", "null", "-")
	if err := reader.Start(); err != nil {
		t.Fatal(err)
	}
	if ended := camera.await("session_ended"); ended["session"] != 1.0 {
		t.Errorf("the camera says %v", ended)
	}
	_ = reader.Wait() // it was dropped
	for did := map[any]int{}; did["jump"] < 2 || did["drop"] < 2; {
		did[camera.await("oddity")["oddity"]]++
	}
	camera.stop()
}

func TestStampsReport(t *testing.T) {
	t.Parallel()
	frames := tally{}
	for _, n := range []uint64{5, 6, 6, 9, 1 << 32, 1<<32 + 2} {
		frames[stampedID(n)]++
	}
	r := reportStamps(frames, 2)
	if r.Frames != 8 || r.Missing != 3 || r.Repeated != 1 || len(r.Sessions) != 2 {
		t.Errorf("%+v", r)
	}
	if want := (stampedSession{First: 5, Last: 9, Frames: 3, Missing: 2, Repeated: 1}); r.Sessions[0] != want {
		t.Errorf("the first session is %+v, want %+v", r.Sessions[0], want)
	}
	var text strings.Builder
	r.write(&text)
	if !strings.HasPrefix(text.String(), "8 frames, 3 missing, 1 repeated, 2 without a stamp\nsession 1: counters 5 to 9,") {
		t.Errorf("it reads\n%s", text.String())
	}
}
