package hls_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/hls"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/filmed"
)

// TestGStreamerPlaysAllOfIt: hlsdemux loads the playlist and the media, and brings each frame as it was recorded.
func TestGStreamerPlaysAllOfIt(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "gst-launch-1.0")
	for name, args := range map[string]string{"H.264": h264 + " -bf 0" + aac, "B-frames": h264 + " -bf 2", "H.265": h265} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			path := filmed.Encode(t, 4, args)
			filmed.Read(t, path).Record(t, s.store, "door", begin, 2)
			out := filepath.Join(t.TempDir(), "out")
			parse, kind := "h264parse", "video/x-h264"
			if name == "H.265" {
				parse, kind = "h265parse", "video/x-h265"
			}
			pipeline := fmt.Sprintf("souphttpsrc location=%s ! hlsdemux ! qtdemux ! %s ! %s ! %s,stream-format=byte-stream ! filesink location=%s",
				s.url+hls.NameMaster+strings.ReplaceAll(span(0, hls.MaxRange), "&", `\&`), "queue max-size-buffers=0 max-size-time=0 max-size-bytes=0",
				parse, kind, out)
			filmed.Run(t, "gst-launch-1.0", append([]string{"-q"}, strings.Fields(strings.ReplaceAll(pipeline, `\`, ""))...)...)
			want := frames(t, path)
			if got := frames(t, out); strings.Join(got, " ") != strings.Join(want, " ") {
				t.Errorf("%d frames, want %d, or others", len(got), len(want))
			}
		})
	}
}
