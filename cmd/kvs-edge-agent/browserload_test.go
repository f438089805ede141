package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"golang.org/x/sys/unix"

	"github.com/kvs-edge/kvs-edge-agent/internal/backoff"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/chromium"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/filmed"
)

// load is how much the browsers of a proof do.
type load struct {
	segments, real int // of the stream on disk; the others have no media
	seeks          int
	viewers        int
	watch          time.Duration
}

// segmentEvery is from one recording of the past to the next, so that 138,000 are of 29 days; each has pastMedia of media.
const (
	segmentEvery = 18 * time.Second
	pastMedia    = 15
)

// TestBrowsersSeekAndWatchWithoutALoss measures how long a seek in the page takes until its first picture, among many recordings and with
// the media not in memory, and what viewers at the same time take of the agent. Nothing that the camera sends is lost meanwhile.
func TestBrowsersSeekAndWatchWithoutALoss(t *testing.T) {
	testtools.Need(t, "chromium", "ffmpeg")
	l := testtools.Proof(t, "web", testtools.Sizes[load]{
		Short: load{300, 3, 3, 2, time.Second}, Middle: load{10_000, 20, 20, 8, 20 * time.Second},
		Long: load{138_000, 200, 200, 8, time.Minute},
	})
	s := &browserSite{site: newSite(t, ourContract)}
	places := s.manyRecordings(l)
	s.camera = startCamera(t, fakecam.Options{})
	s.configure("door", s.camera.URL(), inTwelve)
	s.startAgent("AWS_KVS_EDGE_WEB_ADDRESS=127.0.0.1:0")
	s.awaitRecorded("door", 3*fps)
	s.Tab = chromium.New(t, "host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
	s.signIn("view")
	s.openCamera()
	s.measureSeeks(l, places)
	s.measureViewers(l)
	s.lostNothing()
}

// manyRecordings fills the disk, and returns when the recordings with media begin.
func (s *browserSite) manyRecordings(l load) (places []time.Time) {
	s.t.Helper()
	film := filmed.Read(s.t, filmed.Encode(s.t, pastMedia,
		"-c:v libx264 -preset ultrafast -bf 0 -g 25 -keyint_min 25 -sc_threshold 0 -pix_fmt yuv420p -b:v 2M -minrate 2M"))
	store, err := segment.Open(segment.Options{Dir: s.recordings()})
	if err != nil {
		s.t.Fatal(err)
	}
	begin := time.Now().Add(-time.Duration(l.segments+20) * segmentEvery).Truncate(time.Second)
	at := func(slot int) time.Time { return begin.Add(time.Duration(slot) * segmentEvery) }
	slots := rand.New(rand.NewPCG(1, 1)).Perm(l.segments)[:l.real]
	real := make(map[int]bool)
	for _, slot := range slots {
		real[slot] = true
		places = append(places, at(slot))
	}
	slices.Sort(slots) // recordings follow each other
	for _, slot := range slots {
		film.Record(s.t, store, "door", at(slot), 10)
	}
	if err := store.Close(); err != nil {
		s.t.Fatal(err)
	}
	for slot := range l.segments {
		if real[slot] {
			continue
		}
		name := layout.FinishedName(layout.ID{Start: at(slot).UnixMilli()}, pastMedia*1000, layout.UploadedSuffix)
		if err := os.WriteFile(filepath.Join(s.recordings(), "door", name), nil, 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	return places
}

// measureSeeks goes to times at random, and logs how long it took until their first picture was presented.
func (s *browserSite) measureSeeks(l load, places []time.Time) {
	s.t.Helper()
	chromium.Ask[bool](s.Tab, `(() => {
		const video = document.getElementById("video"), go = document.getElementById("go-to");
		window.measureSeek = ms => new Promise((done, failed) => {
			setTimeout(() => failed(new Error(document.body.innerText + video.currentTime + " " + video.readyState)), 60000);
			const t = new Date(ms), local = new Date(t.getTime() - t.getTimezoneOffset() * 60000);
			go.value = local.toISOString().slice(0, 19);
			const begin = performance.now();
			video.addEventListener("emptied", () => video.requestVideoFrameCallback(() => done(performance.now() - begin)), {once: true});
			go.form.requestSubmit();
		});
		return true;
	})()`)
	var took []float64
	random := rand.New(rand.NewPCG(2, 2))
	for i := range l.seeks {
		place := places[i%len(places)]
		s.dropCache(place)
		at := place.Add(time.Duration(1+random.IntN(pastMedia-3)) * time.Second)
		took = append(took, chromium.Ask[float64](s.Tab, fmt.Sprintf(`measureSeek(%d)`, at.UnixMilli())))
		s.Await(fmt.Sprintf(`Math.abs(Number(document.getElementById("clock").dataset.time) - %d) < 60000`, at.UnixMilli()))
	}
	slices.Sort(took)
	s.t.Logf("first picture after a seek in the browser, %d segments on disk, %d seeks: p50 %.0f ms, p95 %.0f ms, max %.0f ms", l.segments,
		len(took), took[(len(took)-1)/2], took[(len(took)-1)*95/100], took[len(took)-1])
}

// dropCache has the kernel forget the recording that begins at a time.
func (s *browserSite) dropCache(at time.Time) {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(s.recordings(), "door", at.UTC().Format("20060102T150405")+"*"))
	if err != nil || len(files) != 1 {
		s.t.Fatalf("of %v there are %q, %v", at, files, err)
	}
	f, err := os.Open(files[0])
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		s.t.Fatal(err)
	}
}

// measureViewers has several tabs show the camera live, and logs what that takes of the agent's processor time.
func (s *browserSite) measureViewers(l load) {
	s.t.Helper()
	s.Run(chromedp.Navigate("about:blank"))
	idle := s.agentTakes(l.watch)
	viewers := []chromium.Tab{s.Tab}
	for len(viewers) < l.viewers {
		viewers = append(viewers, s.Tab.Another())
	}
	const position = `document.getElementById("clock")?.dataset.time ?? ""`
	for _, v := range viewers {
		v.Run(chromedp.Navigate(s.url + "/camera?stream=door"))
	}
	before := make([]string, len(viewers))
	for i, v := range viewers {
		v.Await(`document.getElementById("video")?.getVideoPlaybackQuality().totalVideoFrames > 25`)
		before[i] = chromium.Ask[string](v, position)
	}
	watched := s.agentTakes(l.watch)
	for i, v := range viewers {
		v.Await(fmt.Sprintf(`Number(%s) > %s`, position, before[i]))
	}
	s.t.Logf("the agent takes %.1f %% of a core without a viewer, and %.1f %% with %d", 100*idle, 100*watched, len(viewers))
}

// agentTakes is which part of a core the agent takes in some time.
func (s *browserSite) agentTakes(d time.Duration) float64 {
	s.t.Helper()
	before, began := s.agentTime(), time.Now()
	if err := backoff.Sleep(s.t.Context(), d); err != nil {
		s.t.Fatal(err)
	}
	return (s.agentTime() - before).Seconds() / time.Since(began).Seconds()
}

// agentTime is the processor time that the agent has had. Source: proc_pid_stat(5).
func (s *browserSite) agentTime() time.Duration {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(s.agent.cmd.Process.Pid), "stat"))
	if err != nil {
		s.t.Fatal(err)
	}
	_, behind, _ := strings.Cut(string(text), ") ")
	const user, system, tick = 11, 12, 10 * time.Millisecond
	fields := strings.Fields(behind)
	ticks := 0
	for _, i := range []int{user, system} {
		n, err := strconv.Atoi(fields[i])
		if err != nil {
			s.t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * tick
}

// lostNothing compares the frames on the disk with each other: the camera numbers them.
func (s *browserSite) lostNothing() {
	s.t.Helper()
	st, err := s.stream("door")
	if err != nil {
		s.t.Fatal(err)
	}
	s.stopAgent()
	sessions := s.camera.Sessions()
	list := s.stored()
	for i := 1; i < len(list); i++ {
		if list[i].counter != (list[i-1].counter+1)&0xFFFF {
			s.t.Errorf("after frame %d the store has frame %d", list[i-1].counter, list[i].counter)
		}
	}
	if len(sessions) != 1 || sessions[0].Skipped != 0 || st.Recorder.FramesLost != 0 {
		s.t.Errorf("the camera had %d sessions, and the agent lost %d frames: %+v", len(sessions), st.Recorder.FramesLost, sessions)
	}
	s.t.Logf("%d frames are recorded, 0 are lost", len(list))
}
