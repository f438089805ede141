package camera

import (
	"slices"
	"strings"

	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtpmpeg4audio"
	"github.com/bluenviron/gortsplib/v4/pkg/headers"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/pion/rtp"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/answer"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/sdp"
)

// video is the track of a camera that is recorded.
type video struct {
	media    *description.Media
	delivery *delivery // once it is set up
	format   format.Format
	clock    int            // ticks of RTP per second: the format may say otherwise
	early    []*earlyFormat // of all payload types that can be recorded
	codec    accessunit.Codec
	sets     [][]byte // of the session description
	types    payloadTypes
	// multiplex says that it comes in a transport stream, with its audio, and the codec is known from that only.
	multiplex bool
}

// chooseVideo takes the video that is described, if there is one that can be recorded: in the format of a payload type that
// came before, if it has that, or else in the first.
func chooseVideo(desc *description.Session, described answer.Described, came uint8) (v video, ok bool) {
	c := described.Video
	if c == nil {
		return video{}, false
	}
	m, formats := desc.Medias[0], c.Formats()
	at := max(slices.IndexFunc(formats, func(f sdp.Format) bool { return f.PayloadType == came }), 0)
	f := formats[at]
	return video{media: m, format: m.Formats[min(at, len(m.Formats)-1)], clock: f.Clock, codec: codecOf(f), sets: f.ParameterSets(),
		types: newPayloadTypes(f, formats), multiplex: f.Codec == sdp.MPEGTS}, true
}

func codecOf(f sdp.Format) accessunit.Codec {
	order := f.Interleaving()
	switch {
	case f.Codec == sdp.H264:
		return accessunit.InterleavedH264(order.Depth)
	case order.Numbered:
		return accessunit.NumberedH265(order.Depth)
	default:
		return accessunit.H265
	}
}

// audio is the track of a camera that is recorded beside its video.
type audio struct {
	media    *description.Media
	delivery *delivery // once it is set up
	format   format.Format
	early    *earlyFormat
	about    accessunit.AudioTrack
	decoder  *rtpmpeg4audio.Decoder // nil: a packet is a frame
	packet   rtp.Packet             // for it
	unit     int                    // ticks of RTP that a frame of it lasts
}

// chooseAudio takes the audio that is described, if there is one that can be recorded.
func chooseAudio(desc *description.Session, described answer.Described) *audio {
	c := described.Audio
	if c == nil {
		return nil
	}
	m := desc.Medias[len(desc.Medias)-1]
	a := &audio{media: m, format: m.Formats[0]}
	config, isAAC := c.AAC()
	if !isAAC {
		a.about = accessunit.G711Track(c.Codec == sdp.PCMU, c.Clock, c.Channels)
		return a
	}
	about, ok := accessunit.AACTrack(config.Raw, config.Rate, config.Channels)
	decoder := &rtpmpeg4audio.Decoder{
		SizeLength: config.Headers.Size, IndexLength: config.Headers.Index, IndexDeltaLength: config.Headers.IndexDelta,
	}
	if !ok || decoder.Init() != nil {
		return nil
	}
	about.Rate = c.Clock
	a.about, a.decoder, a.unit = about, decoder, mpeg4audio.SamplesPerAccessUnit*c.Clock/config.Rate
	return a
}

func (a *audio) track() *accessunit.AudioTrack {
	if a == nil {
		return nil
	}
	return &a.about
}

// deliveryOrNone is how it comes, nil when there is none.
func (a *audio) deliveryOrNone() *delivery {
	if a == nil {
		return nil
	}
	return a.delivery
}

// decode hands on the frames of a packet.
func (a *audio) decode(p accessunit.Packet, give func(frame []byte, rtpTime uint32)) {
	if a.decoder == nil {
		if len(p.Payload) > 0 {
			give(p.Payload, p.Timestamp)
		}
		return
	}
	if !p.Marker { // a fragment, which the decoder keeps
		p.Payload = slices.Clone(p.Payload)
	}
	a.packet.SequenceNumber, a.packet.Timestamp, a.packet.Marker, a.packet.Payload = p.Sequence, p.Timestamp, p.Marker, p.Payload
	frames, err := a.decoder.Decode(&a.packet)
	if err != nil {
		return // more is to come, or it is broken: silence does no harm
	}
	for i, frame := range frames {
		give(frame, p.Timestamp+uint32(i*a.unit))
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

// noChannel is that of a medium that the library does not play.
const noChannel = -1

// channelOf is the channel of the RTP packets of a medium, from the answer to SETUP.
func channelOf(answer *base.Response) int {
	var t headers.Transport
	if t.Unmarshal(answer.Header["Transport"]) != nil || t.Protocol != headers.TransportProtocolTCP || t.InterleavedIDs == nil {
		return noChannel
	}
	return t.InterleavedIDs[0]
}

// announced is the packet that a camera says it begins the video with (RFC 2326, section 12.33).
func announced(response *base.Response, described answer.Described) (sequence uint16, timestamp uint32, ok bool) {
	list := answer.ParseRTPInfo(strings.Join(response.Header["RTP-Info"], ","))
	for _, of := range list {
		if len(list) == 1 || strings.HasSuffix(of.URL, described.Video.Control) {
			return of.Sequence, of.Timestamp, true
		}
	}
	return 0, 0, false
}
