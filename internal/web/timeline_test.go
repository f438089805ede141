package web

import (
	"context"
	"fmt"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/chromium"
)

// inZone has a page think that it is in a time zone.
func inZone(zone string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: zone})
		return err
	})
}

// TestTheTimeLineDrawsWhatThereIs whatever the order of the spans, and marks the hours of the clock on the wall.
func TestTheTimeLineDrawsWhatThereIs(t *testing.T) {
	t.Parallel()
	r := newRig(t).await()
	b := chromium.New(t)
	b.Run(inZone("Europe/Berlin"))
	r.open(b, "view", "/camera?stream=front-door", "#line-box")
	chromium.Ask[bool](b, `(async () => {
		const script = [...document.querySelectorAll("script")].map(s => s.src).find(s => s.includes("camera.js"));
		const { Timeline } = await import(script.replace("camera.js", "timeline.js"));
		const root = document.createElement("div");
		root.style.width = "1000px";
		document.body.append(root);
		window.line = new Timeline(root, {seek() {}, moved() {}});
		const none = {recorded: [], cloud: [], refused: [], held: [], events: [], gaps: [], lost: [], epochs: []};
		// Spans in minutes of an hour; what is drawn, in percent of it.
		window.drawn = spans => {
			const begin = Date.UTC(2026, 5, 1, 12);
			line.show(begin, 2);
			line.fill({...none, events: spans.map(([from, to, partly]) =>
				({from: begin + from * 60000, to: begin + to * 60000, partly, title: () => ""}))});
			const parts = /rgb\(0, 0, 0\) ([\d.]+)%, rgb\(0, 0, 0\) ([\d.]+)%/g;
			return [...root.querySelectorAll(".events.lane i")].map(i => (i.className + [...i.style.maskImage.matchAll(parts)].map(
				m => " " + Math.round(m[1]) + "-" + Math.round(m[2])).join("")).trim()).join("; ");
		};
		window.marks = (time, zoom) => {
			line.show(time, zoom);
			return [...root.querySelectorAll(".ticks span")].map(s => s.textContent).join(", ");
		};
		return true;
	})()`)
	for spans, want := range map[string]string{
		"[]": "", "[[6, 12]]": "10-20", "[[-30, 6], [54, 90]]": "0-10 90-100", "[[-9, -3], [63, 70]]": "",
		"[[19, 21], [6, 24]]": "10-40", "[[30, 36], [6, 12], [9, 15]]": "10-25 50-60", "[[6, 12, true], [30, 36]]": "50-60; partly 10-20",
		"[[50, 50], [10, 10]]": "17-17 83-84",
	} {
		if got := chromium.Ask[string](b, `drawn(`+spans+`)`); got != want {
			t.Errorf("%s is drawn as %q, want %q", spans, got, want)
		}
	}
	for _, c := range []struct {
		year, month, day, hour int // in UTC
		zoom                   int
		want                   string
	}{
		{2026, 10, 21, 22, 5, "Thu, Oct 22, Fri, Oct 23, Sat, Oct 24, Sun, Oct 25, Mon, Oct 26, Tue, Oct 27, Wed, Oct 28"},
		{2026, 10, 24, 21, 4, "Sun, Oct 25, 03:00 AM, 06:00 AM, 09:00 AM, 12:00 PM, 03:00 PM, 06:00 PM, 09:00 PM"},
		{2026, 3, 28, 22, 4, "Sun, Mar 29, 03:00 AM, 06:00 AM, 09:00 AM, 12:00 PM, 03:00 PM, 06:00 PM, 09:00 PM"},
		{2026, 6, 1, 10, 2, "12:00 PM, 12:15 PM, 12:30 PM, 12:45 PM"},
	} {
		begin := fmt.Sprintf("Date.UTC(%d, %d, %d, %d)", c.year, c.month-1, c.day, c.hour)
		if got := chromium.Ask[string](b, fmt.Sprintf("marks(%s, %d)", begin, c.zoom)); got != c.want {
			t.Errorf("%d-%02d-%02d, zoom %d: %s, want %s", c.year, c.month, c.day, c.zoom, got, c.want)
		}
	}
}
