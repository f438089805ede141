package main

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/chromium"
)

// TestChromiumExportsUploadsAndHoldsARange is what a technician does with what was found: a file of it, a copy in the cloud, and a hold.
// The files are compared with the store by ffmpeg, and the rest by the local cloud and the program.
func TestChromiumExportsUploadsAndHoldsARange(t *testing.T) {
	t.Parallel()
	s := newBrowserSite(t, 12*fps)
	password := "twelve brave badgers"
	s.commandWith(password+"\n", "web", "password", "--role", "operate")
	s.link("view") // for the address
	s.Run(chromedp.Navigate(s.url), chromedp.WaitVisible(chromedp.CSS("#form")), chromedp.Click(chromedp.CSS(`input[value="operate"]`)),
		chromedp.SendKeys(chromedp.CSS("#password"), password+"\r"), chromedp.WaitVisible(chromedp.CSS("#wall .card")))
	s.openCamera()
	list := s.stored()
	begin := time.UnixMilli(list[0].at).Add(2 * time.Second)
	from := s.goTo(begin)
	s.Run(chromedp.Click(chromedp.CSS("h1")), chromedp.KeyEvent("i"))
	to := s.goTo(begin.Add(5 * time.Second))
	s.Run(chromedp.Click(chromedp.CSS("h1")), chromedp.KeyEvent("o"), chromedp.WaitVisible(chromedp.CSS("#export-mkv")))
	for _, format := range []string{"mkv", "mp4"} {
		name, path := s.Download(chromedp.Click(chromedp.CSS("#export-" + format)))
		if !strings.HasPrefix(name, "door-") || !strings.HasSuffix(name, "."+format) {
			t.Errorf("the export is called %s", name)
		}
		s.wantFrames(format, path, from, to)
	}
	s.uploads(from, to)
	s.holds(from, to)
}

// wantFrames compares each picture of a file with those that the store has of the range.
func (s *browserSite) wantFrames(what, path string, from, to pageFrame) {
	s.t.Helper()
	got := s.pictures(path)
	files, err := filepath.Glob(filepath.Join(s.recordings(), "door", "*.mkv"))
	if err != nil {
		s.t.Fatal(err)
	}
	slices.Sort(files) // by their times
	var all []string
	for _, file := range files {
		if strings.HasSuffix(file, ".writing.mkv") {
			continue
		}
		all = append(all, s.pictures(file)...)
	}
	first := slices.Index(all, got[0])
	if first < 0 || first+len(got) > len(all) || !slices.Equal(all[first:first+len(got)], got) {
		s.t.Fatalf("%s: its %d pictures are not those of the store one after the other, of which there are %d; the first is number %d", what,
			len(got), len(all), first)
	}
	// The range consists of fragments, so it has both ends, and little more.
	list := s.stored()
	at := func(n int) float64 { return float64(list[n].at) }
	last, little := first+len(got)-1, 3000.0
	if at(first) > from.Time+2 || at(last) < to.Time-1000/fps-2 || at(first) < from.Time-little || at(last) > to.Time+little {
		s.t.Errorf("%s: it has what was recorded from %.0f to %.0f, marked was %.0f to %.0f", what, at(first), at(last), from.Time, to.Time)
	}
}

// pictures are the hashes of each picture of a file, as ffmpeg decodes it.
func (s *browserSite) pictures(path string) (hashes []string) {
	s.t.Helper()
	out, err := exec.CommandContext(s.t.Context(), "ffmpeg", "-v", "error", "-i", path, "-map", "0:v", "-fps_mode", "passthrough", "-f",
		"framemd5", "-").Output()
	if err != nil {
		s.t.Fatalf("%s: %v", path, err)
	}
	for line := range strings.Lines(string(out)) {
		if fields := strings.Split(strings.TrimSpace(line), ","); len(fields) == 6 && !strings.HasPrefix(line, "#") {
			hashes = append(hashes, strings.TrimSpace(fields[5]))
		}
	}
	if len(hashes) == 0 {
		s.t.Fatalf("%s has no picture", path)
	}
	return hashes
}

// uploads has the page upload the range: then the cloud has it, and no more than its fragments.
func (s *browserSite) uploads(from, to pageFrame) {
	s.t.Helper()
	if have := s.cloud.Media().Fragments("door"); len(have) != 0 {
		s.t.Fatalf("the cloud has %d fragments already", len(have))
	}
	s.Run(chromedp.Click(chromedp.CSS("#upload")))
	s.WantText("#said", "The range is in the cloud.")
	var times []int64
	for _, f := range s.cloud.Media().Fragments("door") {
		times = append(times, f.Producer.UnixMilli())
	}
	slices.Sort(times)
	if len(times) < 5 || float64(times[0]) > from.Time+2 || float64(times[len(times)-1]) < to.Time-1100 ||
		float64(times[0]) < from.Time-3000 || float64(times[len(times)-1]) > to.Time+3000 {
		s.t.Errorf("the cloud has the fragments of %v, marked was %.0f to %.0f", times, from.Time, to.Time)
	}
	s.Run(chromedp.WaitReady(chromedp.CSS(".lane.cloud i"))) // and so has the time line
}

// holds has the page hold the range: then the program lists the hold, and its removal ends what the time line shows.
func (s *browserSite) holds(from, to pageFrame) {
	s.t.Helper()
	s.Run(chromedp.SendKeys(chromedp.CSS("#reason"), "theft, case 7\r"))
	s.WantText("#said", "They are deleted by no rule until the hold is removed.")
	var holds []struct {
		ID, Stream, Reason, By string
		From, To               time.Time
	}
	text := s.command("hold", "list", "--json")
	if err := json.Unmarshal([]byte(text), &holds); err != nil {
		s.t.Fatalf("%v: %s", err, text)
	}
	if len(holds) != 1 || holds[0].Stream != "door" || holds[0].Reason != "theft, case 7" || holds[0].From.UnixMilli() != int64(from.Time) ||
		holds[0].To.UnixMilli() != int64(to.Time) || !strings.Contains(text, "web page, role operate, from 127.0.0.1") {
		s.t.Errorf("the program lists %s; marked was %.0f to %.0f", text, from.Time, to.Time)
	}
	s.Run(chromedp.WaitReady(chromedp.CSS(".lane.held i")))
	chromium.Ask[bool](s.Tab, fmt.Sprintf(`fetch("/v1/holds").then(a => a.text()).then(t => t.includes(%q))`, "theft, case 7"))
}
