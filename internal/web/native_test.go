package web

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/chromium"
)

// withoutMediaSource is a browser that plays HLS by itself only, as those of iPhones before iOS 17.1.
const withoutMediaSource = `delete window.MediaSource; delete window.ManagedMediaSource; delete window.WebKitMediaSource;`

// TestTheBrowsersOwnHLS plays where there are no Media Source Extensions: the picture is that of the time which the page says, live, at a
// time that was asked for, and a frame later.
func TestTheBrowsersOwnHLS(t *testing.T) {
	t.Parallel()
	s := newStageOf(t, "view", filmArguments, withoutMediaSource)
	s.WantText("#clock", ", live")
	s.settle(`video.currentTime > 0 && video.getVideoPlaybackQuality().totalVideoFrames > 5`)
	at := chromium.Ask[string](s.Tab, `document.querySelector("video").currentSrc`)
	if !strings.Contains(at, "/v1/hls/master.m3u8?stream=front-door") {
		t.Fatalf("the source is %s", at)
	}
	for _, at := range []time.Duration{3 * time.Second, time.Second, 5 * time.Second} {
		s.goTo(at)
		if got := s.near(at.String()); got < int(at/frameTime)-1 || got > int((at+4*time.Second)/frameTime) {
			t.Errorf("%v: picture %d is shown", at, got)
		}
	}
	s.goTo(2 * time.Second)
	before := s.near("before")
	s.Run(chromedp.KeyEvent("."))
	s.settle("!video.seeking")
	if after := s.near("a frame later"); after < before || after > before+2 {
		t.Errorf("a frame later than picture %d is %d", before, after)
	}
}

// TestABrowserWithoutVideoSaysSo, as one that plays no codec of the camera, and offers the export.
func TestABrowserWithoutVideoSaysSo(t *testing.T) {
	t.Parallel()
	s := newStageOf(t, "view", filmArguments, withoutMediaSource+`HTMLMediaElement.prototype.canPlayType = () => "";`)
	s.WantText("#said", "This browser does not play H.264 (avc1.", "an export plays in other players")
}

func TestWhatChromiumDoesNotPlayIsSaid(t *testing.T) {
	t.Parallel()
	s := newStageOf(t, "view", "-c:v libx265 -preset ultrafast -x265-params log-level=none:keyint=50:min-keyint=50:bframes=0 -pix_fmt yuv420p")
	s.WantText("#said", "This browser does not play H.265 (hvc1.", "Safari plays H.265", "an export plays in other players")
}

// TestSound plays where browsers have it in MP4, and is said to be missing where they do not.
func TestSound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ codec, want string }{
		"AAC":          {"aac", ""},
		"G.711 mu-law": {"pcm_mulaw -ar 8000", "Without sound: browsers do not play audio of G.711 in MP4. An export has it."},
		"G.711 A-law":  {"pcm_alaw -ar 8000", "Without sound: browsers do not play audio of G.711 in MP4. An export has it."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStageOf(t, "view", filmArguments+" -map 1:a -c:a "+c.codec)
			s.settle(`video.currentTime > 0 && video.getVideoPlaybackQuality().totalVideoFrames > 5`)
			if c.want != "" {
				s.WantText("#sound", c.want)
			}
			s.Run(chromedp.Click(chromedp.CSS("#mute")))
			s.WantText("#mute", "Sound off")
			heard := chromium.Ask[bool](s.Tab, `(() => {
				const v = document.querySelector("video");
				return !v.muted && v.webkitAudioDecodedByteCount > 0;
			})()`)
			hidden := chromium.Ask[bool](s.Tab, `document.getElementById("sound").hidden`)
			if heard != (c.want == "") || hidden != (c.want == "") {
				t.Errorf("audio is decoded: %t, the words are hidden: %t", heard, hidden)
			}
		})
	}
}
