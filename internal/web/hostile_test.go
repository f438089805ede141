package web

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/chromium"
)

// hostile is added to each text that the hub answers: markup, scripts, a style, a direction that turns, and a word without an end.
const hostile = `"'><img src=x onerror="window.hit=1"><script>window.hit=2</script><svg/onload=window.hit=3>` +
	"<a href=\"javascript:window.hit=4\">a</a><style>*{display:none}</style>&lt;b&gt;\u202e\u0000\u0007{{7*7}}${window.hit=5}"

// poison adds a text to each string that the hub answers with, but for those of which a page makes more than text: times, the role, and
// the currency of the plots.
const poison = `(() => {
	const more = %s + "w".repeat(300);
	const damage = (v, key) => Array.isArray(v) ? v.map(x => damage(x, key)) :
		v && typeof v === "object" ? Object.fromEntries(Object.entries(v).map(([k, x]) => [k, damage(x, k)])) :
		typeof v === "string" && !/^\d{4}-\d\d-\d\d/.test(v) && !["role", "currency"].includes(key) ? v + more : v;
	const json = Response.prototype.json;
	Response.prototype.json = async function () { return damage(await json.call(this)); };
	window.added = more;
})()`

// TestTextsFromOutsideAreText on each page, whatever is in them: names of streams, reasons of events, conditions, settings, causes.
func TestTextsFromOutsideAreText(t *testing.T) {
	t.Parallel()
	s := newStageOf(t, "operate", filmArguments, fmt.Sprintf(poison, strconv.Quote(hostile)))
	for _, size := range [][2]int64{{390, 844}, {1440, 900}} {
		s.Run(chromedp.EmulateViewport(size[0], size[1]))
		for path, ready := range map[string]string{
			"/": ".card", "/camera?stream=front-door": ".legend", "/health": "#cost-plot figure", "/settings": "#settings td",
		} {
			s.Run(chromedp.Navigate(s.r.url+path), chromedp.WaitVisible(chromedp.CSS(ready)))
			s.Await(`document.body.innerText.includes("onerror")`)
			got := chromium.Ask[string](s.Tab, `JSON.stringify({
				hit: window.hit ?? 0,
				made: document.querySelectorAll("body script:not([src]), img[src='x'], a[href^='javascript'], body style, [onerror], [onload]").length,
				wide: document.documentElement.scrollWidth <= innerWidth ? "" : [...document.querySelectorAll("body *")].filter(
					e => e.getBoundingClientRect().right > innerWidth + 1).slice(0, 5).map(e => e.tagName + "." + e.className + "#" + e.id).join()
			})`)
			if got != `{"hit":0,"made":0,"wide":""}` {
				t.Errorf("%s of %d pixels: %s", path, size[0], got)
			}
		}
	}
}
