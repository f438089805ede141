package playable

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"
)

// TestFramesSayTheirLength: the length of each frame is that of the bytes that follow it, and 0 where it has no room.
func TestFramesSayTheirLength(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	video := &mpegts.Track{Codec: &mpegts.CodecH264{}}
	w := &mpegts.Writer{W: &out, Tracks: []*mpegts.Track{video}}
	if err := w.Initialize(); err != nil {
		t.Fatal(err)
	}
	sizes := []int{1, 100, 150, 170, 184, 200, 65_000, math.MaxUint16 + 1, 3}
	for i, size := range sizes {
		unit := append([]byte{0x41}, bytes.Repeat([]byte{9}, size)...)
		if err := w.WriteH264(video, int64(i)*3000, int64(i)*3000, [][]byte{unit}); err != nil {
			t.Fatal(err)
		}
	}
	var frames [][]byte
	for p := range packetsOf(continuous(withLengths(out.Bytes()))) {
		switch {
		case p.pid() != uint16(video.PID):
			continue
		case p.begins():
			frames = append(frames, nil)
		}
		last := len(frames) - 1
		frames[last] = append(frames[last], p.payload()...)
	}
	if len(frames) != len(sizes) {
		t.Fatalf("there are %d frames, want %d", len(frames), len(sizes))
	}
	for i, f := range frames {
		want := len(f) - pesLengthEnd
		if want > math.MaxUint16 {
			want = 0
		}
		if got := int(binary.BigEndian.Uint16(f[pesLengthEnd-2:])); got != want || len(f) < sizes[i] {
			t.Errorf("a frame of %d bytes has the length %d, want %d", sizes[i], got, want)
		}
	}
}
