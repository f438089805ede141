package stamps

import (
	"bytes"
	"math"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam/nal"
)

func TestStampOfAnAccessUnit(t *testing.T) {
	t.Parallel()
	for _, counter := range []uint64{0, 1, 3, 0x000003, 0x0000010000020000, 1 << 32, math.MaxUint64} {
		for _, sent := range []time.Time{time.UnixMicro(0), time.UnixMicro(3), time.Now().Truncate(time.Microsecond)} {
			nalu := Stamp{counter, sent}.Append(nil)
			for i := range nalu[:len(nalu)-2] {
				if nalu[i] == 0 && nalu[i+1] == 0 && nalu[i+2] < 3 {
					t.Fatalf("%x looks like a start code", nalu)
				}
			}
			avcc := append([]byte{0, 0, 0, 2, 9, 0xf0, 0, 0, 0, byte(len(nalu))}, nalu...)
			avcc = append(avcc, 0, 0, 0, 2, nal.H264IDR, 0x80)
			got, ok := OfAccessUnit(avcc)
			if !ok || got.Counter != counter || !got.Sent.Equal(sent) {
				t.Errorf("stamp %d %v reads as %v %v", counter, sent, got, ok)
			}
		}
	}
	for _, bad := range [][]byte{nil, {0}, {0, 0, 0, 9, 6}, {0, 0, 0, 3, 6, 5, 200}, {0, 0, 0, 2, 6, 0xff}, {0xff, 0xff, 0xff, 0xff},
		{0, 0, 0, 0}} {
		if s, ok := OfAccessUnit(bad); ok {
			t.Errorf("%x has stamp %v", bad, s)
		}
	}
	if _, ok := OfNALUs([][]byte{nil, {6}, {6, 5, 0, 0x80}}); ok {
		t.Error("a stamp was found where there is none")
	}
}

// painted returns the grey plane of a picture with a stamp.
func painted(width, height int, counter uint16) []byte {
	luma := bytes.Repeat([]byte{128}, width*height)
	for y := range Block {
		for x := range width {
			luma[y*width+x] = byte(128 + 112*stampTone(x/Block, counter))
		}
	}
	return luma
}

func TestStampOfAPicture(t *testing.T) {
	t.Parallel()
	for counter := 0; counter < 1<<16; counter += 7 {
		if n, ok := OfPicture(painted(320, 17, uint16(counter)), 320, 17, 320, 320); !ok || int(n) != counter {
			t.Fatalf("%#x reads as %#x (%v)", counter, n, ok)
		}
	}
	const width, height = 640, 32
	for i := range stampBlocks {
		for _, tone := range []byte{0, 128, 255} {
			luma := painted(width, height, 0x1234)
			luma[Block/2*width+i*Block+Block/2] = tone
			if n, ok := OfPicture(luma, width, height, width, width); ok && n != 0x1234 {
				t.Errorf("with a block of %d at %d it reads as %#x", tone, i, n)
			}
		}
	}
	luma := painted(width, height, 0x1234)
	for _, bad := range [][4]int{
		{0, height, width, width}, {width, 0, width, width}, {width, height, width, 0}, {width, height, width, 320},
		{width, height, width - 1, width}, {width, height, 10 * width, width},
	} {
		if n, ok := OfPicture(luma, bad[0], bad[1], bad[2], bad[3]); ok {
			t.Errorf("%v reads as %#x", bad, n)
		}
	}
	if n, ok := OfPicture(bytes.Repeat([]byte{128}, width*height), width, height, width, width); ok {
		t.Errorf("a grey picture reads as %#x", n)
	}
}
