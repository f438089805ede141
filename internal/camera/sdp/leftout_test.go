package sdp

import "testing"

func TestWhatIsLeftOutIsNamed(t *testing.T) {
	t.Parallel()
	const (
		h264, h265 = "m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\n", "m=video 0 RTP/AVP 97\na=rtpmap:97 H265/90000\n"
		mjpeg      = "m=video 0 RTP/AVP 26\n"
		pcmu       = "m=audio 0 RTP/AVP 0\n"
		speex      = "m=audio 0 RTP/AVP 98\na=rtpmap:98 SPEEX/16000\n"
		metadata   = "m=application 0 RTP/AVP 107\na=rtpmap:107 vnd.onvif.metadata/90000\n"
		helpers    = "m=video 0 RTP/AVP 99 100\na=rtpmap:99 rtx/90000\na=rtpmap:100 ulpfec/90000\n"
	)
	for text, want := range map[string][2]string{
		h264:                                {},
		h264 + pcmu + metadata + helpers:    {},
		h264 + h265:                         {"a video (H265)"},
		mjpeg + h264:                        {"a video (MJPEG)"},
		h264 + h264 + mjpeg:                 {"2 videos (H264, MJPEG)"},
		h264 + pcmu + speex:                 {"", "an audio track (Speex)"},
		speex + h264 + pcmu + pcmu:          {"", "2 audio tracks (Speex, G.711)"},
		h264 + speex:                        {}, // it is in OtherAudio
		mjpeg:                               {}, // it is in OtherVideo
		h264 + pcmu + pcmu + "a=sendonly\n": {},
		h264 + h265 + "a=inactive\n":        {},
		h264 + "m=video 0 RTP/AVP 97\na=rtpmap:97 X-NEW/90000\n": {"a video (an unknown codec (X-NEW))"},
		h264 + "a=recvonly\n" + h265 + "a=sendonly\n" + pcmu:     {},
		h264 + "m=video 0 RTP/AVP 98 97\na=rtpmap:98 VP8/90000\n" +
			"a=rtpmap:97 H265/90000\n": {"a video (VP8, H265)"},
	} {
		c := Parse([]byte(text)).Choose()
		if got := [2]string{c.MoreVideo, c.MoreAudio}; got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
