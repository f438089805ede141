package camera

import (
	"slices"
	"testing"

	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/sdp"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
)

func describe(text []byte) (*description.Session, error) {
	var parsed sdp.SessionDescription
	if err := parsed.Unmarshal(text); err != nil {
		return nil, err
	}
	var desc description.Session
	return &desc, desc.Unmarshal(&parsed)
}

const (
	sdpVideo = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:v\r\n"
	sdpOpus  = "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 opus/48000/2\r\na=control:a\r\n"
	sdpG726  = "m=audio 0 RTP/AVP 98\r\na=rtpmap:98 G726-32/8000\r\na=control:b\r\n"
	sdpMuLaw = "m=audio 0 RTP/AVP 0\r\na=control:c\r\n"
	sdpAAC51 = "m=audio 0 RTP/AVP 99\r\na=rtpmap:99 mpeg4-generic/48000/6\r\n" +
		"a=fmtp:99 streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config=11b0\r\na=control:d\r\n"
)

func TestAudioThatIsNotRecordedIsNamed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sdp   string
		taken bool
		left  []string
	}{
		"none":                {sdpVideo, false, nil},
		"Opus":                {sdpVideo + sdpOpus, false, []string{"Opus"}},
		"six channels":        {sdpVideo + sdpAAC51, false, []string{"AAC with 6 channels"}},
		"two":                 {sdpVideo + sdpOpus + sdpG726, false, []string{"Opus", "G726"}},
		"one that is taken":   {sdpVideo + sdpOpus + sdpMuLaw, true, nil},
		"the taken one first": {sdpVideo + sdpMuLaw + sdpOpus, true, nil},
	} {
		desc, err := describe([]byte(c.sdp))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if taken, left := chooseAudio(desc); (taken != nil) != c.taken || !slices.Equal(left, c.left) {
			t.Errorf("%s: taken %v, left %q", name, taken != nil, left)
		}
	}
}

// FuzzTracks chooses tracks from whatever a camera describes.
func FuzzTracks(f *testing.F) {
	for _, text := range []string{sdpVideo, sdpVideo + sdpOpus, sdpVideo + sdpAAC51 + sdpMuLaw} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(_ *testing.T, text []byte) {
		desc, err := describe(text)
		if err != nil {
			return
		}
		if v, ok := chooseVideo(desc); ok {
			inspector := accessunit.NewInspector(v.codec, v.sets)
			inspector.Sets.Track()
		}
		chooseAudio(desc)
		codecs(desc)
	})
}
