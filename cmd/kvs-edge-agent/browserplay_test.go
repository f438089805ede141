package main

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/chromium"
)

// fps is the frame rate of the fake camera, and of its keyframes there is one a second.
const fps = 25

// TestChromiumShowsACameraLiveAndBackInTime is what a technician does first: sign in, look at the wall, then at a camera, live and back in
// time. What is shown is read from the pictures.
func TestChromiumShowsACameraLiveAndBackInTime(t *testing.T) {
	t.Parallel()
	s := newBrowserSite(t, 8*fps, "AWS_KVS_EDGE_FRAGMENT_DURATION=10s", "AWS_KVS_EDGE_SEGMENT_DURATION=1m")
	// What is played back ends with "not found", until more is recorded.
	complaints := &chromium.Complaints{Excused: func(url string) bool { return strings.Contains(url, "/v1/hls/") }}
	complaints.Watch(s.Tab)
	s.signIn("view")
	s.wallMoves()
	s.openCamera()
	s.liveIsNear()
	s.seeksToFrames()
	s.stepsByFrames()
	s.hasSpeedsAndKeys()
	s.lineIsMoved()
	s.takesASnapshot()
	s.Run(chromedp.Click(chromedp.CSS("#live")))
	s.WantText("#clock", ", live")
	s.liveIsNear()
	s.loadsNothingElsewhere()
	for _, said := range complaints.List() {
		t.Errorf("the page complains: %s", said)
	}
}

// wallMoves waits until the wall's picture has become a later one, twice.
func (s *browserSite) wallMoves() {
	s.t.Helper()
	s.prepare()
	var last int64 = -1
	for range 3 {
		s.eventually("another picture on the wall", func() error {
			now := chromium.Ask[*int64](s.Tab, `(() => {
				const picture = document.querySelector('li[data-stream="door"] canvas');
				return stampIn(Object.assign(picture, {videoWidth: 1920, videoHeight: 1080}), picture.width);
			})()`)
			if now == nil || *now <= last {
				return fmt.Errorf("it shows %v, before it was %d", now, last)
			}
			last = *now
			return nil
		})
	}
}

// liveIsNear waits until what is shown live is no more than a GOP and 3 s behind what the camera sends, by the stamps of both, and moves.
func (s *browserSite) liveIsNear() {
	s.t.Helper()
	var least int64
	s.eventually("live", func() error {
		got, sent := s.now(), s.sentNow() // what is sent while the picture is read counts as delay
		if got.Stamp == nil {
			return fmt.Errorf("no stamp can be read")
		}
		behind := sent&0xFFFF - *got.Stamp
		if behind > (1+3)*fps {
			return fmt.Errorf("it is %d frames behind", behind)
		}
		least = behind
		return nil
	})
	s.t.Logf("live is %.2f s behind the camera", float64(least)/fps)
	first := s.now()
	s.eventually("a live picture that moves", func() error {
		if got := s.now(); got.Stamp == nil || first.Stamp == nil || *got.Stamp <= *first.Stamp {
			return fmt.Errorf("it shows %v", got.Stamp)
		}
		return nil
	})
}

// seeksToFrames goes to times, and compares the pictures with the store's frames.
func (s *browserSite) seeksToFrames() {
	s.t.Helper()
	list := s.stored()
	first, last := time.UnixMilli(list[0].at), time.UnixMilli(list[len(list)-1].at)
	for _, at := range []time.Time{first.Add(last.Sub(first) / 2), first.Add(time.Second), last.Add(-3 * time.Second)} {
		at = at.Truncate(time.Second) // as "Go to" has it
		got := s.goTo(at)
		s.wantFrame("at "+at.Format(time.TimeOnly), got)
		if off := got.Time - float64(at.UnixMilli()); off < -1000/fps-2 || off > 10_000 { // it may have played on for a while

			s.t.Errorf("at %s it shows what is %.0f ms later", at.Format(time.TimeOnly), off)
		}
	}
}

// stepsByFrames steps forwards and backwards by single frames.
func (s *browserSite) stepsByFrames() {
	s.t.Helper()
	list := s.stored()
	before, began := *s.goTo(time.UnixMilli(list[len(list)/2].at)).Stamp, time.Now()
	for i := range 30 {
		s.Run(chromedp.KeyEvent("."))
		s.stepped(fmt.Sprint(i+1, " frames on"), before+int64(i)+1)
	}
	for i := range 10 {
		s.Run(chromedp.KeyEvent(","))
		s.stepped(fmt.Sprint(i+1, " frames back"), before+30-int64(i)-1)
	}
	s.Run(chromedp.Click(chromedp.CSS("#frame-on")))
	s.stepped("the button", before+21)
	s.t.Logf("41 single frames took %.1f s", time.Since(began).Seconds())
	s.wantFrame("after single frames", s.settle("after single frames", "true"))
}

// stepped waits until a frame is shown.
func (s *browserSite) stepped(what string, want int64) {
	s.t.Helper()
	s.eventually(what, func() error {
		if got := s.now(); got.Stamp == nil || *got.Stamp != want {
			if got.Stamp == nil {
				return fmt.Errorf("no stamp")
			}
			return fmt.Errorf("frame %d is shown, want %d", *got.Stamp, want)
		}
		return nil
	})
}

// hasSpeedsAndKeys plays at each speed, and moves by keys.
func (s *browserSite) hasSpeedsAndKeys() {
	s.t.Helper()
	list := s.stored()
	first := time.UnixMilli(list[0].at)
	for _, speed := range []string{"0.25", "0.5", "2", "4", "8", "16", "1"} {
		before := s.goTo(first.Add(2 * time.Second))
		s.Run(chromedp.SetValue(chromedp.CSS("#speed"), speed))
		chromium.Ask[bool](s.Tab, `document.getElementById("speed").dispatchEvent(new Event("change"))`)
		chromium.Ask[bool](s.Tab, `document.activeElement.blur() ?? true`)
		s.Run(chromedp.KeyEvent(" "))
		s.Await(fmt.Sprintf(`document.getElementById("video").playbackRate === %s && (stampNow() ?? 0) > %d`, speed, *before.Stamp))
	}
	s.goTo(first.Add(8 * time.Second)) // there is more than 5 s before it and after it
	for key, by := range map[string]float64{"ArrowRight": 5000, "ArrowLeft": -5000} {
		before := s.settle("before "+key, "true")
		chromium.Ask[bool](s.Tab, fmt.Sprintf(`document.body.dispatchEvent(
			new KeyboardEvent("keydown", {key: %q, bubbles: true, cancelable: true}))`, key))
		got := s.settle(key, fmt.Sprintf(`Math.abs(Number(clock.dataset.time) - %f) < 100`, before.Time+by))
		s.wantFrame(key, got)
	}
}

// lineIsMoved drags the time line, turns the wheel over it and clicks into it.
func (s *browserSite) lineIsMoved() {
	s.t.Helper()
	type box struct{ X, Y, W, H float64 }
	s.Run(chromedp.ScrollIntoView(chromedp.CSS("#line-box")))
	b := chromium.Ask[box](s.Tab, `(() => {
		const r = document.getElementById("line-box").getBoundingClientRect();
		return {X: r.x, Y: r.y, W: r.width, H: r.height};
	})()`)
	span := `Number(document.getElementById("line-box").getAttribute("aria-valuemin"))`
	length := `Number(document.getElementById("line-box").getAttribute("aria-valuemax")) - ` + span
	middle := b.Y + b.H/2
	before, long := chromium.Ask[float64](s.Tab, span), chromium.Ask[float64](s.Tab, length)
	s.Run(chromedp.DragAndDropXY(b.X+b.W/2, middle, b.X+b.W/2+200, middle))
	moved := 200 / b.W * long
	s.Await(fmt.Sprintf(`Math.abs(%s - %f) <= %f`, span, before-moved, 2+long/b.W))
	for _, zoom := range []struct{ delta, zoom int }{{-100, 1}, {-100, 0}, {100, 1}} {
		chromium.Ask[bool](s.Tab, fmt.Sprintf(`document.getElementById("line-box").dispatchEvent(new WheelEvent("wheel",
			{deltaY: %d, clientX: %f, clientY: %f, bubbles: true, cancelable: true}))`, zoom.delta, b.X+b.W/2, middle))
		s.Await(fmt.Sprintf(`document.getElementById("zoom").value === "%d"`, zoom.zoom))
	}
	list := s.stored()
	s.goTo(time.UnixMilli(list[len(list)/2].at)) // in the middle of the line
	s.Run(chromedp.WaitReady(chromedp.CSS(".lane.recorded i")), chromedp.ScrollIntoView(chromedp.CSS("#line-box")))
	want := float64(list[len(list)/3].at)
	at := chromium.Ask[box](s.Tab, fmt.Sprintf(`(() => {
		const r = document.getElementById("line-box").getBoundingClientRect(), a = document.getElementById("line-box").ariaValueMin * 1000,
			b = document.getElementById("line-box").ariaValueMax * 1000;
		return {X: r.x + (%f - a) / (b - a) * r.width, Y: r.y + r.height / 2, W: (b - a) / r.width, H: 0};
	})()`, want))
	s.Run(chromedp.MouseClickXY(at.X, at.Y))
	got := s.settle("a click into the time line", fmt.Sprintf(`Math.abs(Number(clock.dataset.time) - %f) < %f`, want, 1000+2*at.W))
	s.wantFrame("a click into the time line", got)
}

// takesASnapshot saves the picture as a JPEG that shows the same frame.
func (s *browserSite) takesASnapshot() {
	s.t.Helper()
	before := s.settle("before the snapshot", "true")
	name, path := s.Download(chromedp.Click(chromedp.CSS("#snapshot")))
	want := "door-" + time.UnixMilli(int64(before.Time)).UTC().Format("2006-01-02T150405")
	if len(name) < len(want) || name[:len(want)] != want {
		s.t.Errorf("the snapshot is called %s, want %s…", name, want)
	}
	if got := s.stampOfPicture(path); got != *before.Stamp {
		s.t.Errorf("the snapshot shows frame %d, the page %d", got, *before.Stamp)
	}
}

// loadsNothingElsewhere checks where the page's files came from.
func (s *browserSite) loadsNothingElsewhere() {
	s.t.Helper()
	for _, address := range chromium.Ask[[]string](s.Tab, `performance.getEntriesByType("resource").map(e => e.name)`) {
		at, err := url.Parse(address)
		if err != nil || at.Scheme != "blob" && at.Scheme+"://"+at.Host != s.url {
			s.t.Errorf("the page loads %s", address)
		}
	}
}
