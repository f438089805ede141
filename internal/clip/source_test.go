package clip_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/clip"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// x264 has the encoder arguments of a test's pictures.
var x264 = []string{"-c:v", "libx264", "-pix_fmt", "yuv420p", "-preset", "veryfast", "-an"}

// makeFile has ffmpeg make a file in a directory, of a duration in seconds.
func makeFile(t *testing.T, dir, name, seconds string, arguments ...string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	arguments = slices.Concat([]string{"-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=" + seconds},
		arguments, []string{path})
	if out, err := exec.Command("ffmpeg", arguments...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v %s", err, out)
	}
	return path
}

func TestAFileThatCannotBePlayedIsNamed(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg")
	dir, outside := t.TempDir(), t.TempDir()
	secretFile := makeFile(t, outside, "private.mkv", "1", x264...)
	for link, target := range map[string]string{"link.mkv": secretFile, "up": outside} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	inside := makeFile(t, dir, "inside.mkv", "1", x264...)
	if err := os.Symlink("inside.mkv", filepath.Join(dir, "good.mkv")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "text.mp4"), []byte("this is not a film"), 0o600); err != nil {
		t.Fatal(err)
	}
	makeFile(t, dir, "vp8.mkv", "1", "-c:v", "libvpx", "-an")
	whole, err := os.ReadFile(inside)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "head.mkv"), whole[:20], 0o600); err != nil {
		t.Fatal(err)
	}
	if err := exec.Command("mkfifo", filepath.Join(dir, "pipe.mkv")).Run(); err != nil {
		t.Fatal(err)
	}
	for url, says := range map[string]string{
		"file:///missing.mkv":            "There is no media file missing.mkv",
		"file:///link.mkv":               "must lie in",
		"file:///up/private.mkv":         "must lie in",
		"file:///../private.mkv":         "must lie in",
		"file://" + secretFile:           "no media file private.mkv",
		"file:///text.mp4":               "neither MP4 nor Matroska",
		"file:///vp8.mkv":                "V_VP8",
		"file:///head.mkv":               "has no video",
		"file:///pipe.mkv":               "is not a file",
		"file:///":                       "file:///door.mp4",
		"rtsp://user:hunter2@10.0.0.1/x": "FILE_URI",
		"file:///inside.mkv?loop=often":  "loop",
		"file:///good.mkv":               "",
	} {
		_, err := clip.Probe(t.Context(), secret.New(url), clip.Options{Directory: dir})
		switch fault := health.FaultOf(err, ""); {
		case says == "" && err != nil:
			t.Errorf("%s: %v", url, err)
		case says != "" && (err == nil || fault.Class != health.UserError || !strings.Contains(fault.Text, says) ||
			strings.Contains(err.Error(), "hunter2")):
			t.Errorf("%s: %v", url, err)
		}
	}
	seen, err := clip.Probe(t.Context(), secret.New("file:///inside.mkv"), clip.Options{Directory: dir})
	if err != nil || seen.Codec != "H.264" || seen.Width != 320 || seen.FPS < 20 {
		t.Errorf("%+v %v", seen, err)
	}
}
