package sdp_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/camera/sdp"
)

// TestInterleaving is the table of formats and their order of NAL units.
func TestInterleaving(t *testing.T) {
	t.Parallel()
	for fmtp, want := range map[string]sdp.Interleaving{
		"H264 packetization-mode=1":                                {},
		"H264 packetization-mode=1;sprop-interleaving-depth=3":     {},
		"H264 packetization-mode=2":                                {Numbered: true},
		"H264 packetization-mode=2; sprop-interleaving-depth=3":    {Numbered: true, Depth: 3},
		"H264 packetization-mode=2;sprop-interleaving-depth=99999": {Numbered: true, Depth: 255},
		"H265 sprop-max-don-diff=0":                                {},
		"H265 sprop-max-don-diff=1":                                {Numbered: true},
		"H265 sprop-max-don-diff=1;sprop-depack-buf-nalus=4":       {Numbered: true, Depth: 4},
		"H265 sprop-depack-buf-nalus=x":                            {},
		"MP2T sprop-max-don-diff=1":                                {},
	} {
		codec, parameters, _ := strings.Cut(fmtp, " ")
		d := sdp.Parse([]byte(fmt.Sprintf("m=video 0 RTP/AVP 96\r\na=rtpmap:96 %s/90000\r\na=fmtp:96 %s\r\n", codec, parameters)))
		if got := d.Tracks[0].Formats[0].Interleaving(); got != want {
			t.Errorf("%s: %+v, want %+v", fmtp, got, want)
		}
	}
}

// TestPayloadTypes has packets of described formats, and of others.
func TestPayloadTypes(t *testing.T) {
	t.Parallel()
	d := sdp.Parse([]byte("m=video 0 RTP/AVP 96 97 98\r\na=rtpmap:96 H264/90000\r\na=rtpmap:97 H264/90000\r\na=rtpmap:98 H265/90000\r\n"))
	video := d.Choose().Video
	if n := len(video.Formats()); n != 3 {
		t.Fatalf("%d formats", n)
	}
	types := sdp.NewPayloadTypes(video.Format, video.Formats())
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	take := func(payloadType uint8, want bool) {
		t.Helper()
		if ours, err := types.Take(payloadType, now); ours != want || err != nil {
			t.Errorf("payload type %d: %v %v", payloadType, ours, err)
		}
	}
	take(50, false)
	if undeclared := new(sdp.UndeclaredError); !errors.As(types.Undeclared(now), &undeclared) || undeclared.PayloadType != 50 {
		t.Errorf("%v", types.Undeclared(now))
	}
	take(96, true)
	take(97, true)
	take(50, false)
	take(98, false) // while the others arrive
	if err := types.Undeclared(now); err != nil {
		t.Error(err)
	}
	now = now.Add(time.Second)
	_, err := types.Take(98, now)
	if other := new(sdp.OtherFormatError); !errors.As(err, &other) || other.PayloadType != 98 {
		t.Errorf("%v", err)
	}
}
