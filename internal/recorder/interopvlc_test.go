package recorder

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// nobody is the user VLC runs as when the tests run as root, as it refuses to run as root.
const nobody = 65534

// vlcServer has VLC send a file over RTSP, once and in real time, whether or not a client is connected. It returns the host and the path.
func vlcServer(t *testing.T, file, output string, options ...string) string {
	t.Helper()
	address := testtools.HeldAddress(t, "127.0.0.1")
	_, port, _ := net.SplitHostPort(address)
	source, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = source.Close() }()
	arguments := []string{"-I", "dummy", "--no-color", "--play-and-exit", "--rtsp-host", "127.0.0.1",
		"fd://0", "--sout", "#rtp{" + output + "sdp=rtsp://:" + port + "/file}"}
	cmd := exec.Command("cvlc", append(arguments, options...)...)
	var said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = source, &said, &said // the file may be readable by root only
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // cvlc is a script
	if os.Getuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("VLC said\n%s", said.String())
		}
	})
	return address + "/file"
}

// awaitAudio waits until VLC describes the audio: it begins to serve before it has found all tracks of its file.
func awaitAudio(t *testing.T, url string) {
	t.Helper()
	testtools.Eventually(t, time.Minute, func() error {
		conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(url, "rtsp://"), "/file"))
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		if _, err := fmt.Fprintf(conn, "DESCRIBE %s RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n", url); err != nil {
			return err
		}
		var said []byte
		for answer := bufio.NewReader(conn); !bytes.Contains(said, []byte("m=audio")); {
			line, err := answer.ReadSlice('\n')
			if err != nil {
				return fmt.Errorf("VLC describes %q: %w", said, err)
			}
			said = append(said, line...)
		}
		return nil
	})
}

// vlcSource makes a file of 30 s.
func vlcSource(t *testing.T, encoding ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "source.mkv")
	arguments := []string{"-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25:duration=30",
		"-f", "lavfi", "-i", "sine=frequency=500:duration=30"}
	if out, err := exec.Command("ffmpeg", slices.Concat(arguments, encoding, []string{path})...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v %s", err, out)
	}
	return path
}

// TestInteropVLC records what VLC sends, from the first keyframe after it started, and compares it with the file that it plays. VLC sends
// over UDP only: it refuses TCP.
func TestInteropVLC(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg", "ffprobe", "mkvinfo", "cvlc")
	if plugins, err := filepath.Glob("/usr/lib/*/vlc/plugins/stream_out/libstream_out_rtp_plugin.so"); err != nil || len(plugins) == 0 {
		testtools.Need(t, "VLC's plugin for RTP, of vlc-plugin-base,")
	}
	aac := []string{"-c:a", "aac", "-ar", "16000", "-ac", "1"}
	h264 := vlcSource(t, slices.Concat(x264("-bf", "0", "-g", "25"), aac)...)
	bFrames := vlcSource(t, slices.Concat(x264("-bf", "2", "-g", "25", "-x264-params", "slices=3:open-gop=0"),
		[]string{"-c:a", "pcm_mulaw", "-ar", "8000", "-ac", "1"})...)
	h265 := vlcSource(t, slices.Concat(x265("keyint=25:bframes=0"), aac)...)
	for _, c := range []struct {
		name     string
		file     string
		output   string // how VLC sends
		options  []string
		user     string // in the URL
		g711     bool
		reorder  int    // pictures that may be sent before one that is shown ahead of them
		sentence string // that is expected instead of a recording
		change   func(*Options)
	}{
		{name: "H.264 and AAC", file: h264},
		{name: "B-frames, slices and G.711", file: bFrames, g711: true, reorder: 3},
		{name: "H.265 and AAC", file: h265},
		{name: "MPEG-TS, H.264 and AAC", file: h264, output: "mux=ts,"},
		{name: "MPEG-TS, H.265", file: h265, output: "mux=ts,"},
		{name: "UDP alone", file: h264, change: overUDP},
		{name: "TCP alone", file: h264, sentence: "does not send over the transport that was asked for",
			change: func(o *Options) { cameraOf(o).Transport = transportTCP }},
		{name: "login", file: h264, options: []string{"--sout-rtsp-user", "me", "--sout-rtsp-pwd", "p@ss"}, user: "me:p@ss@"},
		{name: "wrong password", file: h264, options: []string{"--sout-rtsp-user", "me", "--sout-rtsp-pwd", "p"}, user: "me:q@",
			sentence: "refuses the user name or password"},
		{name: "sessions of 2 s", file: h264, options: []string{"--rtsp-timeout", "2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			url := "rtsp://" + c.user + vlcServer(t, c.file, c.output, c.options...)
			if c.sentence == "" && c.output == "" && c.user == "" {
				awaitAudio(t, url)
			}
			r := record(t, nil, url, func(o *Options) {
				if o.SegmentDuration = time.Hour; c.change != nil {
					c.change(o)
				}
			})
			if c.sentence != "" {
				r.awaitCondition(c.sentence)
				return
			}
			const frames = 125
			r.awaitFrames(frames)
			r.finish()
			if n := r.number(health.FramesLost); n > 0 {
				t.Errorf("%d frames are lost", n)
			}
			paths, err := filepath.Glob(filepath.Join(r.dir, r.stream, "*.mkv"))
			if err != nil || len(paths) != 1 {
				t.Fatal(paths, err)
			}
			mustBeStrict(t, paths[0])
			got := cleanPictures(t, paths[0])
			// The end may separate a P-picture from the B-pictures that are shown before it.
			mustBeRun(t, "pictures", got[:max(len(got)-c.reorder, 0)], frameSums(t, c.file), frames-c.reorder)
			if c.g711 { // VLC packetizes it differently from the file
				mustBeRun(t, "samples", samples(t, paths[0]), samples(t, c.file), 8000)
				return
			}
			source := packetSums(t, c.file)
			heard := slices.DeleteFunc(packetSums(t, paths[0]), func(sum string) bool { return !slices.Contains(source, sum) })
			mustBeRun(t, "packets of audio", heard, source, 60)
		})
	}
}

// samples returns the audio samples of a file, without the silence that the recorder adds.
func samples(t *testing.T, path string) (list []string) {
	t.Helper()
	out, err := exec.Command("ffmpeg", "-v", "error", "-i", path, "-map", "0:a", "-c", "copy", "-f", "mulaw", "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range bytes.ReplaceAll(out, bytes.Repeat([]byte{0xff}, 160), nil) {
		list = append(list, strconv.Itoa(int(b)))
	}
	return list
}

// mustBeRun expects the recorded items to be a run of the source's, without a hole and with a least length.
func mustBeRun(t *testing.T, what string, got, source []string, least int) {
	t.Helper()
	if len(got) < least {
		t.Fatalf("%d %s are recorded, want %d", len(got), what, least)
	}
	longest := 0
	for begin := range source {
		n := 0
		for n < len(got) && begin+n < len(source) && source[begin+n] == got[n] {
			n++
		}
		longest = max(longest, n)
	}
	if longest < len(got) {
		t.Errorf("of %d %s the first %d are the source's, one after the other, and the next is another", len(got), what, longest)
	}
}
