package camera

import (
	"slices"
	"strings"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/gortsplib/v4/pkg/headers"
	"github.com/pion/rtp"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/audio"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/answer"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/sdp"
)

// video is the recorded video track of a camera.
type video struct {
	media    *description.Media
	delivery *delivery // once it is set up
	format   format.Format
	clock    int            // ticks of RTP per second: the format may say otherwise
	early    []*earlyFormat // for each payload type that can be recorded
	codec    accessunit.Codec
	sets     [][]byte // of the session description
	types    sdp.PayloadTypes
	// multiplex: it is in a transport stream, with its audio, and only that stream shows the codec.
	multiplex bool
}

// chooseVideo returns the described video that is recorded, if one can be: in the format of a payload type that
// arrived before, if it has that, or else in the first.
func chooseVideo(desc *description.Session, described answer.Described, came uint8) (v video, ok bool) {
	c := described.Video
	if c == nil {
		return video{}, false
	}
	m, formats := desc.Medias[0], c.Formats()
	at := max(slices.IndexFunc(formats, func(f sdp.Format) bool { return f.PayloadType == came }), 0)
	f := formats[at]
	return video{media: m, format: m.Formats[min(at, len(m.Formats)-1)], clock: f.Clock, codec: codecOf(f), sets: f.ParameterSets(),
		types: sdp.NewPayloadTypes(f, formats), multiplex: f.Codec == sdp.MPEGTS}, true
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

// sound has the recorded audio track of a camera.
type sound struct {
	media    *description.Media
	delivery *delivery // once it is set up
	format   format.Format
	early    *earlyFormat
	stream   audio.Stream
	reader   *audio.Reader
}

// chooseAudio returns the described audio that is recorded, if one can be.
func chooseAudio(desc *description.Session, described answer.Described) *sound {
	if described.Audio == nil {
		return nil
	}
	stream, ok := described.Audio.Sound()
	if !ok {
		return nil
	}
	m := desc.Medias[len(desc.Medias)-1]
	return &sound{media: m, format: m.Formats[0], stream: stream, reader: stream.NewReader()}
}

// track returns the audio as far as it is known before its first packet; nil: nothing is known yet.
func (a *sound) track() *accessunit.AudioTrack {
	if a == nil {
		return nil
	}
	return a.learned()
}

// deliveryOrNone returns its delivery, nil when there is no audio.
func (a *sound) deliveryOrNone() *delivery {
	if a == nil {
		return nil
	}
	return a.delivery
}

// learned returns the audio when its properties have changed, else nil.
func (a *sound) learned() *accessunit.AudioTrack {
	f, fresh := a.reader.Format()
	if !fresh {
		return nil
	}
	return accessunit.NewAudioTrack(f, a.stream.Clock)
}

// take passes on the frames that a packet completes.
func (a *sound) take(p accessunit.Packet, to accessunit.Sink, now time.Time) {
	frames, lost := a.reader.Read(audio.Packet(p))
	if lost > 0 {
		to.AudioLost(int64(lost))
	}
	a.give(frames, to, now)
}

// end passes on the frames that waited for packets, at the end of the session.
func (a *sound) end(to accessunit.Sink, now time.Time) { a.give(a.reader.Flush(), to, now) }

func (a *sound) give(frames []audio.Frame, to accessunit.Sink, now time.Time) {
	if track := a.learned(); track != nil {
		to.ChangeAudio(track)
	}
	for _, f := range frames {
		to.Audio(f.Data, f.RTPTime, now)
	}
}

// earlyFormat is a format that sees the packets of a track before the library puts them in
// order, and drops all that do not have the SSRC of the first: the library calls PTSEqualsDTS for each packet. So
// the sockets can be left to the library.
type earlyFormat struct {
	format.Format
	take taker            // nil: nothing receives them
	now  func() time.Time // when a packet arrives
}

// taker receives a packet of a track, and when it arrived, or was read with others.
type taker func(p *rtp.Packet, now time.Time)

// listenEarly replaces a format of a medium by an early one.
func listenEarly(m *description.Media, f format.Format, now func() time.Time) *earlyFormat {
	e := &earlyFormat{Format: f, now: now}
	m.Formats[slices.Index(m.Formats, f)] = e
	return e
}

// PTSEqualsDTS implements format.Format.
func (e *earlyFormat) PTSEqualsDTS(p *rtp.Packet) bool {
	if e.take != nil {
		e.take(p, e.now())
	}
	return e.Format.PTSEqualsDTS(p)
}

// noChannel is the channel of a medium that the library does not play.
const noChannel = -1

// channelOf returns the channel of a medium's RTP packets, from the answer to SETUP.
func channelOf(answer *base.Response) int {
	var t headers.Transport
	if t.Unmarshal(answer.Header["Transport"]) != nil || t.Protocol != headers.TransportProtocolTCP || t.InterleavedIDs == nil {
		return noChannel
	}
	return t.InterleavedIDs[0]
}

// announced returns the first packet of the video that a camera announces (RFC 2326, section 12.33).
func announced(response *base.Response, described answer.Described) (sequence uint16, timestamp uint32, ok bool) {
	list := answer.ParseRTPInfo(strings.Join(response.Header["RTP-Info"], ","))
	for _, of := range list {
		if len(list) == 1 || strings.HasSuffix(of.URL, described.Video.Control) {
			return of.Sequence, of.Timestamp, true
		}
	}
	return 0, 0, false
}

// leftOut names, for people, what the camera offers and is not recorded. Audio is not named if it is switched off.
func (s *session) leftOut(described answer.Described) (list []string) {
	if described.MoreVideo != "" {
		list = append(list, described.MoreVideo)
	}
	switch {
	case s.NoAudio:
	case s.audioRefused:
		list = append(list, "audio that it does not send when it is asked to")
	case described.MoreAudio != "":
		list = append(list, described.MoreAudio)
	}
	return list
}
