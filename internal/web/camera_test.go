package web

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/kvs-edge/kvs-edge-agent/internal/evidence"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/chromium"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/filmed"
)

// stage is the page of a stream of which a film was recorded.
type stage struct {
	chromium.Tab
	r        *rig
	start    time.Time
	pictures [][]byte // of the film, as ffmpeg decodes them
}

const frameTime = 40 * time.Millisecond

// filmArguments are how ffmpeg encodes the film: a GOP has two seconds.
const filmArguments = "-c:v libx264 -preset ultrafast -bf 0 -g 50 -keyint_min 50 -sc_threshold 0 -pix_fmt yuv420p"

func newStage(t *testing.T, role string) stage {
	t.Helper()
	return newStageOf(t, role, filmArguments)
}

// newStageOf is newStage for a film that is encoded in another way, with scripts that run before those of the page.
func newStageOf(t *testing.T, role, arguments string, scripts ...string) stage {
	t.Helper()
	testtools.Need(t, "ffmpeg", "chromium")
	path := filmed.Encode(t, 8, arguments)
	s := stage{r: newRig(t).await()}
	all := []byte(filmed.Run(t, "ffmpeg", "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgba", "-"))
	for ; len(all) > 0; all = all[pictureBytes:] {
		s.pictures = append(s.pictures, all[:pictureBytes])
	}
	film := filmed.Read(t, path)
	s.Tab = chromium.New(t)
	for _, script := range scripts {
		s.Run(chromium.Before(script))
	}
	s.start = time.Now().Add(-20 * time.Second).Truncate(time.Second)
	film.Record(t, s.r.store, "front-door", s.start, 1)
	s.r.open(s.Tab, role, "/camera?stream=front-door", "#line-box")
	return s
}

// shown is which picture of the film the page shows, and which one is that of the time that it says.
func (s stage) shown() (picture, said int) {
	s.T.Helper()
	chromium.Ask[bool](s.Tab, `(() => {
		const video = document.querySelector("video"), canvas = document.getElementById("probe") ?? document.createElement("canvas");
		Object.assign(canvas, {id: "probe", width: video.videoWidth, height: video.videoHeight});
		document.body.append(canvas);
		canvas.getContext("2d").drawImage(video, 0, 0);
		return true;
	})()`)
	got := pictureOf(s.Tab, "#probe")
	best := difference(s.T, got, s.pictures[0])
	for i, p := range s.pictures[1:] {
		if d := difference(s.T, got, p); d < best {
			picture, best = i+1, d
		}
	}
	if best > 9 {
		s.T.Fatalf("the picture is not one of the film: the most similar differs by %.1f", best)
	}
	ms, err := strconv.ParseFloat(chromium.Ask[string](s.Tab, `document.getElementById("clock").dataset.time`), 64)
	must(s.T, err)
	return picture, int((ms - float64(s.start.UnixMilli()) + 1) / float64(frameTime.Milliseconds()))
}

// goTo goes to a time of the film, and pauses there.
func (s stage) goTo(at time.Duration) {
	s.T.Helper()
	const pause = `(() => {
		if (document.getElementById("play").textContent === "Pause") document.getElementById("play").click();
		return true;
	})()`
	chromium.Ask[bool](s.Tab, pause) // so that it does not play on while this machine is busy
	chromium.Ask[bool](s.Tab, fmt.Sprintf(`(() => {
		const t = new Date(%d), local = new Date(t.getTime() - t.getTimezoneOffset() * 60000);
		const field = document.getElementById("go-to");
		field.value = local.toISOString().slice(0, 19);
		field.form.requestSubmit();
		return true;
	})()`, s.start.Add(at).UnixMilli()))
	s.settle(`!video.seeking && video.readyState >= 2 && !clock.textContent.includes("live") && Number(clock.dataset.time) >= ` +
		fmt.Sprint(s.start.Add(at).UnixMilli()))
	chromium.Ask[bool](s.Tab, pause)
	s.settle(`video.paused && !video.seeking`)
}

// settle waits for a state of the page, and until what it shows is presented.
func (s stage) settle(expression string) {
	s.T.Helper()
	testtools.Eventually(s.T, time.Minute, func() error {
		if chromium.Ask[bool](s.Tab, `(() => {
			const video = document.querySelector("video"), clock = document.getElementById("clock");
			return `+expression+` })()`) {
			return nil
		}
		return fmt.Errorf("not %s: %s", expression, chromium.Ask[string](s.Tab,
			`document.getElementById("said").textContent + " " +
			document.getElementById("clock").dataset.time + " " + document.querySelector("video").currentTime`))
	})
	chromium.Ask[bool](s.Tab,
		`new Promise(done => setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(() => done(true))), 500))`)
}

// near checks that the picture is that of the time that the page says.
func (s stage) near(what string) (picture int) {
	s.T.Helper()
	picture, said := s.shown()
	if picture < said-1 || picture > said+1 {
		s.T.Errorf("%s: picture %d is shown, the time is that of %d", what, picture, said)
	}
	return picture
}

// TestChromiumSeeksToAPicture compares pictures in the page with those of the film by ffmpeg: at a time that was asked for, and a frame on
// and back.
func TestChromiumSeeksToAPicture(t *testing.T) {
	t.Parallel()
	s := newStage(t, "view")
	for _, at := range []time.Duration{3 * time.Second, time.Second, 5 * time.Second} {
		s.goTo(at)
		if got := s.near(at.String()); got < int(at/frameTime)-1 {
			t.Errorf("%v: picture %d is shown, which is before that time", at, got)
		}
	}
	s.goTo(2 * time.Second)
	before := s.near("before")
	for range 3 {
		s.Run(chromedp.KeyEvent("."))
		s.settle("!video.seeking")
	}
	after := s.near("after three frames")
	s.Run(chromedp.KeyEvent(","))
	s.settle("!video.seeking")
	if back := s.near("and one back"); after != before+3 || back != before+2 {
		t.Errorf("three frames on from picture %d is %d, and one back %d", before, after, back)
	}
	s.WantText("#line", "1. Recorded", "6. Gaps", "7. Lost", "8. Clock corrected")
	s.Run(chromedp.WaitReady(chromedp.CSS(".lane.recorded i")))
	s.Run(chromedp.WaitReady(chromedp.CSS(".lane.lost i")))
	// Under the mouse each lane says what is there, and what it is where nothing is.
	for _, c := range []struct {
		lane, want string
		part       float64
	}{
		{"lost", "^Deleted before its upload, .*, 10 min 0 s, because it is too old$", lostFrom + 0.05}, {"lost", "^Lost$", lostFrom - 0.05},
		{"events", "^Events$", lostFrom},
	} {
		title := chromium.Ask[string](s.Tab, fmt.Sprintf(`(() => {
			const lane = document.querySelector(".lane.%s"), box = document.getElementById("line-box").getBoundingClientRect();
			lane.dispatchEvent(new PointerEvent("pointermove", {bubbles: true, clientX: box.left + %f * box.width}));
			return lane.title;
		})()`, c.lane, c.part))
		if !regexp.MustCompile(c.want).MatchString(title) {
			t.Errorf("lane %s at %.2f says %q", c.lane, c.part, title)
		}
	}
}

func TestChromiumPlaysLive(t *testing.T) {
	t.Parallel()
	s := newStage(t, "view")
	s.WantText("#clock", ", live")
	s.settle(`video.currentTime > 0.2 && video.getVideoPlaybackQuality().totalVideoFrames > 5`)
	if picture, _ := s.shown(); picture < 100 {
		t.Errorf("live begins with picture %d of %d", picture, len(s.pictures))
	}
}

// TestChromiumGoesOnWhenTheHubAnswersAgain has no request of the page arrive for a while.
func TestChromiumGoesOnWhenTheHubAnswersAgain(t *testing.T) {
	t.Parallel()
	s := newStage(t, "view")
	s.settle(`video.currentTime > 0`)
	chromium.Ask[bool](s.Tab, `(() => {
		window.really = window.fetch;
		window.fetch = () => Promise.reject(new TypeError("no network"));
		return true;
	})()`)
	s.Run(chromedp.Click(chromedp.CSS("#live")), chromedp.Click(chromedp.CSS("#earlier")))
	s.WantText("#said", "The hub does not answer.")
	s.WantText("#trouble", "The hub does not answer. This page tries again.")
	chromium.Ask[bool](s.Tab, `(() => { window.fetch = window.really; return true })()`)
	s.settle(`video.currentTime > 0 && video.getVideoPlaybackQuality().totalVideoFrames > 5`)
	s.Run(chromedp.WaitNotVisible(chromedp.CSS("#said")), chromedp.WaitNotVisible(chromedp.CSS("#trouble")))
}

// TestARangeIsExportedUploadedAndHeld marks a range as a person does.
func TestARangeIsExportedUploadedAndHeld(t *testing.T) {
	t.Parallel()
	s := newStage(t, "operate")
	s.goTo(2 * time.Second)
	s.Run(chromedp.KeyEvent("i"))
	s.goTo(5 * time.Second)
	s.Run(chromedp.Click(chromedp.CSS("#mark-to")), chromedp.WaitVisible(chromedp.CSS("#export-mkv")))
	for format, kind := range map[string]string{"mkv": "video/x-matroska", "mp4": "video/mp4"} {
		got := chromium.Ask[string](s.Tab, fmt.Sprintf(`fetch(document.getElementById("export-%s").href).then(a => a.blob().then(b =>
			a.status + " " + a.headers.get("Content-Type") + (b.size > 50000 ? " large" : " small")))`, format))
		if got != "200 "+kind+" large" {
			t.Errorf("the export is answered %s", got)
		}
	}
	s.Run(chromedp.Click(chromedp.CSS("#share")), chromedp.WaitVisible(chromedp.CSS("#said a")))
	at, err := url.Parse(chromium.Ask[string](s.Tab, `document.querySelector("#said a[data-format=mp4]").href`))
	must(t, err)
	resp, text := s.r.browser().do(http.MethodGet, at.RequestURI(), "")
	if resp.StatusCode != http.StatusOK || len(text) < 50000 || !strings.Contains(text[:64], "ftyp") {
		t.Errorf("the link is answered %s: %.64q", resp.Status, text)
	}
	if got := filmed.Run(t, "ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "default=nw=1:nk=1",
		chromium.Ask[string](s.Tab, `document.querySelector("#said a[data-format=hls]").href`)); !strings.HasPrefix(got, "4.0") {
		t.Errorf("the link to play has %s s", got)
	}
	s.Run(chromedp.Click(chromedp.CSS("#upload")))
	s.WantText("#said", "3 of 3 fragments are uploaded", "The range is in the cloud.")
	s.Run(chromedp.SendKeys(chromedp.CSS("#reason"), "theft, case 7\r"))
	s.WantText("#said", "They are deleted by no rule until the hold is removed.")
	if got, want := s.r.done(), "upload front-door\nhold front-door by web page, role operate, from 127.0.0.1"; got != want {
		t.Errorf("the local API did %q, want %q", got, want)
	}
}

// TestEvidenceIsExported from the page: what the browser saves is intact, and signed by the hub; what cannot be signed is said.
func TestEvidenceIsExported(t *testing.T) {
	t.Parallel()
	s := newStage(t, "operate")
	s.goTo(2 * time.Second)
	s.Run(chromedp.KeyEvent("i"))
	s.goTo(5 * time.Second)
	s.Run(chromedp.KeyEvent("o"), chromedp.WaitVisible(chromedp.CSS("#export-zip")))
	name, path := s.Download(chromedp.Click(chromedp.CSS("#export-zip")))
	if !strings.HasPrefix(name, "front-door-2") || !strings.HasSuffix(name, ".zip") {
		t.Errorf("it is saved as %s", name)
	}
	file, err := os.Open(path)
	must(t, err)
	defer file.Close()
	info, err := file.Stat()
	must(t, err)
	v, err := evidence.Verify(t.Context(), file, info.Size(), evidence.Trust{Certificate: s.r.device}, nil)
	must(t, err)
	if m := v.Manifest; !v.SignerKnown || m.Stream != "front-door" || m.Asked.From.Before(s.start.Add(2*time.Second-frameTime)) ||
		m.Asked.To.After(s.start.Add(6*time.Second)) || len(m.Fragments) < 2 {
		t.Errorf("the evidence is %+v", v)
	}
	s.WantText("#said", "verify --evidence")
	s.r.cannotSign.Store(true)
	s.Run(chromedp.Click(chromedp.CSS("#export-zip")))
	s.WantText("#said", "Evidence of stream front-door cannot be signed: there is no key.")
}

func TestAViewerIsOfferedNoChange(t *testing.T) {
	t.Parallel()
	s := newStage(t, "view")
	s.goTo(2 * time.Second)
	s.Run(chromedp.KeyEvent("i"))
	s.goTo(4 * time.Second)
	s.Run(chromedp.KeyEvent("o"), chromedp.WaitVisible(chromedp.CSS("#export-mp4")), chromedp.WaitNotVisible(chromedp.CSS("#upload")),
		chromedp.WaitNotVisible(chromedp.CSS("#hold")), chromedp.WaitNotVisible(chromedp.CSS("#export-zip")))
	s.WantText("#rights", "sign in with the role operate")
}
