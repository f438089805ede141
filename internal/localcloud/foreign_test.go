package localcloud

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// foreignPatience bounds a run of a foreign program.
const foreignPatience = 3 * time.Minute

// The start of the media that foreign producers send.
var foreignStart = time.Date(2026, 11, 21, 4, 0, 0, 123e6, time.UTC)

// foreign is a program that nobody here wrote, in a directory of the test.
func foreign(t *testing.T, stdin io.Reader, dir, name string, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), foreignPatience)
	defer cancel()
	command := exec.CommandContext(ctx, name, args...)
	command.Dir, command.Stdin = dir, stdin
	var out, complaints bytes.Buffer
	command.Stdout, command.Stderr = &out, &complaints
	if err := command.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, &out, &complaints)
	}
	return out.Bytes()
}

// curl makes a request that it signs itself.
func curl(t *testing.T, stdin io.Reader, c *Cloud, dir string, args ...string) []byte {
	t.Helper()
	env := envOf(c.UserEnv())
	return foreign(t, stdin, dir, "curl", append([]string{
		"--silent", "--show-error", "--fail-with-body", "--http1.1", "--cacert", env["AWS_CA_BUNDLE"],
		"--aws-sigv4", "aws:amz:" + Region + ":kinesisvideo", "--user", env["AWS_ACCESS_KEY_ID"] + ":" + env["AWS_SECRET_ACCESS_KEY"],
	}, args...)...)
}

// film makes 6 s of H.264 with a key frame every 2 s as ffmpeg writes it to a pipe.
func film(t *testing.T, dir string, offset time.Duration) io.Reader {
	t.Helper()
	return bytes.NewReader(foreign(t, nil, dir, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25:duration=6",
		"-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-keyint_min", "50", "-sc_threshold", "0", "-bf", "0",
		"-output_ts_offset", fmt.Sprintf("%.3f", offset.Seconds()), "-f", "matroska", "-live", "1",
		"-cluster_time_limit", "9000", "-cluster_size_limit", "5M", "pipe:1"))
}

// A producer nobody here wrote: ffmpeg makes the media, and curl signs and sends it.
func TestCurlPutsWhatFFmpegMade(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "curl", "ffmpeg", "ffprobe")
	for _, timecodes := range []string{"RELATIVE", "ABSOLUTE"} {
		t.Run(timecodes, func(t *testing.T) {
			t.Parallel()
			c := start(t, Options{Seed: seed(t)})
			dir := t.TempDir()
			offset := time.Duration(0)
			if timecodes == "ABSOLUTE" {
				offset = time.Duration(foreignStart.UnixNano())
			}
			answer := curl(t, film(t, dir, offset), c, dir, "--request", "POST", "--upload-file", "-",
				"--header", "x-amzn-stream-name: cam", "--header", "x-amzn-fragment-timecode-type: "+timecodes,
				"--header", fmt.Sprintf("x-amzn-producer-start-timestamp: %d.%03d", foreignStart.Unix(), foreignStart.UnixMilli()%1000),
				c.Endpoint()+"/putMedia")
			for event, want := range map[string]int{"PERSISTED": 3, "ERROR": 0} {
				if n := bytes.Count(answer, []byte(event)); n != want {
					t.Errorf("%d times %s, want %d: %s", n, event, want, answer)
				}
			}
			for i, f := range c.Media().Fragments("cam") {
				if want := foreignStart.Add(time.Duration(i) * 2 * time.Second); !f.Producer.Equal(want) || f.Frames != 50 {
					t.Errorf("fragment %d begins at %v with %d frames, want %v and 50", i, f.Producer, f.Frames, want)
				}
			}
			readBack(t, c, dir, 150)
		})
	}
}

// readBack is a reader nobody here wrote: curl asks GetMedia, and ffmpeg decodes what comes.
func readBack(t *testing.T, c *Cloud, dir string, frames int) {
	t.Helper()
	media := curl(t, nil, c, dir, "--header", "content-type: application/json",
		"--data", `{"StreamName":"cam","StartSelector":{"StartSelectorType":"EARLIEST"}}`, c.Endpoint()+"/getMedia")
	path := filepath.Join(dir, "got.mkv")
	must(t, os.WriteFile(path, media, 0o600))
	count := foreign(t, nil, dir, "ffprobe", "-v", "error", "-count_frames", "-select_streams", "v:0",
		"-show_entries", "stream=codec_name,nb_read_frames", "-of", "csv=p=0", path)
	if got, want := strings.TrimSpace(string(count)), fmt.Sprintf("h264,%d", frames); got != want {
		t.Errorf("ffprobe decodes %s, want %s", got, want)
	}
	if out := foreign(t, nil, dir, "ffmpeg", "-v", "error", "-xerror", "-i", path, "-f", "null", "-"); len(out) != 0 {
		t.Errorf("ffmpeg complains: %s", out)
	}
}

// The AWS CLI reads and changes the storage tier.
func TestTheAWSCLIReadsTheStorageTier(t *testing.T) {
	t.Parallel()
	c := start(t, Options{StreamDelay: -1, Seed: &Seed{Streams: []SeedStream{{Name: "cam", RetentionHours: 24}}}})
	dir := t.TempDir()
	var settings []string
	for _, v := range c.UserEnv() {
		settings = append(settings, v.Name+"="+v.Value)
	}
	cli := func(args ...string) string {
		t.Helper()
		command := append(append([]string{"-i", "PATH=" + os.Getenv("PATH"), "HOME=" + dir}, settings...), "aws", "kinesisvideo")
		return strings.TrimSpace(string(foreign(t, nil, dir, "env", append(command, args...)...)))
	}
	if help := cli("describe-stream", "--stream-name", "cam", "--query", "StreamInfo.Status", "--output", "text"); help != "ACTIVE" {
		t.Fatalf("the stream is %q", help)
	}
	if !hasTier(t) {
		t.Skip("this AWS CLI is older than the storage tiers")
	}
	tier := func() string {
		return cli("describe-stream-storage-configuration", "--stream-name", "cam", "--query", "StreamStorageConfiguration.DefaultStorageTier",
			"--output", "text")
	}
	if got := tier(); got != "HOT" {
		t.Errorf("the tier is %q", got)
	}
	version := cli("describe-stream", "--stream-name", "cam", "--query", "StreamInfo.Version", "--output", "text")
	cli("update-stream-storage-configuration", "--stream-name", "cam", "--current-version", version,
		"--stream-storage-configuration", "DefaultStorageTier=WARM")
	if got := tier(); got != "WARM" {
		t.Errorf("after the update the tier is %q", got)
	}
}

// hasTier reports whether the AWS CLI knows the operation.
func hasTier(t *testing.T) bool {
	ctx, cancel := context.WithTimeout(t.Context(), foreignPatience)
	defer cancel()
	out, _ := exec.CommandContext(ctx, "aws", "kinesisvideo", "describe-stream-storage-configuration", "help").CombinedOutput()
	return !strings.Contains(string(out), "Invalid choice") && !strings.Contains(string(out), "invalid choice")
}
