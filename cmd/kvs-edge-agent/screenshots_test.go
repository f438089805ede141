package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesisvideo/types"
	"github.com/chromedp/chromedp"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/playcheck"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/chromium"
)

// screenshotsVariable names the directory that `make screenshots` writes to; without it the pages are only examined.
const screenshotsVariable = "KVS_EDGE_SCREENSHOTS"

// Bounds of the screenshots, in bytes: of one, and of all.
const (
	maxScreenshot  = 60_000
	maxScreenshots = 1_000_000
)

// screens are the widths and heights of the devices.
var screens = map[string][2]int64{"phone": {390, 1000}, "desk": {1280, 1060}}

// TestScreenshotsOfEachPage takes them of a hub with cameras of which one fails, in both themes, on a phone and on a desk: no page is wider
// than the screen.
func TestScreenshotsOfEachPage(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	total := 0
	for _, page := range []struct{ name, path, ready string }{
		{"cameras", "/", `document.querySelectorAll('#wall canvas[aria-label^="Picture of"]').length === 3`},
		{"camera", "/camera?stream=entrance",
			`document.getElementById("video").videoWidth > 0 && document.querySelector(".lane.recorded i") !== null`},
		{"health", "/health", `document.querySelector("#cost p") !== null`},
		{"settings", "/settings", `document.querySelector("#settings td") !== null`},
		{"sign-in", "/sign-in", `document.getElementById("form") !== null`},
	} {
		if page.name == "sign-in" {
			s.Run(chromedp.Click(chromedp.CSS("#sign-out")), chromedp.WaitVisible(chromedp.CSS("#form")))
		}
		for device, size := range screens {
			for _, theme := range []string{"light", "dark"} {
				what := page.name + "-" + device + "-" + theme
				s.Run(chromedp.EmulateViewport(size[0], size[1]), chromium.Theme(theme), chromedp.Navigate(s.url+page.path))
				s.Await(page.ready)
				if page.name == "camera" {
					s.arrange()
				}
				if wide := chromium.Ask[int64](s.Tab, `document.documentElement.scrollWidth`); wide > size[0] {
					t.Errorf("%s is %d pixels wide", what, wide)
				}
				total += s.screenshot(what)
			}
		}
	}
	t.Logf("all screenshots have %d bytes", total)
	if total > maxScreenshots {
		t.Errorf("all screenshots have %d bytes, want %d at most", total, maxScreenshots)
	}
}

// newShop is a hub with three cameras of a shop that work and one that does not, and hours of one of them on its disk.
func newShop(t *testing.T) *browserSite {
	t.Helper()
	testtools.Need(t, "chromium", "ffmpeg")
	s := &browserSite{site: newSite(t, ourContract)}
	s.excused[playcheck.Constant] = "what is of the past is of another camera"
	for _, minutes := range [][2]time.Duration{{52, 31}, {20, 19}} { // from when, and how long
		s.past("entrance", time.Now().Add(-minutes[0]*time.Minute), minutes[1]*time.Minute)
	}
	s.configure("warehouse", "rtsp://127.0.0.1:1/stream", inTwelve)
	for name, edits := range map[string][]func(*types.EdgeConfig){"entrance": nil, "till": nil, "yard": {inTwelve}} {
		camera := startCamera(t, fakecam.Options{Film: scenes[name].film(t), FPS: sceneFPS})
		s.configure(name, camera.URL(), edits...)
	}
	s.startAgent("AWS_KVS_EDGE_WEB_ADDRESS=127.0.0.1:0", "AWS_KVS_EDGE_SEGMENT_DURATION=1m")
	for name := range scenes {
		s.awaitRecorded(name, 12*sceneFPS)
	}
	s.awaitCondition("warehouse", "refuses")
	s.Tab = chromium.New(t, "host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
	s.signIn("operate")
	return s
}

// arrange marks a range a few seconds ago.
func (s *browserSite) arrange() {
	s.t.Helper()
	for i, key := range []string{"i", "o"} {
		s.goToText(time.Now().Add(time.Duration(-12+6*i) * time.Second))
		s.Run(chromedp.Click(chromedp.CSS("h1")), chromedp.KeyEvent(key))
	}
	s.Run(chromedp.WaitVisible(chromedp.CSS("#export-mkv")))
	chromium.Ask[bool](s.Tab, `(() => { scrollTo(0, 0); return true })()`)
}

// screenshot takes one of what the screen shows, and returns its size.
func (s *browserSite) screenshot(what string) int {
	s.t.Helper()
	const best, worst, step = 80, 20, 20
	var picture []byte
	for quality := int64(best); quality >= worst; quality -= step {
		if picture = chromium.Screenshot(s.Tab, quality); len(picture) <= maxScreenshot {
			break
		}
	}
	if len(picture) > maxScreenshot || len(picture) < 1000 {
		s.t.Errorf("the screenshot %s has %d bytes", what, len(picture))
	}
	if dir := os.Getenv(screenshotsVariable); dir != "" {
		if err := os.WriteFile(filepath.Join(repository, dir, what+".webp"), picture, 0o644); err != nil {
			s.t.Fatal(err)
		}
	}
	return len(picture)
}

// goToText is goTo for pictures without a stamp.
func (s *browserSite) goToText(at time.Time) {
	s.t.Helper()
	chromium.Ask[bool](s.Tab, strings.ReplaceAll(`(() => {
		const t = new Date(AT), local = new Date(t.getTime() - t.getTimezoneOffset() * 60000), go = document.getElementById("go-to");
		go.value = local.toISOString().slice(0, 19);
		go.form.requestSubmit();
		return true;
	})()`, "AT", fmt.Sprint(at.UnixMilli())))
	s.Await(fmt.Sprintf(`(() => {
		const video = document.getElementById("video"), clock = document.getElementById("clock");
		return !video.seeking && video.readyState >= 2 && !clock.textContent.includes("live") &&
			Math.abs(Number(clock.dataset.time) - %d) < 5000;
	})()`, at.Truncate(time.Second).UnixMilli()))
	chromium.Ask[bool](s.Tab, `(() => {
		if (document.getElementById("play").textContent === "Pause") document.getElementById("play").click();
		return true;
	})()`)
}
