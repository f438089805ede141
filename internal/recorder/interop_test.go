package recorder

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/lossy"
)

// gstServer starts GStreamer's RTSP server on a file and returns the URL without its scheme.
func gstServer(t *testing.T, file string, options ...string) string {
	t.Helper()
	cmd := exec.Command("/usr/bin/python3", append([]string{"testdata/rtspserver.py", file}, options...)...)
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
		t.Fatalf("the server does not print its port: %v", err)
	}
	return "127.0.0.1:" + strings.TrimSpace(port) + "/file"
}

// x264 and x265 return the encoder arguments of a test's pictures.
func x264(arguments ...string) []string {
	return append([]string{"-c:v", "libx264", "-pix_fmt", "yuv420p", "-sc_threshold", "0", "-preset", "veryfast"}, arguments...)
}

func x265(parameters string) []string {
	return []string{"-c:v", "libx265", "-pix_fmt", "yuv420p", "-preset", "ultrafast", "-x265-params", "log-level=error:" + parameters}
}

// TestInterop records what GStreamer serves, and compares the decoded pictures with those of the
// file it plays: they are equal, one by one, except for those that were lost on the wire and those that cannot
// be decoded without them.
func TestInterop(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg", "ffprobe", "mkvinfo", "/usr/bin/python3")
	for _, c := range []struct {
		name     string
		encoding []string
		audio    []string
		server   []string
		whole    bool    // one segment: pictures of an open GOP reference pictures before its start
		loss     float64 // share of the packets of RTP
		change   func(*Options)
		scheme   string // default rtsp://, or rtsps:// of a server with TLS
	}{
		{name: "one slice, no B-frames", encoding: x264("-bf", "0", "-g", "50")},
		{name: "B-frames, many slices", encoding: x264("-bf", "2", "-g", "40", "-x264-params", "slices=4:open-gop=0")},
		{name: "two slices per picture", encoding: x264("-bf", "0", "-g", "25", "-x264-params", "slices=2")},
		{name: "open GOP", encoding: x264("-bf", "2", "-g", "40", "-x264-params", "open-gop=1"), whole: true},
		{name: "GOPs of 0.4 s", encoding: x264("-tune", "zerolatency", "-g", "10")},
		{name: "H.265", encoding: x265("keyint=25:bframes=0"), server: []string{"h265"}},
		{name: "H.265, B-frames, open GOP, two slices", encoding: x265("keyint=30:bframes=3:slices=2:open-gop=1"), server: []string{"h265"},
			whole: true},
		{name: "AAC", encoding: x264("-bf", "0", "-g", "25"), audio: []string{"-c:a", "aac", "-ar", "16000", "-ac", "1"},
			server: []string{"aac"}},
		{name: "G.711", encoding: x264("-bf", "0", "-g", "25"), audio: []string{"-c:a", "pcm_mulaw", "-ar", "8000", "-ac", "1"},
			server: []string{"pcmu"}},
		{name: "UDP", encoding: x264("-bf", "0", "-g", "25"), change: overUDP},
		{name: "UDP with 1 % loss", encoding: x264("-bf", "0", "-g", "25"), loss: 0.01, change: overUDP},
		{name: "H.265, UDP with 1 % loss", encoding: x265("keyint=25:bframes=0"), server: []string{"h265"}, loss: 0.01, change: overUDP},
		{name: "UDP only", encoding: x264("-bf", "0", "-g", "25"), server: []string{"udp-only", "aac"},
			audio: []string{"-c:a", "aac", "-ar", "16000", "-ac", "1"}},
		{name: "MPEG-TS", encoding: x264("-bf", "0", "-g", "25"), server: []string{"mpegts"}},
		{name: "MPEG-TS, B-frames, slices, AAC", encoding: x264("-bf", "2", "-g", "40", "-x264-params", "slices=4:open-gop=0"),
			audio: []string{"-c:a", "aac", "-ar", "16000", "-ac", "1"}, server: []string{"mpegts", "aac"}},
		{name: "MPEG-TS, H.265, UDP", encoding: x265("keyint=25:bframes=2"), server: []string{"mpegts", "h265"}, change: overUDP},
		{name: "TLS", encoding: x264("-bf", "0", "-g", "25"), server: []string{"tls"}},
		{name: "SRTP", encoding: x264("-bf", "0", "-g", "25"), server: []string{"tls", "srtp"}},
		{name: "SRTP over UDP", encoding: x264("-bf", "0", "-g", "25"), server: []string{"tls", "srtp", "udp-only"}},
		{name: "HTTP", encoding: x264("-bf", "2", "-g", "25"), audio: []string{"-c:a", "aac", "-ar", "16000", "-ac", "1"},
			server: []string{"aac"}, scheme: "rtsph://"},
		{name: "HTTP over TLS", encoding: x264("-bf", "0", "-g", "25"), server: []string{"tls"}, scheme: "rtspsh://"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			source := filepath.Join(t.TempDir(), "source.mkv")
			arguments := []string{"-v", "error", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25:duration=4"}
			if c.audio != nil {
				arguments = append(arguments, "-f", "lavfi", "-i", "sine=frequency=500:duration=4")
			}
			arguments = slices.Concat(arguments, c.encoding, c.audio, []string{source})
			if out, err := exec.Command("ffmpeg", arguments...).CombinedOutput(); err != nil {
				t.Fatalf("ffmpeg: %v %s", err, out)
			}
			url := "rtsp://"
			query := ""
			if slices.Contains(c.server, "tls") {
				certificate, pin := pinnedTLS(t)
				url, query, c.server = "rtsps://", pin, append(slices.Clone(c.server), certificate...)
			}
			url = cmp.Or(c.scheme, url)
			want := frameSums(t, source)
			if slices.Contains(c.server, "mpegts") {
				want = want[:len(want)-1] // the multiplexer holds the last one back, as nothing follows it
			}
			server := gstServer(t, source, c.server...)
			var network *lossy.Proxy
			if c.loss > 0 {
				address, path, _ := strings.Cut(server, "/")
				network = lossy.New(t, address, lossy.Random(3, lossy.Shares{Drop: c.loss, Double: c.loss, Late: c.loss}))
				server = network.Address() + "/" + path
			}
			r := record(t, nil, url+server+query, func(o *Options) {
				if o.SegmentDuration = 2 * time.Second; c.whole {
					o.SegmentDuration = time.Hour
				}
				if c.change != nil {
					c.change(o)
				}
			})
			r.await("all frames", func() bool {
				return r.number(health.FramesRecorded)+r.number(health.FramesLost) >= int64(len(want))
			})
			r.finish()
			var got, sounds []string
			for _, info := range r.recordings() {
				stem := info.StartTime().Format("20060102T150405.000Z")
				paths, err := filepath.Glob(filepath.Join(r.dir, r.stream, stem+"*.mkv"))
				if err != nil || len(paths) != 1 {
					t.Fatal(paths, err)
				}
				mustBeStrict(t, paths[0])
				got = append(got, cleanPictures(t, paths[0])...)
				if c.audio != nil {
					sounds = append(sounds, packetSums(t, paths[0])...)
				}
			}
			if network != nil {
				if lost := int64(len(want) - len(got)); lost == 0 || r.number(health.FramesLost) != lost {
					t.Errorf("of %d pictures %d are recorded and %d reported as lost", len(want), len(got), r.number(health.FramesLost))
				}
				want = decodable(network.Events(), want, 25)
				if len(got) > len(want) {
					t.Fatalf("%d pictures are recorded, %d can be decoded", len(got), len(want))
				}
				t.Logf("%d pictures are recorded, %d reported as lost", len(got), r.number(health.FramesLost))
			}
			if len(got) < len(want) {
				t.Fatalf("%d pictures are recorded, the server sent %d", len(got), len(want))
			}
			if slices.Contains(c.server, "mpegts") {
				want = want[:len(want)-3] // with B-frames it is not one of the last that are shown
			}
			for i, sum := range want {
				if got[i] != sum {
					t.Fatalf("picture %d differs from the source's", i)
				}
			}
			if c.audio != nil {
				expectSounds(t, sounds, packetSums(t, source))
			}
		})
	}
}

// pinnedTLS returns the options for a server with a certificate, and the URL's query that pins it.
func pinnedTLS(t *testing.T) (options []string, query string) {
	t.Helper()
	pair, leaf := selfSigned(t)
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "server.pem")
	both := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
	if err := os.WriteFile(path, both, 0o600); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(leaf.Raw)
	return []string{"tls=" + path}, "?fingerprint=" + hex.EncodeToString(sum[:])
}

// decodable returns the pictures of a source of which every packet arrived, and every packet of
// the earlier pictures in their GOP. Those after a hole were not all lost on the wire, but a
// decoder lacks the picture that they are predicted from, and reports it: a file with them
// would not decode without errors.
func decodable(events []lossy.Event, source []string, gop int) (list []string) {
	n, clean := -1, false
	for i, e := range events {
		if i == 0 || e.Timestamp != events[i-1].Timestamp {
			if n++; n%gop == 0 {
				clean = true
			}
		}
		clean = clean && e.Fate != lossy.Drop
		if clean && (i+1 == len(events) || events[i+1].Timestamp != e.Timestamp) {
			list = append(list, source[n])
		}
	}
	return list
}

// expectSounds expects nearly all of the source's audio, in order; some of it precedes the first picture.
func expectSounds(t *testing.T, got, source []string) {
	t.Helper()
	found, at := 0, 0
	for _, sum := range source {
		if n := slices.Index(got[at:], sum); n >= 0 {
			at += n + 1
			found++
		}
	}
	if found < len(source)*8/10 {
		t.Errorf("%d of %d packets of audio are recorded", found, len(source))
	}
}

// packetSums returns the checksums of the audio packets in a file.
func packetSums(t *testing.T, path string) []string {
	t.Helper()
	out, err := exec.Command("ffmpeg", "-v", "error", "-guess_layout_max", "0", "-i", path, "-map", "0:a", "-c", "copy",
		"-f", "framemd5", "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	return sums(string(out))
}

// mustBeClean checks a file with independent tools.
func mustBeClean(t *testing.T, path string) {
	t.Helper()
	decode(t, path, "-f", "null")
}

// cleanPictures is mustBeClean, and returns the checksums of the pictures from the same decoding, which takes
// most of the time.
func cleanPictures(t *testing.T, path string, filter ...string) (list []string) {
	t.Helper()
	for line := range strings.Lines(decode(t, path, slices.Concat(filter, checksums)...)) {
		if strings.HasPrefix(line, "0,") { // the first track
			list = append(list, sums(line)...)
		}
	}
	return list
}

// squeezed is ffmpeg's message about reordered pictures whose times were squeezed: on a machine that is very late they are
// moved to stay near their arrival, by different amounts.
const squeezed = "non monotonically increasing dts"

// decode checks a file, and returns what ffmpeg writes when it converts it to a format.
func decode(t *testing.T, path string, format ...string) (written string) {
	t.Helper()
	return decodeBut(t, path, "", format...)
}

// decodeBut is decode without what is said of something.
func decodeBut(t *testing.T, path, forgiven string, format ...string) (written string) {
	t.Helper()
	for _, command := range [][]string{
		{"ffprobe", "-v", "warning", "-show_streams", "-of", "csv", path},
		// In ms, as slewed times may not be 40 ms apart.
		slices.Concat([]string{"ffmpeg", "-v", "warning", "-guess_layout_max", "0", "-i", path, "-fps_mode", "passthrough",
			"-enc_time_base", "1:1000"}, format, []string{"-"}),
		{"mkvinfo", "--verbose", path},
	} {
		cmd := exec.Command(command[0], command[1:]...)
		var problems strings.Builder
		cmd.Stderr = &problems
		out, err := cmd.Output()
		// A file of one frame has no duration.
		said := slices.DeleteFunc(slices.Collect(strings.Lines(problems.String())), func(line string) bool {
			return strings.Contains(line, "Estimating duration from bitrate") ||
				forgiven != "" && (strings.Contains(line, forgiven) || strings.Contains(line, "Last message repeated"))
		})
		if text := string(out); err != nil || len(said) > 0 || strings.Contains(text, "Warning") || strings.Contains(text, "Error") {
			t.Errorf("%s: %v %s", command[0], err, strings.Join(said, ""))
		}
		if command[0] == "ffprobe" && !strings.Contains(string(out), "h264") && !strings.Contains(string(out), "hevc") {
			t.Errorf("ffprobe sees %s", out)
		}
		if command[0] == "ffmpeg" {
			written = string(out)
		}
	}
	return written
}
