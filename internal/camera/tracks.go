package camera

import (
	"slices"
	"strconv"
	"strings"

	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtpmpeg4audio"
	"github.com/bluenviron/gortsplib/v4/pkg/headers"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/pion/rtp"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
)

// video is the track of a camera that is recorded.
type video struct {
	media   *description.Media
	channel int // of its RTP packets, once it is set up
	format  format.Format
	early   *earlyFormat
	codec   accessunit.Codec
	sets    [][]byte // of the session description
}

// chooseVideo takes the first track that can be recorded: cameras put the one they were asked for
// before others.
func chooseVideo(desc *description.Session) (v video, ok bool) {
	for _, m := range desc.Medias {
		if m.IsBackChannel {
			continue
		}
		for _, f := range m.Formats {
			switch f := f.(type) {
			case *format.H264:
				sps, pps := f.SafeParams()
				return video{media: m, format: f, codec: accessunit.H264, sets: present(sps, pps)}, true
			case *format.H265:
				vps, sps, pps := f.SafeParams()
				return video{media: m, format: f, codec: accessunit.H265, sets: present(vps, sps, pps)}, true
			}
		}
	}
	return video{}, false
}

// audio is the track of a camera that is recorded beside its video.
type audio struct {
	media   *description.Media
	channel int // of its RTP packets, once it is set up
	format  format.Format
	early   *earlyFormat
	about   accessunit.AudioTrack
	decoder *rtpmpeg4audio.Decoder // nil: a packet is a frame
}

// chooseAudio takes the first audio track that KVS takes, or names those that it does not.
func chooseAudio(desc *description.Session) (taken *audio, left []string) {
	for _, m := range desc.Medias {
		if m.IsBackChannel {
			continue
		}
		for _, f := range m.Formats {
			switch f := f.(type) {
			case *format.G711:
				taken = &audio{media: m, format: f, about: accessunit.G711Track(f.MULaw, f.SampleRate, f.ChannelCount)}
				return taken, nil
			case *format.MPEG4Audio:
				config, err := f.Config.Marshal()
				if err != nil {
					continue
				}
				about, ok := accessunit.AACTrack(config, f.Config.SampleRate, f.Config.ChannelCount)
				decoder, err := f.CreateDecoder()
				if ok && err == nil {
					about.Rate = f.ClockRate()
					return &audio{media: m, format: f, about: about, decoder: decoder}, nil
				}
				left = append(left, "AAC with "+strconv.Itoa(f.Config.ChannelCount)+" channels")
			default:
				if m.Type == description.MediaTypeAudio {
					left = append(left, codecName(f))
				}
			}
		}
	}
	return nil, left
}

func (a *audio) track() *accessunit.AudioTrack {
	if a == nil {
		return nil
	}
	return &a.about
}

// decode hands on the frames of a packet.
func (a *audio) decode(p *rtp.Packet, give func(frame []byte, rtpTime uint32)) {
	if a.decoder == nil {
		if len(p.Payload) > 0 {
			give(p.Payload, p.Timestamp)
		}
		return
	}
	if !p.Marker { // a fragment, which the decoder keeps
		p.Payload = slices.Clone(p.Payload)
	}
	frames, err := a.decoder.Decode(p)
	if err != nil {
		return // more is to come, or it is broken: silence does no harm
	}
	for i, frame := range frames {
		give(frame, p.Timestamp+uint32(i*mpeg4audio.SamplesPerAccessUnit))
	}
}

func present(sets ...[]byte) [][]byte {
	return slices.DeleteFunc(sets, func(set []byte) bool { return len(set) == 0 })
}

// codecs names what a camera offers of video.
func codecs(desc *description.Session) []string {
	var names []string
	for _, m := range desc.Medias {
		for _, f := range m.Formats {
			if name := codecName(f); m.Type == description.MediaTypeVideo && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

func codecName(f format.Format) string {
	switch f.(type) {
	case *format.MJPEG:
		return "MJPEG"
	case *format.Generic:
		return "an unknown codec (" + f.RTPMap() + ")"
	default:
		return f.Codec()
	}
}

// earlyFormat is a format that is handed the packets of a track before the library puts them in
// order, and drops all that have not the SSRC of the first: it asks this of each of them. Reading
// them so leaves the sockets to the library.
type earlyFormat struct {
	format.Format
	take func(*rtp.Packet) // nil: nobody listens
}

// listenEarly makes a format of a medium an early one.
func listenEarly(m *description.Media, f format.Format) *earlyFormat {
	e := &earlyFormat{Format: f}
	m.Formats[slices.Index(m.Formats, f)] = e
	return e
}

// PTSEqualsDTS implements format.Format.
func (e *earlyFormat) PTSEqualsDTS(p *rtp.Packet) bool {
	if e.take != nil {
		e.take(p)
	}
	return e.Format.PTSEqualsDTS(p)
}

// noChannel is that of a medium that comes over UDP.
const noChannel = -1

// channelOf is the channel of the RTP packets of a medium, from the answer to SETUP.
func channelOf(answer *base.Response) int {
	var t headers.Transport
	if t.Unmarshal(answer.Header["Transport"]) != nil || t.Protocol != headers.TransportProtocolTCP || t.InterleavedIDs == nil {
		return noChannel
	}
	return t.InterleavedIDs[0]
}

// announced is the packet that a camera says it begins a track with (RFC 2326, section 12.33).
func announced(answer *base.Response, m *description.Media) (sequence uint16, timestamp uint32, ok bool) {
	var info headers.RTPInfo
	if info.Unmarshal(answer.Header["RTP-Info"]) != nil {
		return 0, 0, false
	}
	for _, of := range info {
		if of.SequenceNumber != nil && of.Timestamp != nil && (len(info) == 1 || strings.HasSuffix(of.URL, m.Control)) {
			return *of.SequenceNumber, *of.Timestamp, true
		}
	}
	return 0, 0, false
}
