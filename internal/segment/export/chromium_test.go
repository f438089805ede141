package export

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

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
				if got := playInChromium(t, path); got != c.want {
					t.Errorf("%s: %s, want %s", filepath.Base(path), got, c.want)
				}
			}
		})
	}
}

// playInChromium returns what the page reports.
func playInChromium(t *testing.T, path string) string {
	t.Helper()
	reports := make(chan string, 10)
	site := http.NewServeMux()
	site.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(player))
	})
	site.HandleFunc("GET /file", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, path) })
	site.HandleFunc("POST /report", func(_ http.ResponseWriter, r *http.Request) {
		body := make([]byte, 1000)
		n, _ := r.Body.Read(body)
		reports <- string(body[:n])
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
