// Package chromium opens pages in Debian's Chromium, for tests: what a page shows and does there is what a person sees, and not what its
// scripts claim. It must not know which pages.
package chromium

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// patience bounds every wait for something that must come.
const patience = 2 * time.Minute

// Tab is a page in a browser of its own.
type Tab struct {
	T   testing.TB
	Ctx context.Context
}

// New starts a browser without cookies. Flags are more options of its command line, in pairs of name and value.
func New(t testing.TB, flags ...string) Tab {
	t.Helper()
	testtools.Need(t, "chromium")
	options := []chromedp.ExecAllocatorOption{chromedp.ExecPath("chromium"), chromedp.NoSandbox, chromedp.Headless, chromedp.DisableGPU,
		chromedp.NoFirstRun, chromedp.Flag("disable-background-networking", true), chromedp.IgnoreCertErrors,
		chromedp.WSURLReadTimeout(patience)}
	for i := 0; i+1 < len(flags); i += 2 {
		options = append(options, chromedp.Flag(flags[i], flags[i+1]))
	}
	ctx, end := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
	t.Cleanup(end)
	ctx, closeTab := chromedp.NewContext(ctx)
	t.Cleanup(closeTab)
	t.Cleanup(func() { _ = chromedp.Cancel(ctx) })
	b := Tab{t, ctx}
	b.must(chromedp.Do(ctx)) // the browser lasts as long as the context of the first one
	return b
}

func (b Tab) must(err error) {
	b.T.Helper()
	if err != nil {
		b.T.Fatal(err)
	}
}

// Run does what a person does. A failure shows the page's text.
func (b Tab) Run(actions ...chromedp.Action[chromedp.Void]) {
	b.T.Helper()
	ctx, cancel := context.WithTimeout(b.Ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		text, _ := chromedp.Run(b.Ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText`))
		b.T.Fatalf("%v, at\n%s", err, text)
	}
}

// Ask has the page compute something, and waits for a promise.
func Ask[T any](b Tab, expression string) T {
	b.T.Helper()
	ctx, cancel := context.WithTimeout(b.Ctx, patience)
	defer cancel()
	answer, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAsValue, chromedp.EvalAwaitPromise))
	b.must(err)
	return answer
}

// Text is what a reader sees of an element, once it is there.
func (b Tab) Text(selector string) string {
	b.T.Helper()
	ctx, cancel := context.WithTimeout(b.Ctx, patience)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS(selector), chromedp.NodeVisible))
	b.must(err)
	return text
}

// WantText waits for words in an element.
func (b Tab) WantText(selector string, words ...string) {
	b.T.Helper()
	testtools.Eventually(b.T, time.Minute, func() error {
		text := b.Text(selector)
		for _, word := range words {
			if !strings.Contains(text, word) {
				return fmt.Errorf("%s has no %q:\n%s", selector, word, text)
			}
		}
		return nil
	})
}

// Await waits until an expression is true.
func (b Tab) Await(expression string) {
	b.T.Helper()
	testtools.Eventually(b.T, time.Minute, func() error {
		if Ask[bool](b, expression) {
			return nil
		}
		return fmt.Errorf("not %s, at\n%s", expression, Ask[string](b, `location.href + "\n" + document.body.innerText`))
	})
}

// Theme is light or dark, as a person has set it for all pages.
func Theme(theme string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}})
		return err
	})
}

// Download does something that has the browser save a file, and returns the name that the browser gave it and where it is.
func (b Tab) Download(trigger chromedp.Action[chromedp.Void]) (name, path string) {
	b.T.Helper()
	dir := b.T.TempDir()
	events := true
	ctx, cancel := context.WithTimeout(b.Ctx, patience)
	defer cancel()
	_, err := chromedp.CallBrowser(ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorAllowAndName, DownloadPath: dir, EventsEnabled: &events})
	b.must(err)
	var once sync.Once
	ended := make(chan error, 1)
	names := make(chan string, 10)
	b.must(chromedp.ListenBrowser(ctx, func(event any) {
		switch e := event.(type) {
		case *browser.EventDownloadWillBegin:
			names <- e.SuggestedFilename
		case *browser.EventDownloadProgress:
			if e.State == browser.DownloadProgressStateInProgress {
				return
			}
			once.Do(func() {
				path = filepath.Join(dir, e.GUID)
				var err error
				if e.State != browser.DownloadProgressStateCompleted {
					err = fmt.Errorf("the download is %s", e.State)
				}
				ended <- err
			})
		}
	}))
	b.must(chromedp.Do(ctx, trigger))
	select {
	case err := <-ended:
		b.must(err)
	case <-ctx.Done():
		b.T.Fatal("nothing was downloaded: ", Ask[string](b, `document.body.innerText`))
	}
	return <-names, path
}

// Complaints are what a browser writes to its console, without those of addresses that Excused returns true for.
type Complaints struct {
	Excused func(url string) bool

	mu   sync.Mutex
	list []string
}

// Watch begins to listen.
func (c *Complaints) Watch(b Tab) {
	b.T.Helper()
	b.must(chromedp.Listen(b.Ctx, c.listen))
}

func (c *Complaints) listen(event any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch e := event.(type) {
	case *log.EventEntryAdded:
		if c.Excused == nil || e.Entry.Source != log.EntrySourceNetwork || !c.Excused(e.Entry.URL) {
			c.list = append(c.list, e.Entry.Text+" "+e.Entry.URL)
		}
	case *runtime.EventExceptionThrown:
		c.list = append(c.list, e.ExceptionDetails.Text+" "+e.ExceptionDetails.URL)
	}
}

// List returns all so far.
func (c *Complaints) List() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.list
}

// StampReader is the JavaScript of docs/cameras.md: the function pictureStamp, which reads the counter that a picture of fakecam shows.
func StampReader(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("the root of the module is not found")
		}
		dir = filepath.Dir(dir)
	}
	page, err := os.ReadFile(filepath.Join(dir, "docs", "cameras.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, code, found := strings.Cut(string(page), "```js\n")
	code, _, ended := strings.Cut(code, "```\n")
	if !found || !ended {
		t.Fatal("docs/cameras.md has no function that reads a picture")
	}
	return code
}

// Cookies are those that the browser would send to the page's address, as a request has them.
func Cookies(b Tab) string {
	b.T.Helper()
	at := Ask[string](b, `location.href`)
	ctx, cancel := context.WithTimeout(b.Ctx, patience)
	defer cancel()
	answer, err := chromedp.Call(ctx, network.GetCookies, network.GetCookiesParams{URLs: []string{at}})
	b.must(err)
	var list []string
	for _, c := range answer.Cookies {
		list = append(list, c.Name+"="+c.Value)
	}
	return strings.Join(list, "; ")
}

// Screenshot is what the screen shows, as WebP.
func Screenshot(b Tab, quality int64) []byte {
	b.T.Helper()
	ctx, cancel := context.WithTimeout(b.Ctx, patience)
	defer cancel()
	answer, err := chromedp.Call(ctx, page.CaptureScreenshot, page.CaptureScreenshotParams{Format: page.CaptureScreenshotFormatWebp,
		Quality: &quality})
	b.must(err)
	return answer.Data
}
