package export

import (
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam/stamps"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// player is a page that plays a file, and then reports what it saw.
const player = `<!doctype html><video id=v muted src="/file"></video><script>
const v = document.getElementById('v');
const report = what => fetch('/report', {method: 'POST', body: JSON.stringify([what, v.error && v.error.message, v.videoWidth,
	v.getVideoPlaybackQuality().totalVideoFrames, v.webkitAudioDecodedByteCount > 0, Math.round(v.duration)])});
v.onerror = () => report('error');
v.onended = () => report('ended');
v.play().catch(e => report(String(e)));
</script>`

// TestChromiumPlaysMP4 to its end, with all of its pictures and its sound.
func TestChromiumPlaysMP4(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg", "chromium")
	for _, c := range []struct {
		name   string
		record []string // segments, 2 s apart
		want   string
	}{
		{"B-frames and AAC", []string{h264 + " -bf 3" + aac}, `["ended",null,320,25,true,1]`},
		{"no audio", []string{h264 + " -bf 0"}, `["ended",null,320,25,false,1]`},
		{"A-law", []string{h264 + " -map 1:a -c:a pcm_alaw -ar 8000 -ac 1"}, `["ended",null,320,25,true,1]`},
		{"mu-law", []string{h264 + " -map 1:a -c:a pcm_mulaw -ar 8000 -ac 1"}, `["ended",null,320,25,true,1]`},
		{"a change of the resolution", []string{h264, h264 + " -s 640x360"}, `["ended",null,640,50,false,3]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := open(t, t.TempDir())
			for i, args := range c.record {
				recordFile(t, s, begin.Add(time.Duration(i)*2*time.Second), encoded(t, 1, args))
			}
			_, stream, file, _ := exports(t, s)
			for _, path := range []string{stream, file} {
				if got := playInChromium(t, player, path); got != c.want {
					t.Errorf("%s: %s, want %s", filepath.Base(path), got, c.want)
				}
			}
		})
	}
}

// seeker is a page that seeks to the middle of each picture, and reports the counters that these show.
const seeker = `<!doctype html><video id=v muted src="/file"></video><script>%s
const v = document.getElementById('v'), times = %s, shown = [];
const canvas = document.createElement('canvas');
const report = what => fetch('/report', {method: 'POST', body: what});
// From the last one on, as the first one is shown already; and only a frame that was presented says which one it is.
const next = () => {
	if (shown.length === times.length) return report(JSON.stringify(shown.reverse()));
	const at = times[times.length - 1 - shown.length];
	const presented = (now, frame) => {
		if (frame.mediaTime > at || frame.mediaTime < at - 0.03) return v.requestVideoFrameCallback(presented);
		shown.push(pictureStamp(v, canvas));
		next();
	};
	v.requestVideoFrameCallback(presented);
	v.currentTime = at;
};
v.onerror = () => report('error: ' + v.error.message);
v.onloadeddata = () => { canvas.width = v.videoWidth; canvas.height = v.videoHeight; next(); };
</script>`

// TestChromiumShowsTheRecordedPictures compares the counter that each picture shows with the one that its recorded frame has: the camera
// writes it into both.
func TestChromiumShowsTheRecordedPictures(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg", "ffprobe", "chromium")
	camera, err := fakecam.Start(fakecam.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = camera.Close() })
	in := filepath.Join(t.TempDir(), "in.mkv")
	run(t, "ffmpeg", "-v", "error", "-rtsp_transport", "tcp", "-i", camera.URL(), "-map", "0:v", "-c", "copy",
		"-bsf:v", "setts=pts=N*40:dts=N*40", "-frames:v", "40", in)
	s := open(t, t.TempDir())
	key := recordFile(t, s, begin, in)
	var want []uint64
	for b := range blocks(t, s, key) {
		stamp, ok := stamps.OfAccessUnit(b)
		if !ok {
			t.Fatal("a frame has no stamp")
		}
		want = append(want, stamp.Counter&0xFFFF)
	}
	page, err := os.ReadFile("../../../docs/cameras.md")
	if err != nil {
		t.Fatal(err)
	}
	_, code, found := strings.Cut(string(page), "```js\n")
	code, _, ended := strings.Cut(code, "```\n")
	if !found || !ended {
		t.Fatal("docs/cameras.md has no function that reads a picture")
	}
	_, stream, file, _ := exports(t, s)
	for _, path := range []string{stream, file} {
		times := packetTimes(t, path, "v")
		var middles []float64
		for _, at := range times {
			middles = append(middles, (at - times[0] + 15*time.Millisecond).Seconds())
		}
		list, err := json.Marshal(middles)
		if err != nil {
			t.Fatal(err)
		}
		wanted, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		if got := playInChromium(t, fmt.Sprintf(seeker, code, list), path); got != string(wanted) || len(want) != 40 {
			t.Errorf("%s shows %s at %s, want %s", filepath.Base(path), got, list, wanted)
		}
	}
}

// blocks yields the video frames of a segment.
func blocks(t *testing.T, s *segment.Store, key segment.Key) iter.Seq[[]byte] {
	t.Helper()
	f, err := os.Open(s.Path(key))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	r, err := mkv.Open(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	list, err := r.Fragments()
	if err != nil {
		t.Fatal(err)
	}
	return func(yield func([]byte) bool) {
		for _, fragment := range list {
			for b, err := range r.Blocks(fragment) {
				if err != nil {
					t.Error(err)
				}
				if b.Track == 1 && !yield(b.Data) {
					return
				}
			}
		}
	}
}

// playInChromium returns what a page about a file reports.
func playInChromium(t *testing.T, page, path string) string {
	t.Helper()
	reports := make(chan string, 10)
	site := http.NewServeMux()
	site.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(page))
	})
	site.HandleFunc("GET /file", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, path) })
	site.HandleFunc("POST /report", func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(io.LimitReader(r.Body, 10_000))
		reports <- string(body)
	})
	server := httptest.NewServer(site)
	defer server.Close()
	profile, err := os.MkdirTemp("", "chromium")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(profile) }() // as far as its processes have ended
	cmd := exec.CommandContext(t.Context(), "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
		"--disable-background-networking", "--autoplay-policy=no-user-gesture-required", "--user-data-dir="+profile, server.URL)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL), cmd.Wait() }() // and what it started
	select {
	case report := <-reports:
		return report
	case <-time.After(2 * time.Minute):
		return "nothing"
	}
}
