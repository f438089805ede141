package camera

import (
	"bufio"
	"bytes"
	"slices"
	"strings"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/gortsplib/v4/pkg/headers"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
)

// listen has taken what comes once the camera plays.
func (s *session) listen() {
	s.client.OnPacketRTCP(s.video.media, s.takeReport)
	if s.udp {
		s.video.early.take = s.takeUDP
	} else {
		s.receive(s.video.early, s.video.channel, s.takeTCP)
	}
	switch {
	case s.audio == nil:
	case s.udp: // in the library's order
		s.client.OnPacketRTP(s.audio.media, s.audio.format, s.takeAudio)
	default:
		s.receive(s.audio.early, s.audio.channel, s.takeAudio)
	}
}

// receive gives the packets on a channel to take. Most do not come by way of the library, but by the tap.
func (s *session) receive(e *earlyFormat, channel int, take func(*rtp.Packet)) {
	e.take = func(p *rtp.Packet) {
		take(p)
		s.tap.follow(channel, p, take)
	}
}

// locked does something while nothing else comes in. The library calls from goroutines of its
// own, where a panic would end the process: it is contained.
func (s *session) locked(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.feed.Contain(do)
}

// takeTCP takes a packet of the video.
func (s *session) takeTCP(p *rtp.Packet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.push(packetOf(p), s.Now())
}

// takeUDP takes a packet of the video, in whatever order they come.
func (s *session) takeUDP(p *rtp.Packet) {
	s.locked(func() { s.order.Take(packetOf(p), s.Now()) })
}

// push takes the next packet of the video in order. The feed contains panics by itself, as it counts
// what they cost.
func (s *session) push(p accessunit.Packet, now time.Time) {
	if p.Source != s.source {
		s.changeSource(p, now)
	}
	err := s.feed.Push(p, now)
	if err == nil {
		err = s.payload.add(len(p.Payload), now)
	}
	if err != nil {
		s.fail(err)
	}
}

// sourceLife is how long an encoder goes on with an SSRC at least.
const sourceLife = time.Second

// changeSource goes on to another source. Two that alternate are an old session's and ours.
func (s *session) changeSource(p accessunit.Packet, now time.Time) {
	if s.feed.ChangeSource(p.Sequence) {
		if p.Source == s.former && now.Sub(s.changed) < sourceLife {
			s.fail(errStale)
		}
		s.former, s.changed = s.source, now
	}
	s.source = p.Source
}

// takeReport takes the camera's time out of what comes over RTCP beside the video.
func (s *session) takeReport(p rtcp.Packet) {
	s.locked(func() {
		s.count(p.MarshalSize())
		if report, ok := p.(*rtcp.SenderReport); ok && report.SSRC == s.source {
			s.to.CameraTime(ntpTime(report.NTPTime), report.RTPTime)
		}
	})
}

// takeAudio takes a packet of the audio.
func (s *session) takeAudio(p *rtp.Packet) {
	s.locked(func() {
		s.count(len(p.Payload))
		s.audio.take(p, func(frame []byte, rtpTime uint32) { s.to.Audio(frame, rtpTime, s.Now()) })
	})
}

// takeUnreadable takes note of a packet that the library cannot read or has no track for.
func (s *session) takeUnreadable(error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count(unreadableSize)
}

// count counts payload that is not video; s.mu is held. Over TCP traffic counts all bytes besides, over UDP nobody does.
func (s *session) count(bytes int) {
	if err := s.payload.add(bytes, s.Now()); err != nil {
		s.fail(err)
	}
}

func packetOf(p *rtp.Packet) accessunit.Packet {
	return accessunit.Packet{Sequence: p.SequenceNumber, Timestamp: p.Timestamp, Marker: p.Marker, Payload: p.Payload, Source: p.SSRC}
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

// readable reports whether the library can read a message: it ends the session over one that it cannot.
func readable(message []byte) bool {
	r := bufio.NewReader(bytes.NewReader(message))
	if bytes.HasPrefix(message, []byte("RTSP/")) {
		return new(base.Response).Unmarshal(r) == nil
	}
	return new(base.Request).Unmarshal(r) == nil
}

// earlyFormat is a format that is given the packets of a track before the library puts them in
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
