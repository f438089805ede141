package web

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
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

// tab is a page in Debian's Chromium.
type tab struct {
	t   *testing.T
	ctx context.Context
}

// newTab starts a browser of its own, without cookies.
func newTab(t *testing.T) tab {
	t.Helper()
	testtools.Need(t, "chromium")
	ctx, end := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), chromedp.ExecPath("chromium"), chromedp.NoSandbox,
		chromedp.Headless, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.Flag("disable-background-networking", true),
		chromedp.IgnoreCertErrors, chromedp.WSURLReadTimeout(2*time.Minute))
	t.Cleanup(end)
	ctx, closeTab := chromedp.NewContext(ctx)
	t.Cleanup(closeTab)
	t.Cleanup(func() { _ = chromedp.Cancel(ctx) })
	must(t, chromedp.Do(ctx)) // the browser lasts as long as the context of the first one
	return tab{t, ctx}
}

func (b tab) run(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 2*time.Minute)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		text, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText`))
		b.t.Fatalf("%v, at\n%s", err, text)
	}
}

// ask has the page compute something, and waits for a promise.
func ask[T any](b tab, expression string) T {
	b.t.Helper()
	answer, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAsValue, chromedp.EvalAwaitPromise))
	must(b.t, err)
	return answer
}

// text is what a reader sees of an element, once it is there.
func (b tab) text(selector string) string {
	b.t.Helper()
	text, err := chromedp.Run(b.ctx, chromedp.Text(chromedp.CSS(selector), chromedp.NodeVisible))
	must(b.t, err)
	return text
}

// wantText waits for words in an element.
func (b tab) wantText(selector string, words ...string) {
	b.t.Helper()
	testtools.Eventually(b.t, time.Minute, func() error {
		text := b.text(selector)
		for _, word := range words {
			if !strings.Contains(text, word) {
				return fmt.Errorf("%s has no %q:\n%s", selector, word, text)
			}
		}
		return nil
	})
}

// open signs in with a link and waits for a page.
func (b tab) open(r *rig, role, path, selector string) {
	b.t.Helper()
	link, err := r.Link(localapi.WebLinkRequest{Role: role})
	must(b.t, err)
	b.run(chromedp.Navigate(link.URL+link.Path), chromedp.WaitVisible(chromedp.CSS("#wall .card")))
	if path != "/" {
		b.run(chromedp.Navigate(r.url + path))
	}
	b.run(chromedp.WaitVisible(chromedp.CSS(selector)))
}

// thePages are all pages, with something that they show once they are complete.
var thePages = map[string]string{"/": "#wall .card", "/health": "#cost p", "/settings": "#settings td",
	"/camera?stream=front-door": "#line-box"}

func TestChromiumSignsInByALink(t *testing.T) {
	t.Parallel()
	for scheme, change := range map[string]func(*Options){"http": func(*Options) {}, "https": everywhere} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, change).await()
			b := newTab(t)
			b.open(r, "operate", "/", "#wall .card")
			b.wantText("#top", "shop-7", "Role: operate")
			b.wantText("#wall", "front-door", "recording", "25.0 frames/s, 4.0 Mbit/s", "yard", "<b>check</b> its power")
			b.wantText("#summary", "The hub is impaired", "1 of 2 streams record")
			if at := ask[string](b, `location.href`); strings.Contains(at, "link=") {
				t.Errorf("the link stays at %s", at)
			}
			b.run(chromedp.Click(chromedp.CSS("#sign-out")), chromedp.WaitVisible(chromedp.CSS("#form")))
			b.run(chromedp.Navigate(r.url+"/health"), chromedp.WaitVisible(chromedp.CSS("#form")))
		})
	}
}

func TestChromiumSignsInByAPassword(t *testing.T) {
	t.Parallel()
	r := newRig(t).await().setPasswords()
	b := newTab(t)
	b.run(chromedp.Navigate(r.url), chromedp.WaitVisible(chromedp.CSS("#form")))
	b.run(chromedp.SendKeys(chromedp.CSS("#password"), "not the password\r"))
	b.wantText("#trouble", "The password is wrong")
	b.run(chromedp.SendKeys(chromedp.CSS("#password"), viewPassword+"\r"), chromedp.WaitVisible(chromedp.CSS("#wall .card")))
	b.wantText("#top", "Role: view")
	answer := ask[string](b, `fetch("/v1/reload", {method: "POST"}).then(a => a.text().then(t => a.status + " " + t.trim()))`)
	if answer != "403 that changes something: sign in with the role operate" {
		t.Errorf("a viewer's reload is answered %s", answer)
	}
}

func TestChromiumShowsHealthAndSettings(t *testing.T) {
	t.Parallel()
	r := newRig(t).await()
	b := newTab(t)
	b.open(r, "view", "/health", "#cost p")
	b.wantText("#conditions", "No video from the camera: yard", "<b>check</b> its power", "failed, since", "docs/troubleshooting.md#cameras")
	b.wantText("#space", "600 GB of 1.0 TB are used", "holds 31.0 days of media", "front-door: 20 GB of 100 GB")
	b.wantText("#backlog", "500 MB, 16 min 40 s of media")
	b.wantText("#hub", "1.2.3", "as this device")
	b.run(chromedp.Navigate(r.url+"/settings"), chromedp.WaitVisible(chromedp.CSS("#settings td")))
	b.wantText("#settings", "AWS_REGION", "eu-west-1", "file of the service", "after a restart of the agent", "The region.")
	b.run(chromedp.SendKeys(chromedp.CSS("#filter"), "none of them"), chromedp.WaitNotPresent(chromedp.CSS("#settings td")))
}

// TestNoPageBreaksItsPolicy watches for what the Content Security Policy refuses, and for errors of scripts.
func TestNoPageBreaksItsPolicy(t *testing.T) {
	t.Parallel()
	r := newRig(t).await()
	b := newTab(t)
	var complaints complaints
	must(t, chromedp.Listen(b.ctx, complaints.listen))
	for path, selector := range thePages {
		b.open(r, "operate", path, selector)
	}
	if list := complaints.take(); len(list) > 0 {
		t.Errorf("the pages complain:\n%s", strings.Join(list, "\n"))
	}
	if !ask[bool](b, `(() => { try { document.body.innerHTML = "<b>x</b>"; return false } catch { return true } })()`) {
		t.Error("text becomes HTML")
	}
}

// TestAxeFindsNothingSerious has axe-core examine each page in both themes, on a phone and on a desk.
func TestAxeFindsNothingSerious(t *testing.T) {
	t.Parallel()
	axe, err := os.ReadFile(tool(t, "axe-core/axe.min.js"))
	must(t, err)
	r := newRig(t).await()
	b := newTab(t)
	b.open(r, "operate", "/", "#wall .card")
	for _, theme := range []string{"light", "dark"} {
		for name, width := range map[string]int64{"phone": 390, "desk": 1440} {
			for path, selector := range thePages {
				b.run(chromedp.EmulateViewport(width, 900), themed(theme), chromedp.Navigate(r.url+path),
					chromedp.WaitVisible(chromedp.CSS(selector)))
				b.examine(string(axe), path+" "+theme+" "+name)
			}
		}
	}
	b.run(chromedp.Click(chromedp.CSS("#sign-out")), chromedp.WaitVisible(chromedp.CSS("#form")))
	for _, theme := range []string{"light", "dark"} {
		b.run(themed(theme))
		b.examine(string(axe), "/sign-in "+theme)
	}
}

func themed(theme string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}})
		return err
	})
}

// finding is what axe-core reports.
type finding struct {
	ID, Impact, Help string
	Nodes            []struct{ HTML, FailureSummary string }
}

func (b tab) examine(axe, what string) {
	b.t.Helper()
	text := ask[string](b, axe+`; axe.run(document, {resultTypes: ["violations"]}).then(r => JSON.stringify(r.violations))`)
	var list []finding
	must(b.t, json.Unmarshal([]byte(text), &list))
	for _, f := range list {
		b.t.Errorf("%s: %s (%s): %s: %+v", what, f.ID, f.Impact, f.Help, f.Nodes)
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
