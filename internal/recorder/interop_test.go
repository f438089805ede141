package recorder

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// gstServer starts GStreamer's RTSP server on a file and returns the URL.
func gstServer(t *testing.T, file string) string {
	t.Helper()
	cmd := exec.Command("/usr/bin/python3", "testdata/rtspserver.py", file)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	port, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the server does not say its port: %v", err)
	}
	return "rtsp://127.0.0.1:" + strings.TrimSpace(port) + "/file"
}

// TestStreamsOfAnotherServer records what GStreamer serves, and compares the decoded pictures with
// those of the file it plays.
func TestStreamsOfAnotherServer(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg", "ffprobe", "mkvinfo", "/usr/bin/python3")
	for name, encoding := range map[string][]string{
		"one slice, no B-frames": {"-preset", "veryfast", "-bf", "0", "-g", "50"},
		"B-frames, many slices":  {"-preset", "veryfast", "-bf", "2", "-g", "40", "-x264-params", "slices=4:open-gop=0"},
		"GOPs of 0.4 s":          {"-preset", "ultrafast", "-tune", "zerolatency", "-g", "10"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := filepath.Join(t.TempDir(), "source.mkv")
			arguments := slices.Concat([]string{"-v", "error", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25:duration=4", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-sc_threshold", "0"}, encoding, []string{source})
			if out, err := exec.Command("ffmpeg", arguments...).CombinedOutput(); err != nil {
				t.Fatalf("ffmpeg: %v %s", err, out)
			}
			want := frameSums(t, source)
			r := record(t, nil, gstServer(t, source), func(o *Options) { o.SegmentDuration = 2 * time.Second })
			r.awaitFrames(int64(len(want)))
			r.finish()
			var got []string
			for _, info := range r.store.Segments("door", time.Time{}, time.Time{}) {
				stem := info.StartTime().Format("20060102T150405.000Z")
				paths, err := filepath.Glob(filepath.Join(r.dir, "door", stem+"*.mkv"))
				if err != nil || len(paths) != 1 {
					t.Fatal(paths, err)
				}
				mustBeClean(t, paths[0])
				got = append(got, frameSums(t, paths[0])...)
			}
			if len(got) < len(want) {
				t.Fatalf("%d pictures are recorded, the server sent %d", len(got), len(want))
			}
			for i, sum := range want {
				if got[i] != sum {
					t.Fatalf("picture %d differs from the source's", i)
				}
			}
		})
	}
}

// mustBeClean has tools of others look at a file.
func mustBeClean(t *testing.T, path string) {
	t.Helper()
	for _, command := range [][]string{
		{"ffprobe", "-v", "warning", "-show_streams", "-of", "csv", path},
		// In ms, as slewed times need not be 40 ms apart.
		{"ffmpeg", "-v", "warning", "-guess_layout_max", "0", "-i", path, "-fps_mode", "passthrough", "-enc_time_base", "1:1000", "-f", "null", "-"},
		{"mkvinfo", "--verbose", path},
	} {
		cmd := exec.Command(command[0], command[1:]...)
		var problems strings.Builder
		cmd.Stderr = &problems
		out, err := cmd.Output()
		if text := string(out); err != nil || problems.Len() > 0 || strings.Contains(text, "Warning") || strings.Contains(text, "Error") {
			t.Errorf("%s: %v %s", command[0], err, problems.String())
		}
		if command[0] == "ffprobe" && !strings.Contains(string(out), "h264") && !strings.Contains(string(out), "hevc") {
			t.Errorf("ffprobe sees %s", out)
		}
	}
}
