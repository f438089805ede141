package web

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/chromium"
)

// toolsDir is where `make web-tools` installs axe-core and TypeScript.
const toolsDir = "../../.ci/web"

// tool is one of their files; without it the test is skipped, or fails in CI.
func tool(t *testing.T, path string) string {
	t.Helper()
	path = filepath.Join(toolsDir, "node_modules", filepath.FromSlash(path))
	if _, err := os.Stat(path); err != nil {
		if os.Getenv(testtools.RequireVariable) != "" {
			t.Fatal("axe-core and TypeScript are not installed: run `make web-tools`")
		}
		t.Skip("axe-core and TypeScript are not installed: run `make web-tools` to run this test")
	}
	return path
}

// open signs in with a link and waits for a page.
func (r *rig) open(b chromium.Tab, role, path, selector string) {
	r.t.Helper()
	link, err := r.Link(localapi.WebLinkRequest{Role: role})
	must(r.t, err)
	b.Run(chromedp.Navigate(link.URL+link.Path), chromedp.WaitVisible(chromedp.CSS("#wall .card")))
	if path != "/" {
		b.Run(chromedp.Navigate(r.url + path))
	}
	b.Run(chromedp.WaitVisible(chromedp.CSS(selector)))
}

// thePages are all pages, with something that they show once they are complete.
var thePages = map[string]string{"/": "#wall .card", "/health": "#cost-plot figure", "/settings": "#settings td",
	"/camera?stream=front-door": "#line-box"}

func TestChromiumSignsInByALink(t *testing.T) {
	t.Parallel()
	for scheme, change := range map[string]func(*Options){"http": func(*Options) {}, "https": everywhere} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, change).await()
			b := chromium.New(t)
			r.open(b, "operate", "/", "#wall .card")
			b.WantText("#top", "shop-7", "Role: operate")
			b.WantText("#wall", "front-door", "recording", "25.0 frames/s, 4.0 Mbit/s", "yard", "<b>check</b> its power")
			b.WantText("#summary", "The hub is impaired", "1 of 2 streams record")
			if at := chromium.Ask[string](b, `location.href`); strings.Contains(at, "link=") {
				t.Errorf("the link stays at %s", at)
			}
			b.Run(chromedp.Click(chromedp.CSS("#sign-out")), chromedp.WaitVisible(chromedp.CSS("#form")))
			b.Run(chromedp.Navigate(r.url+"/health"), chromedp.WaitVisible(chromedp.CSS("#form")))
		})
	}
}

func TestChromiumSignsInByAPassword(t *testing.T) {
	t.Parallel()
	r := newRig(t).await().setPasswords()
	b := chromium.New(t)
	b.Run(chromedp.Navigate(r.url), chromedp.WaitVisible(chromedp.CSS("#form")))
	b.Run(chromedp.SendKeys(chromedp.CSS("#password"), "not the password\r"))
	b.WantText("#trouble", "The password is wrong")
	b.Run(chromedp.SendKeys(chromedp.CSS("#password"), viewPassword+"\r"), chromedp.WaitVisible(chromedp.CSS("#wall .card")))
	b.WantText("#top", "Role: view")
	answer := chromium.Ask[string](b, `fetch("/v1/reload", {method: "POST"}).then(a => a.text().then(t => a.status + " " + t.trim()))`)
	if answer != "403 that changes something: sign in with the role operate" {
		t.Errorf("a viewer's reload is answered %s", answer)
	}
}

func TestChromiumShowsHealthAndSettings(t *testing.T) {
	t.Parallel()
	r := newRig(t).await()
	b := chromium.New(t)
	r.open(b, "view", "/health", "#cost .hint")
	b.WantText("#conditions", "No video from the camera: yard", "<b>check</b> its power", "failed, since", "docs/troubleshooting.md#cameras")
	b.WantText("#disk-plot", "600 GB of 1.0 TB are used", "holds 31.0 days of media")
	b.WantText("#space", "front-door: 20 GB of 100 GB")
	b.WantText("#backlog", "500 MB, 16 min 40 s of media")
	b.WantText("#hub", "1.2.3", "as this device")
	b.Run(chromedp.Navigate(r.url+"/settings"), chromedp.WaitVisible(chromedp.CSS("#settings td")))
	b.WantText("#settings", "AWS_REGION", "eu-west-1", "file of the service", "after a restart of the agent", "The region.")
	b.Run(chromedp.SendKeys(chromedp.CSS("#filter"), "none of them"), chromedp.WaitNotPresent(chromedp.CSS("#settings td")))
}

// TestChromiumPlotsThePast compares the lines of plots with what the hub said, and their words and tables.
func TestChromiumPlotsThePast(t *testing.T) {
	t.Parallel()
	r := newRig(t).await()
	b := chromium.New(t)
	r.open(b, "view", "/health", "#cost-plot figure")
	b.WantText("#backlog", "Backlog of front-door", "500 MB, 16 min 40 s of media; done", "at the present speed", "then: foreseen",
		"Not uploaded")
	b.WantText("#line-plot", "720 MB sent and 24 MB received in this time", "Sent", "Received")
	b.WantText("#cost-plot", "$0.47 in 30 days for taking in 59 GB, at the prices of us-east-1",
		"The tier of front-door is not known, and taken to be HOT.")
	b.WantText("#plot-since", "The hub remembers since")
	// An hour without a point parts the line, what is foreseen goes down to nothing, and the disk has its limit.
	const plot = `document.querySelector("#backlog figure svg")`
	for expression, want := range map[string]string{
		plot + `.querySelectorAll("polyline.line").length`:                                                           "2",
		plot + `.querySelector("polyline.forecast").points.length`:                                                   "2",
		plot + `.querySelector("polyline.forecast").points[1].y`:                                                     "99",
		plot + `.querySelectorAll("polyline.line")[0].points[0].y`:                                                   "3",
		plot + `.getAttribute("role")`:                                                                               "img",
		plot + `.getAttribute("aria-label").startsWith("Backlog of front-door: 500 MB")`:                             "true",
		`document.querySelectorAll("#disk-plot svg .limit").length`:                                                  "1",
		`document.querySelectorAll("#cost-plot rect").length`:                                                        "30",
		`[...document.querySelectorAll("#cost-plot rect")].filter(r => Number(r.getAttribute("height")) > 1).length`: "10",
		`document.querySelectorAll("#backlog figure")[1].querySelectorAll("polyline.forecast").length`:               "0",
	} {
		if got := chromium.Ask[string](b, "String("+expression+")"); got != want {
			t.Errorf("%s is %s, want %s", expression, got, want)
		}
	}
	// The numbers are a table, which stays open when the page is read again.
	b.Run(chromedp.Click(chromedp.CSS("#backlog summary")))
	b.WantText("#backlog details", "Time", "Not uploaded", "2.0 GB")
	b.Run(chromedp.SetValue(chromedp.CSS("#plot-range"), "6"))
	before := chromium.Ask[string](b, plot+`.outerHTML`)
	chromium.Ask[bool](b, `document.getElementById("plot-range").dispatchEvent(new Event("change"))`)
	b.Await(plot + `.outerHTML !== ` + strconv.Quote(before) + ` && document.querySelector("#backlog details").open`)
}

// TestNoPageBreaksItsPolicy watches for what the Content Security Policy refuses, and for errors of scripts.
func TestNoPageBreaksItsPolicy(t *testing.T) {
	t.Parallel()
	r := newRig(t).await()
	b := chromium.New(t)
	complaints := chromium.Complaints{Excused: func(url string) bool { return strings.Contains(url, "/v1/hls/") }} // nothing is recorded
	complaints.Watch(b)
	for path, selector := range thePages {
		r.open(b, "operate", path, selector)
	}
	if list := complaints.List(); len(list) > 0 {
		t.Errorf("the pages complain:\n%s", strings.Join(list, "\n"))
	}
	if !chromium.Ask[bool](b, `(() => { try { document.body.innerHTML = "<b>x</b>"; return false } catch { return true } })()`) {
		t.Error("text becomes HTML")
	}
}

// TestAxeFindsNothingSerious has axe-core examine each page in both themes, on a phone and on a desk.
func TestAxeFindsNothingSerious(t *testing.T) {
	t.Parallel()
	axe, err := os.ReadFile(tool(t, "axe-core/axe.min.js"))
	must(t, err)
	r := newRig(t).await()
	b := chromium.New(t)
	r.open(b, "operate", "/", "#wall .card")
	for _, theme := range []string{"light", "dark"} {
		for name, width := range map[string]int64{"phone": 390, "desk": 1440} {
			for path, selector := range thePages {
				b.Run(chromedp.EmulateViewport(width, 900), chromium.Theme(theme), chromedp.Navigate(r.url+path),
					chromedp.WaitVisible(chromedp.CSS(selector)))
				examine(b, string(axe), path+" "+theme+" "+name)
			}
		}
	}
	b.Run(chromedp.Click(chromedp.CSS("#sign-out")), chromedp.WaitVisible(chromedp.CSS("#form")))
	for _, theme := range []string{"light", "dark"} {
		b.Run(chromium.Theme(theme))
		examine(b, string(axe), "/sign-in "+theme)
	}
}

// finding is what axe-core reports.
type finding struct {
	ID, Impact, Help string
	Nodes            []struct{ HTML, FailureSummary string }
}

func examine(b chromium.Tab, axe, what string) {
	b.T.Helper()
	text := chromium.Ask[string](b, axe+`; axe.run(document, {resultTypes: ["violations"]}).then(r => JSON.stringify(r.violations))`)
	var list []finding
	must(b.T, json.Unmarshal([]byte(text), &list))
	for _, f := range list {
		b.T.Errorf("%s: %s (%s): %s: %+v", what, f.ID, f.Impact, f.Help, f.Nodes)
	}
}

func TestNoScriptHasATypeError(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "node")
	compiler, err := filepath.Abs(tool(t, "typescript/bin/tsc"))
	must(t, err)
	if out, err := command(t, "node", compiler, "-p", "pages/tsconfig.json"); err != nil {
		t.Errorf("tsc --noEmit: %v\n%s", err, out)
	}
}

// TestFormattersAreMadeOnce as a browser takes a third of a millisecond for each, and as long to free it: a time line has a thousand times.
func TestFormattersAreMadeOnce(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("pages/js/*.js")
	must(t, err)
	once := regexp.MustCompile(`^\s*const \w+ = new Intl\.`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(t, err)
		for i, line := range strings.Split(string(text), "\n") {
			if strings.Contains(line, "toLocale") || strings.Contains(line, "Intl.") && !once.MatchString(line) {
				t.Errorf("%s:%d: times and numbers are written by what format.js has, not by %s", file, i+1, strings.TrimSpace(line))
			}
		}
	}
}
