package accessunit

import (
	"testing"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
)

func TestHowPicturesAreShown(t *testing.T) {
	t.Parallel()
	shape := func(number uint8, width, height uint16) usability {
		return usability{shape: true, shapeNumber: number, width: width, height: height}
	}
	for name, row := range map[string]struct {
		usability
		width, height int
		want          mkv.Picture
	}{
		"nothing is given":      {usability{}, 1920, 1080, mkv.Picture{}},
		"squares":               {shape(1, 0, 0), 1920, 1080, mkv.Picture{}},
		"squares, in numbers":   {shape(255, 7, 7), 1920, 1080, mkv.Picture{}},
		"12:11":                 {shape(2, 0, 0), 704, 576, mkv.Picture{DisplayWidth: 768, DisplayHeight: 576}},
		"4:3":                   {shape(14, 0, 0), 1440, 1080, mkv.Picture{DisplayWidth: 1920, DisplayHeight: 1080}},
		"4:3, the width stays":  {shape(14, 0, 0), 320, 180, mkv.Picture{DisplayWidth: 320, DisplayHeight: 135}},
		"2:1, an analogue line": {shape(255, 2, 1), 960, 1080, mkv.Picture{DisplayWidth: 1920, DisplayHeight: 1080}},
		"1:2":                   {shape(255, 1, 2), 640, 240, mkv.Picture{DisplayWidth: 320, DisplayHeight: 240}},
		"rounded":               {shape(255, 101, 97), 1280, 720, mkv.Picture{DisplayWidth: 1333, DisplayHeight: 720}},
		"no shape":              {shape(0, 0, 0), 640, 480, mkv.Picture{}},
		"unknown":               {shape(17, 4, 3), 640, 480, mkv.Picture{}},
		"nothing by something":  {shape(255, 0, 3), 640, 480, mkv.Picture{}},
		"something by nothing":  {shape(255, 3, 0), 640, 480, mkv.Picture{}},
		"beyond belief":         {shape(255, 65535, 1), 640, 480, mkv.Picture{}},
		"broadcast":             {usability{signal: true}, 640, 480, mkv.Picture{Range: 1}},
		"full, of BT.709": {usability{signal: true, full: true, colour: true, primaries: 1, transfer: 1, matrix: 1}, 640, 480,
			mkv.Picture{Range: 2, Primaries: 1, Transfer: 1, Matrix: 1}},
		"unspecified": {usability{colour: true, primaries: 2, transfer: 2, matrix: 2}, 640, 480, mkv.Picture{}},
	} {
		if got := row.picture(row.width, row.height, false); got != row.want {
			t.Errorf("%s: %+v, want %+v", name, got, row.want)
		}
	}
	if !h264Picture(h264.SPS{}).Interlaced || h264Picture(h264.SPS{FrameMbsOnlyFlag: true}).Interlaced {
		t.Error("fields of H.264 are not marked")
	}
	if !h265Picture(h265.SPS{VUI: &h265.SPS_VUI{FieldSeqFlag: true}}).Interlaced || h265Picture(h265.SPS{}).Interlaced {
		t.Error("fields of H.265 are not marked")
	}
}
