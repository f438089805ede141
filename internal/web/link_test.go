package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/filmed"
)

// linkedFilm is a hub with two films of eight seconds, one after the other, of each of two streams, and a GOP of two seconds.
type linkedFilm struct {
	*rig
	start time.Time
	logs  *observer.ObservedLogs
}

func newLinkedFilm(t *testing.T) linkedFilm {
	t.Helper()
	testtools.Need(t, "ffmpeg", "ffprobe")
	core, logs := observer.New(zapcore.DebugLevel)
	f := linkedFilm{rig: newRig(t, func(o *Options) { o.Log = zap.New(core) }).await(), logs: logs}
	film := filmed.Read(t, filmed.Encode(t, 8, "-c:v libx264 -preset ultrafast -bf 0 -g 50 -keyint_min 50 -sc_threshold 0 -pix_fmt yuv420p"))
	f.start = time.Now().Add(-time.Minute).Truncate(time.Second)
	for _, stream := range []string{"front-door", "yard"} {
		film.Record(t, f.store, stream, f.start, 1)
		film.Record(t, f.store, stream, f.start.Add(8*time.Second), 1)
	}
	return f
}

// link is one to front-door, from so long after its start.
func (f linkedFilm) link(from, to time.Duration, format string) string {
	f.t.Helper()
	body := fmt.Sprintf(`{"stream": "front-door", "from": %q, "to": %q, "format": %q}`, f.start.Add(from).Format(time.RFC3339Nano),
		f.start.Add(to).Format(time.RFC3339Nano), format)
	return decode[linkAnswer](f.t, f.signedIn("view").want(http.StatusOK, http.MethodPost, "/link", body)).Path
}

// frames is how many frames of video ffprobe finds.
func (f linkedFilm) frames(from string) string {
	f.t.Helper()
	out := filmed.Run(f.t, "ffprobe", "-v", "error", "-count_packets", "-select_streams", "v", "-show_entries", "stream=nb_read_packets",
		"-of", "default=nw=1:nk=1", from)
	number, _, _ := strings.Cut(out, "\n") // those of HLS are listed again, as of a program
	return number
}

// TestPlayersPlayALink of HLS, which has the range to whole GOPs, without a session, and no log has its token.
func TestPlayersPlayALink(t *testing.T) {
	t.Parallel()
	f := newLinkedFilm(t)
	path := f.link(3*time.Second, 9*time.Second, "hls")
	if got := f.frames(f.url + path); got != "200" { // from 2 s to 10 s
		t.Errorf("ffprobe finds %s frames", got)
	}
	t.Run("VLC", func(t *testing.T) {
		testtools.Need(t, "cvlc")
		if got := f.frames(throughVLC(t, f.url+path)); got != "200" {
			t.Errorf("VLC passes on %s frames", got)
		}
	})
	if got := f.frames(f.url + f.link(3*time.Second, 9*time.Second, "mp4")); got != "200" {
		t.Errorf("the file has %s frames", got)
	}
	f.pass(time.Hour)
	if out, err := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", f.url+path).CombinedOutput(); err == nil ||
		!strings.Contains(string(out), "403 Forbidden") {
		t.Errorf("after an hour: %v: %s", err, out)
	}
	token := strings.Split(path, "/")[2]
	for _, entry := range f.logs.All() {
		if text := fmt.Sprint(entry.Message, entry.ContextMap()); strings.Contains(text, token[:20]) {
			t.Errorf("a log has the token: %s", text)
		}
	}
	if f.logs.Len() == 0 {
		t.Error("nothing is logged at all")
	}
}

// throughVLC has VLC play an address, and pass on what it plays to a file.
func throughVLC(t *testing.T, address string) (file string) {
	t.Helper()
	home, err := os.MkdirTemp("", "vlc") // not below that of the test, which another user may not enter
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	must(t, os.Chmod(home, 0o777))
	file = filepath.Join(home, "pictures.h264")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "cvlc", "-I", "dummy", "--no-sout-audio", "--sout", "#std{access=file,mux=dummy,dst="+file+"}",
		address, "vlc://quit")
	cmd.Env = append(os.Environ(), "HOME="+home)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // cvlc is a script
	if os.Getuid() == 0 {                                 // as root it does nothing
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("VLC: %v\n%s", err, said)
	} else if _, err := os.Stat(file); err != nil {
		t.Fatalf("VLC passes on nothing: %s", said)
	}
	return file
}

// TestALinkLeadsNowhereElse: not to other media, with none of the resources of HLS, nor to anything that changes.
func TestALinkLeadsNowhereElse(t *testing.T) {
	t.Parallel()
	f := newLinkedFilm(t)
	stranger := f.browser()
	stranger.header = http.Header{}
	at, err := url.Parse(f.link(3*time.Second, 5*time.Second, "hls"))
	must(t, err)
	base := strings.TrimSuffix(at.Path, "master.m3u8")
	// A link to all of it says how the rest is addressed.
	wide, err := url.Parse(f.link(0, 16*time.Second, "hls"))
	must(t, err)
	list := func(of *url.URL) string {
		return stranger.want(http.StatusOK, http.MethodGet, strings.Replace(of.Path, "master", "media", 1)+"?"+of.RawQuery, "")
	}
	all, mine := list(wide), list(at)
	parts := regexp.MustCompile(`media\.mp4\?.*|init\.mp4\?[^"]*`)
	allowed := parts.FindAllString(mine, -1)
	if len(allowed) != 3 { // the description of the tracks, and the GOPs of 2 and 4 s
		t.Fatalf("the playlist is\n%s", mine)
	}
	for _, part := range allowed {
		stranger.want(http.StatusOK, http.MethodGet, base+part, "")
	}
	refused := 0
	for _, part := range parts.FindAllString(all, -1) {
		if strings.Contains(mine, part) || strings.HasPrefix(part, "init") {
			continue
		}
		refused++
		stranger.want(http.StatusBadRequest, http.MethodGet, base+part, "")
		wider := "&from=" + inAddress(f.start) + "&to=" + inAddress(f.start.Add(time.Minute))
		stranger.want(http.StatusBadRequest, http.MethodGet, base+part+wider, "")
	}
	if refused != 6 {
		t.Errorf("%d other media segments are tried", refused)
	}
	// A media segment that begins in the range and ends behind it.
	segment := regexp.MustCompile(`segment=[^&"]+`).FindAllString(all, -1)
	for _, query := range []string{"&start=2000&end=8000", "&start=2000", "&start=0", "&start=0&end=6000", "&start=1&end=9999999"} {
		stranger.want(http.StatusBadRequest, http.MethodGet, base+"media.mp4?stream=front-door&"+segment[0]+query, "")
	}
	other := segment[len(segment)-1]
	if other == segment[0] {
		t.Fatal("there is one segment only")
	}
	stranger.want(http.StatusBadRequest, http.MethodGet, base+"init.mp4?stream=front-door&"+other, "")
	with := func(name, value string) string {
		values := at.Query()
		values.Set(name, value)
		return at.Path + "?" + values.Encode()
	}
	for _, path := range []string{with("stream", "yard"), with("from", inAddress(f.start)), with("to", inAddress(f.start.Add(time.Minute))),
		at.Path + "?stream=front-door", with("from", "0"), with("to", "99999999999999999999"), with("to", "-1"),
		with("from", "2026-11-21T04:20:00Z"),
		at.Path + "?" + at.RawQuery + "&stream=yard", base + "keyframe.mp4?stream=front-door", base + "media.mp4?stream=yard&" + segment[0],
		base + "../status", strings.Replace(base, "v1/hls/", "v1/status", 1), strings.Replace(base, "v1/hls/", "v1/settings", 1),
		strings.Replace(base, "v1/hls/", "metrics", 1), strings.Replace(base, "v1/hls/", "session", 1),
		strings.Replace(base, "v1/hls/", "v1/hls/..%2fstatus", 1)} {
		resp, text := stranger.do(http.MethodGet, path, "") // a redirect is to the path without its dots
		if resp.StatusCode != http.StatusForbidden && resp.StatusCode != http.StatusMovedPermanently &&
			resp.StatusCode != http.StatusTemporaryRedirect {
			t.Errorf("%s is answered %s: %s", path, resp.Status, text)
		}
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
		stranger.want(http.StatusForbidden, method, base+"master.m3u8?"+at.RawQuery, "")
		// Also from the hub's own page nothing is there to be changed.
		f.browser().want(http.StatusMethodNotAllowed, method, strings.Replace(base, "v1/hls/", "v1/holds", 1), "{}")
	}
	if got := f.done(); got != "" {
		t.Errorf("the local API did %s", got)
	}
}

func TestWhatNoLinkIsMadeOf(t *testing.T) {
	t.Parallel()
	r := newRig(t).await()
	viewer := r.signedIn("view")
	for text, body := range map[string]string{
		"at most 6 hours":  `{"stream": "a", "from": "2026-11-21T00:00:00Z", "to": "2026-11-21T06:00:01Z", "format": "hls"}`,
		"at most 24 hours": `{"stream": "a", "from": "2026-11-21T00:00:00Z", "to": "2026-11-22T00:00:01Z", "format": "mkv"}`,
		"is not known":     `{"stream": "a", "from": "2026-11-21T00:00:00Z", "to": "2026-11-21T00:00:01Z", "format": "avi\r\nX: y"}`,
		"is missing":       `{"from": "2026-11-21T00:00:00Z", "to": "2026-11-21T00:00:01Z"}`,
		"and to after it":  `{"stream": "a", "from": "2026-11-21T00:00:00.0001Z", "to": "2026-11-21T00:00:00.0009Z"}`,
	} {
		if got := viewer.want(http.StatusBadRequest, http.MethodPost, "/link", body); !strings.Contains(got, text) {
			t.Errorf("%s is answered with %q, want %q", body, got, text)
		}
	}
	if ms, ok := fromAddress(strconv.Itoa(1)); !ok || ms.UnixMilli() != 1 {
		t.Error("the first time is refused")
	}
}
