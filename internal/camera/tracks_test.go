package camera

import (
	"bufio"
	"bytes"
	"slices"
	"testing"

	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/sdp"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/answer"
)

// describe has the library read the rewritten description.
func describe(text []byte) (*description.Session, answer.Described, error) {
	var d answer.Conversation
	d.Sent([]byte("DESCRIBE rtsp://camera/ RTSP/1.0\r\nCSeq: 1\r\n\r\n"))
	message := d.Repair(append([]byte("RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n"), text...))
	var response base.Response
	if err := response.Unmarshal(bufio.NewReader(bytes.NewReader(message))); err != nil {
		return nil, answer.Described{}, err
	}
	var parsed sdp.SessionDescription
	if err := parsed.Unmarshal(response.Body); err != nil {
		return nil, answer.Described{}, err
	}
	var desc description.Session
	return &desc, d.Described(), desc.Unmarshal(&parsed)
}

const (
	sdpVideo = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:v\r\n"
	sdpOpus  = "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 opus/48000/2\r\na=control:a\r\n"
	sdpG726  = "m=audio 0 RTP/AVP 98\r\na=rtpmap:98 G726-32/8000\r\na=control:b\r\n"
	sdpMuLaw = "m=audio 0 RTP/AVP 0\r\na=control:c\r\n"
	sdpSpeex = "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 speex/16000\r\na=control:a\r\n"
	sdpG729  = "m=audio 0 RTP/AVP 18\r\na=control:b\r\n"
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
		"Opus":                {sdpVideo + sdpOpus, true, nil},
		"G.726":               {sdpVideo + sdpG726, true, nil},
		"six channels":        {sdpVideo + sdpAAC51, true, nil},
		"Speex":               {sdpVideo + sdpSpeex, false, []string{"Speex"}},
		"two":                 {sdpVideo + sdpSpeex + sdpG729, false, []string{"Speex", "G.729"}},
		"one that is taken":   {sdpVideo + sdpSpeex + sdpMuLaw, true, nil},
		"the taken one first": {sdpVideo + sdpMuLaw + sdpSpeex, true, nil},
	} {
		desc, described, err := describe([]byte(c.sdp))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		taken, left := chooseAudio(desc, described), described.OtherAudio
		if c.taken {
			left = nil
		}
		if (taken != nil) != c.taken || !slices.Equal(left, c.left) {
			t.Errorf("%s: taken %v, left %q", name, taken != nil, left)
		}
	}
}

// FuzzTracks chooses tracks from any description of a camera.
func FuzzTracks(f *testing.F) {
	for _, text := range []string{sdpVideo, sdpVideo + sdpOpus, sdpVideo + sdpAAC51 + sdpMuLaw} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		desc, described, err := describe(text)
		if err != nil {
			t.Fatal(err)
		}
		if v, ok := chooseVideo(desc, described, 0); ok {
			inspector := accessunit.NewInspector(v.codec, v.sets)
			inspector.Sets.Track()
			if v.format.PayloadType() != described.Video.PayloadType {
				t.Errorf("payload type %d, want %d", v.format.PayloadType(), described.Video.PayloadType)
			}
		}
		if a := chooseAudio(desc, described); a != nil && a.format.PayloadType() != described.Audio.PayloadType {
			t.Errorf("payload type %d, want %d", a.format.PayloadType(), described.Audio.PayloadType)
		}
	})
}

func TestWhatACameraOffersBesidesIsNamed(t *testing.T) {
	t.Parallel()
	more := answer.Described{}
	more.MoreVideo, more.MoreAudio = "a video (H265)", "an audio track (G711)"
	const refused = "audio that it does not send when it is asked to"
	for name, c := range map[string]struct {
		noAudio, refused bool
		of               answer.Described
		want             []string
	}{
		"nothing":                    {},
		"all":                        {of: more, want: []string{"a video (H265)", "an audio track (G711)"}},
		"audio is switched off":      {noAudio: true, of: more, want: []string{"a video (H265)"}},
		"audio is not sent":          {refused: true, want: []string{refused}},
		"audio is not sent, and all": {refused: true, of: more, want: []string{"a video (H265)", refused}},
	} {
		s := session{audioRefused: c.refused}
		s.NoAudio = c.noAudio
		if got := s.leftOut(c.of); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
