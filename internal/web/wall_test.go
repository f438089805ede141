package web

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/chromium"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/filmed"
)

const pictureBytes = 320 * 240 * 4

// pictureOf is the content of the canvas of a stream, as RGBA.
func pictureOf(b chromium.Tab, selector string) []byte {
	b.T.Helper()
	data, err := base64.StdEncoding.DecodeString(chromium.Ask[string](b, fmt.Sprintf(`(() => {
		const canvas = document.querySelector(%q), {width, height} = canvas;
		const data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
		let text = "";
		for (const byte of data) text += String.fromCharCode(byte);
		return btoa(text);
	})()`, selector)))
	must(b.T, err)
	return data
}

// frameOf is the picture of a media file at a time, as RGBA, decoded by ffmpeg.
func frameOf(t testing.TB, path string, seconds float64) []byte {
	t.Helper()
	out := filmed.Run(t, "ffmpeg", "-v", "error", "-i", path, "-ss", fmt.Sprint(seconds), "-frames:v", "1", "-f", "rawvideo",
		"-pix_fmt", "rgba", "-")
	return []byte(out)
}

// difference is how much two pictures differ, on average by byte.
func difference(t testing.TB, a, b []byte) float64 {
	t.Helper()
	if len(a) != pictureBytes || len(b) != pictureBytes {
		t.Fatalf("the pictures have %d and %d bytes, want %d", len(a), len(b), pictureBytes)
	}
	sum := 0
	for i := range a {
		sum += max(int(a[i])-int(b[i]), int(b[i])-int(a[i]))
	}
	return float64(sum) / pictureBytes
}

// TestTheWallShowsTheNewestPicture compares what the wall shows with what ffmpeg decodes of the recorded film, and again after more was
// recorded.
func TestTheWallShowsTheNewestPicture(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg", "chromium")
	path := filmed.Encode(t, 8, "-c:v libx264 -preset ultrafast -bf 0 -g 50 -keyint_min 50 -sc_threshold 0 -pix_fmt yuv420p")
	film := filmed.Read(t, path)
	r := newRig(t).await()
	start := time.Now().Add(-time.Minute).Truncate(time.Millisecond)
	film.Record(t, r.store, "front-door", start, 1)
	b := chromium.New(t)
	r.open(b, "view", "/", "#wall .card")
	const canvas = `li[data-stream="front-door"] canvas`
	await := func(seconds float64) {
		t.Helper()
		testtools.Eventually(t, time.Minute, func() error {
			label := chromium.Ask[string](b, fmt.Sprintf(`document.querySelector(%q).getAttribute("aria-label")`, canvas))
			if !strings.HasPrefix(label, "Picture of front-door, recorded ") {
				return fmt.Errorf("the label is %q", label)
			}
			if got := difference(t, pictureOf(b, canvas), frameOf(t, path, seconds)); got > 6 {
				return fmt.Errorf("the picture differs by %.1f from that at %v s", got, seconds)
			}
			return nil
		})
	}
	await(6) // the last keyframe
	if got := difference(t, frameOf(t, path, 6), frameOf(t, path, 2)); got < 10 {
		t.Fatalf("the film's pictures differ by %.1f only", got)
	}
	short := film
	for i, f := range film.Frames {
		if f.At >= 3*time.Second {
			short.Frames = film.Frames[:i]
			break
		}
	}
	short.Record(t, r.store, "front-door", start.Add(20*time.Second), 1)
	await(2)
	b.WantText(`li[data-stream="yard"] .taken`, "No picture yet")
}
