package main

import (
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam/stamps"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/strictmkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/chromium"
)

// browserSite is a hub that records the stream door and uploads nothing, and a person in front of Debian's Chromium, which reaches nothing
// but this machine.
type browserSite struct {
	*site
	chromium.Tab
	camera *fakecam.Camera
	url    string // of the web pages, without a slash at its end
}

// printedLink is what `kvs-edge-agent web` prints of a link, and of a fingerprint.
var (
	printedLink        = regexp.MustCompile(`(?m)^  (https?://\S+)/sign-in(#link=\S+)$`)
	printedFingerprint = regexp.MustCompile(`(?m)^  ((?:[0-9A-F]{2}:){31}[0-9A-F]{2})$`)
)

// newBrowserSite starts camera, agent and browser, and waits until something is recorded.
func newBrowserSite(t *testing.T, frames int64, more ...string) *browserSite {
	t.Helper()
	testtools.Need(t, "chromium", "ffmpeg")
	s := &browserSite{site: newSite(t, ourContract)}
	s.camera = startCamera(t, fakecam.Options{})
	s.configure("door", s.camera.URL(), inTwelve)
	s.startAgent(append([]string{"AWS_KVS_EDGE_WEB_ADDRESS=127.0.0.1:0"}, more...)...)
	s.awaitRecorded("door", frames)
	s.Tab = chromium.New(t, "host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
	return s
}

// command runs the program beside the agent, and returns what it prints.
func (s *browserSite) command(args ...string) string {
	s.t.Helper()
	return s.commandWith("", args...)
}

func (s *browserSite) commandWith(stdin string, args ...string) string {
	s.t.Helper()
	stdout, stderr, code := invocation{dir: s.dir, env: s.env(), args: args, stdin: stdin}.run(s.t)
	if code != 0 {
		s.t.Fatalf("%q ends with %d: %s", args, code, stderr)
	}
	return stdout
}

// link has the program print a link that signs in.
func (s *browserSite) link(role string) (url, printed string) {
	s.t.Helper()
	s.eventually("a link", func() error {
		stdout, stderr, code := invocation{dir: s.dir, env: s.env(), args: []string{"web", "--role", role}}.run(s.t)
		m := printedLink.FindStringSubmatch(stdout)
		if code != 0 || m == nil {
			return fmt.Errorf("it ends with %d: %s%s", code, stdout, stderr)
		}
		s.url, url, printed = m[1], m[0][2:], stdout
		return nil
	})
	return url, printed
}

// signIn opens a link of a role, as the program prints it.
func (s *browserSite) signIn(role string) {
	s.t.Helper()
	link, _ := s.link(role)
	s.Run(chromedp.Navigate(link), chromedp.WaitVisible(chromedp.CSS("#wall .card")))
}

// openCamera opens the page of the stream and waits for its picture.
func (s *browserSite) openCamera() {
	s.t.Helper()
	s.Run(chromedp.Navigate(s.url+"/camera?stream=door"), chromedp.WaitVisible(chromedp.CSS("#line-box")))
	s.prepare()
	s.Await(`document.getElementById("video").videoWidth > 0 && window.stampNow() !== null`)
}

// prepare defines functions for the page: stampNow reads the counter from the picture that the video shows, and stampIn from any.
func (s *browserSite) prepare() {
	s.t.Helper()
	chromium.Ask[bool](s.Tab, chromium.StampReader(s.t)+`; (() => {
		const canvas = document.createElement("canvas");
		window.stampIn = (video, width) => {
			Object.assign(canvas, {width, height: 200});
			return pictureStamp(video, canvas);
		};
		window.stampNow = () => stampIn(document.getElementById("video"), 640);
		return true;
	})()`)
}

// pageFrame is what the page shows: the counter in the picture, and the time of recording that the page says it has, in ms.
type pageFrame struct {
	Stamp *int64
	Time  float64
}

// now reads both.
func (s *browserSite) now() pageFrame {
	s.t.Helper()
	return chromium.Ask[pageFrame](s.Tab, `({Stamp: stampNow(), Time: Number(document.getElementById("clock").dataset.time)})`)
}

// storedFrame is a frame of the store.
type storedFrame struct {
	at      int64 // when it was recorded, ms since 1970
	counter int64
}

// stored are the frames that the files of the stream have, by their times.
func (s *browserSite) stored() (list []storedFrame) {
	s.t.Helper()
	s.eventually("the frames of all files", func() (err error) {
		list, err = s.storedNow()
		return err
	})
	return list
}

// storedNow is stored, unless a file is renamed while it is read.
func (s *browserSite) storedNow() (list []storedFrame, err error) {
	files, err := filepath.Glob(filepath.Join(s.recordings(), "door", "*.mkv"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		if info, err := os.Stat(file); err == nil && info.Size() == 0 {
			continue // without media
		}
		for block, err := range strictmkv.ReadFile(file) {
			var torn *strictmkv.Error
			if errors.As(err, &torn) {
				break // what is being written
			}
			if err != nil {
				return nil, err
			}
			stamp, ok := stamps.OfAccessUnit(block.Data)
			if !ok {
				continue
			}
			list = append(list, storedFrame{block.Header.Date.Add(block.Time).UnixMilli(), int64(stamp.Counter & 0xFFFF)})
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%d files have no frames", len(files))
	}
	slices.SortFunc(list, func(a, b storedFrame) int { return int(a.at - b.at) })
	return list, nil
}

// at is which frame of the store is shown at a time: the last one that began by then.
func frameAt(list []storedFrame, at float64) (storedFrame, bool) {
	i, _ := slices.BinarySearchFunc(list, int64(at), func(f storedFrame, at int64) int { return int(f.at - at) })
	if i < len(list) && list[i].at == int64(at) {
		return list[i], true
	}
	if i == 0 {
		return storedFrame{}, false
	}
	return list[i-1], true
}

// settle waits until the page is paused and shows the picture of a time after one, and returns it.
func (s *browserSite) settle(what string, condition string) pageFrame {
	s.t.Helper()
	s.Await(`(() => {
		const video = document.getElementById("video"), clock = document.getElementById("clock");
		return video.paused && !video.seeking && video.readyState >= 2 && ` + condition + ` })()`)
	// A picture is what the page shows once it was presented, and the clock follows within 200 ms.
	chromium.Ask[bool](s.Tab,
		`new Promise(done => setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(() => done(true))), 400))`)
	got := s.now()
	if got.Stamp == nil {
		s.t.Fatalf("%s: the picture has no stamp that can be read", what)
	}
	return got
}

// goTo types a time into "Go to", and pauses at what is shown then.
func (s *browserSite) goTo(at time.Time) pageFrame {
	s.t.Helper()
	chromium.Ask[bool](s.Tab, fmt.Sprintf(`(() => {
		const t = new Date(%d), local = new Date(t.getTime() - t.getTimezoneOffset() * 60000);
		const field = document.getElementById("go-to");
		field.value = local.toISOString().slice(0, 19);
		field.form.requestSubmit(); // a click of the mouse goes elsewhere while the page scrolls
		return true;
	})()`, at.UnixMilli()))
	s.Await(fmt.Sprintf(`(() => {
		const video = document.getElementById("video"), clock = document.getElementById("clock");
		return !video.seeking && video.readyState >= 2 && !clock.textContent.includes("live") &&
			Math.abs(Number(clock.dataset.time) - %d) < 60000;
	})()`, at.UnixMilli()))
	chromium.Ask[bool](s.Tab, `(() => {
		if (document.getElementById("play").textContent === "Pause") document.getElementById("play").click();
		return true;
	})()`)
	return s.settle("going to "+at.Format(time.RFC3339), "true")
}

// wantFrame compares a picture with the store's frame of its time. The time is that of the playback, which may be a millisecond off.
func (s *browserSite) wantFrame(what string, got pageFrame) {
	s.t.Helper()
	list := s.stored()
	before, ok1 := frameAt(list, got.Time-2)
	after, ok2 := frameAt(list, got.Time+2)
	if !ok1 && !ok2 {
		s.t.Fatalf("%s: nothing is stored of %.0f", what, got.Time)
	}
	if *got.Stamp != before.counter && *got.Stamp != after.counter {
		s.t.Errorf("%s: the picture is frame %d, the store has frame %d at that time (%.0f)", what, *got.Stamp, after.counter, got.Time)
	}
}

// sentNow is the counter of the frame that the camera sent last.
func (s *browserSite) sentNow() int64 {
	sessions := s.camera.Sessions()
	return int64(sessions[len(sessions)-1].Last)
}

// stampOfPicture reads the counter that a JPEG shows, as docs/cameras.md has its layout.
func (s *browserSite) stampOfPicture(path string) int64 {
	s.t.Helper()
	f, err := os.Open(path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	picture, err := jpeg.Decode(f)
	if err != nil {
		s.t.Fatal(err)
	}
	if size := picture.Bounds().Size(); size != image.Pt(1920, 1080) {
		s.t.Errorf("the picture has %v", size)
	}
	block := func(i int) int64 {
		_, green, _, _ := picture.At(16*i+8, 8).RGBA()
		return int64(green >> 8)
	}
	value, ones := int64(0), 0
	for i := 2; i <= 18; i++ {
		bit := int64(0)
		if 2*block(i) > block(0)+block(1) {
			bit, ones = 1, ones+1
		}
		value = 2*value + bit
	}
	if ones%2 != 0 {
		s.t.Fatal("the picture's stamp cannot be read")
	}
	return value >> 1
}
