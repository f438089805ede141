package localcloud

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	archived "github.com/aws/aws-sdk-go-v2/service/kinesisvideoarchivedmedia"
	"github.com/aws/aws-sdk-go-v2/service/kinesisvideoarchivedmedia/types"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam/stamps"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/strictmkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// seeker is a page that seeks to the middle of pictures, and reports the counters that these show.
const seeker = `<!doctype html><video id=v muted crossorigin=anonymous src="%s"></video><script>%s
const v = document.getElementById('v'), times = %s, shown = [];
const canvas = document.createElement('canvas');
const report = what => fetch('/report', {method: 'POST', body: what});
const next = () => {
	if (shown.length === times.length) return report(JSON.stringify(shown));
	const at = times[shown.length];
	const presented = (now, frame) => { // only a frame that was presented says which one it is
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

// showInChromium returns what a page that plays a URL reports.
func showInChromium(t *testing.T, url, times string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/cameras.md")
	must(t, err)
	_, code, found := strings.Cut(string(page), "```js\n")
	code, _, ended := strings.Cut(code, "```\n")
	if !found || !ended {
		t.Fatal("docs/cameras.md has no function that reads a picture")
	}
	reports := make(chan string, 10)
	site := http.NewServeMux()
	site.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(w, seeker, url, code, times)
	})
	site.HandleFunc("POST /report", func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(io.LimitReader(r.Body, 10_000))
		reports <- string(body)
	})
	site.Handle("GET /files/", http.StripPrefix("/files", http.FileServer(http.Dir("/"))))
	server := httptest.NewServer(site)
	defer server.Close()
	profile, err := os.MkdirTemp("", "chromium")
	must(t, err)
	defer func() { _ = os.RemoveAll(profile) }() // as far as its processes have ended
	cmd := exec.CommandContext(t.Context(), "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
		"--disable-background-networking", "--autoplay-policy=no-user-gesture-required", "--ignore-certificate-errors",
		"--user-data-dir="+profile, server.URL)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	must(t, cmd.Start())
	defer func() { _, _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL), cmd.Wait() }() // and what it started
	select {
	case report := <-reports:
		return report
	case <-time.After(2 * patience):
		return "nothing"
	}
}

// stampedFilm is what a camera sent whose pictures show their numbers, and these numbers. A picture lasts 40 ms.
func stampedFilm(t *testing.T, frames int) (film []byte, numbers []uint64) {
	t.Helper()
	camera, err := fakecam.Start(fakecam.Options{})
	must(t, err)
	t.Cleanup(func() { _ = camera.Close() })
	path := filepath.Join(t.TempDir(), "film.mkv")
	foreign(t, nil, t.TempDir(), "ffmpeg", "-v", "error", "-rtsp_transport", "tcp", "-i", camera.URL(), "-map", "0:v", "-c", "copy",
		"-bsf:v", "setts=pts=N*40:dts=N*40", "-frames:v", fmt.Sprint(frames), "-f", "matroska", "-live", "1", "-cluster_time_limit", "9000",
		"-cluster_size_limit", "50M", path)
	for block, err := range strictmkv.ReadFile(path) {
		must(t, err)
		stamp, ok := stamps.OfAccessUnit(block.Data)
		if !ok {
			t.Fatal("a frame has no stamp")
		}
		numbers = append(numbers, stamp.Counter&0xFFFF)
	}
	film, err = os.ReadFile(path)
	must(t, err)
	return film, numbers
}

// TestChromiumShowsWhatTheCameraSent seeks to ten pictures at random in sessions and in a clip: each shows the number that the camera
// wrote into it.
func TestChromiumShowsWhatTheCameraSent(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "curl", "ffmpeg", "chromium")
	p := newHLS(t, Options{})
	film, numbers := stampedFilm(t, 110)
	put(t, p.Cloud, film, foreignStart)
	var middles []float64
	var want []uint64
	random := rand.New(rand.NewPCG(1, 2))
	for range 10 {
		i := random.IntN(len(numbers) - 1)
		middles, want = append(middles, float64(i)*0.040+0.015), append(want, numbers[i])
	}
	times, wanted := jsonOf(t, middles), jsonOf(t, want)
	ts := onDemand()
	ts.ContainerFormat = types.ContainerFormatMpegTs
	clip := filepath.Join(t.TempDir(), "clip.mp4")
	must(t, os.WriteFile(clip, p.clip(foreignStart, foreignStart.Add(time.Hour)), 0o600))
	for name, url := range map[string]string{"fMP4": p.session(onDemand()), "TS": p.session(ts), "clip": "/files" + clip} {
		if got := showInChromium(t, url, times); got != wanted {
			t.Errorf("%s shows %s at %s, want %s", name, got, times, wanted)
		}
	}
}

// clip downloads the clip of a range.
func (p *player) clip(from, to time.Time) []byte {
	p.t.Helper()
	out, err := p.api.GetClip(p.t.Context(), clipOf("cam", types.ClipFragmentSelectorTypeProducerTimestamp, from, to))
	must(p.t, err)
	defer out.Payload.Close()
	data, err := io.ReadAll(out.Payload)
	must(p.t, err)
	if *out.ContentType != "video/mp4" {
		p.t.Errorf("a clip is %s", *out.ContentType)
	}
	return data
}

func clipOf(stream string, kind types.ClipFragmentSelectorType, from, to time.Time) *archived.GetClipInput {
	return &archived.GetClipInput{StreamName: &stream, ClipFragmentSelector: &types.ClipFragmentSelector{FragmentSelectorType: kind,
		TimestampRange: &types.ClipTimestampRange{StartTimestamp: &from, EndTimestamp: &to}}}
}

// TestClips compares each frame that ffmpeg decodes of a clip, and its time, with those of the film that was sent.
// TestOtherPlayersSeeWhatWasSent has other players.
func TestClips(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "curl", "ffmpeg")
	for name := range films {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, dir := newHLS(t, Options{}), t.TempDir()
			film := filmOf(t, dir, name)
			put(t, p.Cloud, film, foreignStart)
			path := filepath.Join(dir, "clip.mp4")
			must(t, os.WriteFile(path, p.clip(foreignStart, foreignStart.Add(time.Hour)), 0o600))
			if got, want := decodedFrames(t, dir, nil, path), decodedFrames(t, dir, strings.NewReader(string(film)), "pipe:0"); got != want {
				t.Errorf("ffmpeg sees\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// TestAClipHasItsLimits: 200 fragments, a gap is a picture that stays, and what is refused.
func TestAClipHasItsLimits(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "curl", "ffmpeg", "ffprobe")
	p := newHLS(t, Options{})
	film := filmOf(t, t.TempDir(), "H.264")
	put(t, p.Cloud, film, foreignStart)
	put(t, p.Cloud, film, foreignStart.Add(time.Minute))
	path := filepath.Join(t.TempDir(), "clip.mp4")
	must(t, os.WriteFile(path, p.clip(foreignStart, foreignStart.Add(time.Hour)), 0o600))
	got := foreign(t, nil, t.TempDir(), "ffprobe", "-v", "error", "-select_streams", "v", "-count_packets", "-show_entries",
		"stream=nb_read_packets:format=duration", "-of", "csv=p=0", path)
	if text := string(got); !strings.Contains(text, "300") || !strings.Contains(text, "66.0") {
		t.Errorf("a clip with a gap has %s, want 300 pictures in 66 s", text)
	}
	_, err := p.CreateStream("fleeting", 0)
	must(t, err)
	s, producer, server := foreignStart, types.ClipFragmentSelectorTypeProducerTimestamp, types.ClipFragmentSelectorTypeServerTimestamp
	for name, row := range map[string]struct {
		in     *archived.GetClipInput
		code   string
		status int
	}{
		"an unknown stream": {clipOf("none", producer, s, s.Add(time.Hour)), "ResourceNotFoundException", 404},
		"no retention":      {clipOf("fleeting", producer, s, s.Add(time.Hour)), "NoDataRetentionException", 400},
		"nothing in it":     {clipOf("cam", producer, s.Add(time.Hour), s.Add(2*time.Hour)), "ResourceNotFoundException", 404},
		"more than a day":   {clipOf("cam", producer, s, s.Add(24*time.Hour+time.Millisecond)), "InvalidArgumentException", 400},
		"an empty range":    {clipOf("cam", producer, s, s), "InvalidArgumentException", 400},
		"an end in future":  {clipOf("cam", server, time.Now(), time.Now().Add(time.Hour)), "InvalidArgumentException", 400},
	} {
		if _, err := p.api.GetClip(t.Context(), row.in); err == nil {
			t.Errorf("%s is not refused", name)
		} else {
			wantError(t, err, row.code, row.status)
		}
	}
}

// TestMediaForFragments: what comes is what GetMedia returns, in the order of the list, up to a fragment that is not there.
func TestMediaForFragments(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "curl", "ffmpeg", "ffprobe")
	p, dir := newHLS(t, Options{}), t.TempDir()
	put(t, p.Cloud, filmOf(t, dir, "H.264"), foreignStart)
	var numbers []string
	for _, f := range p.Media().Fragments("cam") {
		numbers = append(numbers, f.Number)
	}
	media := func(list ...string) []byte {
		out, err := p.api.GetMediaForFragmentList(t.Context(), &archived.GetMediaForFragmentListInput{StreamName: aws.String("cam"),
			Fragments: list})
		must(t, err)
		defer out.Payload.Close()
		data, err := io.ReadAll(out.Payload)
		must(t, err)
		return data
	}
	path := filepath.Join(dir, "media.mkv")
	must(t, os.WriteFile(path, media(numbers...), 0o600))
	count := foreign(t, nil, dir, "ffprobe", "-v", "error", "-count_frames", "-select_streams", "v:0",
		"-show_entries", "stream=nb_read_frames", "-of", "csv=p=0", path)
	if got := strings.TrimSpace(string(count)); got != "150" {
		t.Errorf("ffprobe decodes %s frames, want 150", got)
	}
	slices.Reverse(numbers)
	text := string(media(numbers[0], "1234", numbers[1]))
	first, second := strings.Index(text, numbers[0]), strings.Index(text, "1234")
	if first < 0 || second < first || !strings.Contains(text, "AWS_KINESISVIDEO_EXCEPTION_ERROR_CODE") || strings.Contains(text, numbers[1]) {
		t.Errorf("a list with a fragment that is not there is answered with %d bytes: %d, %d", len(text), first, second)
	}
}
