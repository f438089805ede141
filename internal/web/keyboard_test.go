package web

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/chromium"
)

// numbered numbers each control that can be seen, and returns how many there are. Of radio buttons the keyboard reaches one of the
// group, and by arrows the others.
const numbered = `(() => {
	const all = [...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex="0"]')];
	const seen = all.filter(e => e.checkVisibility() && !e.disabled && e.type !== "radio" || e.type === "radio" && e.checked);
	seen.forEach((e, i) => (e.dataset.control = String(i)));
	return seen.length;
})()`

// TestEachControlIsReachedByTheKeyboard walks through each page with the tabulator: each control has the focus once, and shows it.
func TestEachControlIsReachedByTheKeyboard(t *testing.T) {
	t.Parallel()
	r := newRig(t).await()
	b := chromium.New(t)
	r.open(b, "operate", "/", "#wall .card")
	for path, selector := range thePages {
		b.Run(chromedp.Navigate(r.url+path), chromedp.WaitVisible(chromedp.CSS(selector)))
		walk(b, path)
	}
	b.Run(chromedp.Click(chromedp.CSS("#sign-out")), chromedp.WaitVisible(chromedp.CSS("#form")))
	walk(b, "/sign-in")
}

func walk(b chromium.Tab, path string) {
	b.T.Helper()
	controls := chromium.Ask[int](b, numbered)
	reached := make(map[string]bool)
	var hidden []string
	for range 3 * (controls + 5) { // fields of a date have several stops
		b.Run(chromedp.KeyEvent(kb.Tab))
		at := chromium.Ask[struct {
			Control, Name string
			Shown         bool
		}](b, `(() => {
			const e = document.activeElement, style = getComputedStyle(e);
			return {Control: e.dataset?.control ?? "", Name: e.outerHTML.slice(0, 80),
				Shown: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2};
		})()`)
		if at.Control == "" {
			continue
		}
		if !at.Shown && !reached[at.Control] {
			hidden = append(hidden, at.Name)
		}
		if reached[at.Control] = true; len(reached) == controls {
			break
		}
	}
	if len(reached) != controls || controls < 3 {
		missed := chromium.Ask[string](b, fmt.Sprintf(`[...document.querySelectorAll("[data-control]")].filter(e => !%s.includes(
			e.dataset.control)).map(e => e.outerHTML.slice(0, 100)).join("\n")`, strings.ReplaceAll(fmt.Sprintf("%q", keys(reached)), " ", ",")))
		b.T.Errorf("%s: %d of %d controls are reached; not:\n%s", path, len(reached), controls, missed)
	}
	for _, name := range hidden {
		b.T.Errorf("%s does not show that it has the focus: %s", path, name)
	}
}

func keys(set map[string]bool) (list []string) {
	for name := range set {
		list = append(list, name)
	}
	return list
}

// TestAxeFindsNothingSeriousInARange examines what a marked range offers, with the media playing, in both themes, on a phone and on a desk,
// and what is said of a link; and the keyboard reaches all of it.
func TestAxeFindsNothingSeriousInARange(t *testing.T) {
	t.Parallel()
	axe, err := os.ReadFile(tool(t, "axe-core/axe.min.js"))
	must(t, err)
	s := newStage(t, "operate")
	s.goTo(2 * time.Second)
	s.Run(chromedp.KeyEvent("i"))
	s.goTo(5 * time.Second)
	s.Run(chromedp.Click(chromedp.CSS("#mark-to")), chromedp.WaitVisible(chromedp.CSS("#export-mkv")), chromedp.Click(chromedp.CSS("#share")),
		chromedp.WaitVisible(chromedp.CSS("#said a")))
	for _, theme := range []string{"light", "dark"} {
		for name, width := range map[string]int64{"phone": 390, "desk": 1440} {
			s.Run(chromedp.EmulateViewport(width, 900), chromium.Theme(theme))
			examine(s.Tab, string(axe), "a range, "+theme+" "+name)
		}
	}
	walk(s.Tab, "a range")
}
