package fakecam

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// TestTheBrowsersReaderInTheDocsWorks runs the function of docs/cameras.md on decoded pictures.
func TestTheBrowsersReaderInTheDocsWorks(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg")
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is not here to run it")
	}
	page, err := os.ReadFile("../../docs/cameras.md")
	if err != nil {
		t.Fatal(err)
	}
	_, code, found := strings.Cut(string(page), "```js\n")
	code, _, ended := strings.Cut(code, "```\n")
	if !found || !ended {
		t.Fatal("the page has no code")
	}
	clip, err := clip1080()
	if err != nil {
		t.Fatal(err)
	}
	const first, frames = 0xfffc, 8
	film := keep(t, "film.h264", collect(clip, false, first, frames))
	var want []uint16
	for i := range frames {
		want = append(want, uint16(first+i))
	}
	code += `
const fs = require("fs"), width = Number(process.argv[1]), height = width * 9 / 16, pixels = fs.readFileSync(0), shown = [];
for (let from = 0; from < pixels.length; from += 4 * width * height) {
  const getImageData = (x, y, w) => ({ data: pixels.subarray(from + 4 * (y * width + x), from + 4 * (y * width + x + w)) });
  shown.push(pictureStamp({ videoWidth: 1920, videoHeight: 1080 }, { width, getContext: () => ({ drawImage() {}, getImageData }) }));
}
console.log("[" + shown.join(" ") + "]");`
	for _, width := range []string{"320", "960", "1920"} {
		pixels, err := exec.Command("ffmpeg", "-v", "error", "-i", film, "-fps_mode", "passthrough",
			"-vf", "scale="+width+":-2:flags=bilinear", "-pix_fmt", "rgba", "-f", "rawvideo", "-").Output()
		if err != nil {
			t.Fatal(err)
		}
		run := exec.Command("node", "-e", code, width)
		run.Stdin = bytes.NewReader(pixels)
		out, err := run.CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != fmt.Sprint(want) {
			t.Errorf("at a width of %s it reads %s (%v), want %v", width, got, err, want)
		}
	}
}
