package fakecam

import (
	"fmt"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
)

// The announced payload types.
const (
	payloadH264 = 96 // or H.265
	payloadAAC  = 97
)

// newStream returns a stream of one clip, as announced in the SDP.
func (s *server) newStream(c *clip) (*gortsplib.ServerStream, error) {
	o := s.camera.options
	media := &description.Media{Type: description.MediaTypeVideo}
	switch {
	case o.MPEGTS:
		media.Formats = []format.Format{&format.MPEGTS{}}
	case o.MJPEG:
		media.Formats = []format.Format{&format.MJPEG{}}
	case o.H265:
		h265 := &format.H265{PayloadTyp: payloadH264}
		if !o.NoSDPParams {
			h265.VPS, h265.SPS, h265.PPS = c.vps, c.sps, c.pps
		}
		media.Formats = []format.Format{h265}
	default:
		h264 := &format.H264{PayloadTyp: payloadH264, PacketizationMode: 1}
		if !o.NoSDPParams {
			h264.SPS, h264.PPS = c.sps, c.pps
		}
		media.Formats = []format.Format{h264}
	}
	medias := []*description.Media{media}
	if o.MoreTracks { // the first video is not the first track
		medias = []*description.Media{
			{Type: description.MediaTypeApplication, Formats: []format.Format{&format.Generic{
				PayloadTyp: 107, RTPMa: "vnd.onvif.metadata/90000", ClockRat: clockRate,
			}}},
			{Type: description.MediaTypeAudio, IsBackChannel: true, Formats: []format.Format{&format.G711{PayloadTyp: 8, SampleRate: 8000,
				ChannelCount: 1}}},
			media,
			{Type: description.MediaTypeVideo, Formats: []format.Format{&format.H264{PayloadTyp: 108, PacketizationMode: 1}}},
		}
	}
	if o.NoVideo {
		medias = nil
	}
	if audio := o.audioMedia(); audio != nil {
		medias = append(medias, audio)
	}
	stream := &gortsplib.ServerStream{Server: s.rtsp, Desc: &description.Session{Medias: medias}}
	if err := stream.Initialize(); err != nil {
		return nil, fmt.Errorf("the camera's stream does not start: %w", err)
	}
	return stream, nil
}

// audioMedia returns the announced audio, nil when there is none.
func (o Options) audioMedia() *description.Media {
	var f format.Format
	if o.MPEGTS {
		return nil // it is in the video's transport stream
	}
	switch o.Audio {
	case AudioAAC:
		f = &format.MPEG4Audio{PayloadTyp: payloadAAC, SizeLength: 13, IndexLength: 3, IndexDeltaLength: 3,
			Config: &mpeg4audio.AudioSpecificConfig{Type: mpeg4audio.ObjectTypeAACLC, SampleRate: 16000, ChannelCount: 1}}
	case AudioMuLaw:
		f = &format.G711{PayloadTyp: 0, MULaw: true, SampleRate: 8000, ChannelCount: 1}
	case AudioALaw:
		f = &format.G711{PayloadTyp: 8, SampleRate: 8000, ChannelCount: 1}
	default:
		return nil
	}
	return &description.Media{Type: description.MediaTypeAudio, Formats: []format.Format{f}}
}
