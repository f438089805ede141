package camera

import (
	"errors"
	"fmt"
	"iter"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/kvs-edge/kvs-edge-agent/internal/camera/answer"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/reception"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/sdp"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/udp"
)

// delivery is how a track is sent. The RTSP library only ever sees TCP: its requests and the camera's answers are
// changed on the way, and packets over UDP do not reach it, unless it has to decrypt them.
type delivery struct {
	media   *description.Media
	channel int // of its RTP packets over the RTSP connection, as the library sees it
	udp     bool
	secure  bool // encrypted

	takeReports func(compound []byte) // takes packets of RTCP that are not encrypted

	// Over UDP.
	sockets *udp.Sockets
	config  udp.Config
	track   *udp.Track // nil before it starts
}

// setting is a SETUP request in progress.
type setting struct {
	header  base.HeaderValue // Transport, as sent to the camera; nil: as the library wrote it
	library base.HeaderValue // the library's
	first   bool             // no track is set up yet
}

// setUpMedia sets up a track, with the first of these URLs that the camera knows.
func (s *session) setUpMedia(baseURL *base.URL, m *description.Media, urls []string, as sdp.Delivery) (*delivery, error) {
	d := &delivery{media: m, secure: m.Secure && s.conversation.scheme == "rtsps"}
	if s.memory.transport != overTCP && s.leaves(d) {
		return nil, &besideError{}
	}
	now, err := d.ask(s.memory.transport, s.local)
	if err != nil {
		return nil, err
	}
	now.first = s.video.delivery == nil
	s.conversation.setting.Store(now) // the library may read it after it stopped waiting for the answer
	defer s.conversation.setting.Store(nil)
	var response *base.Response
	err = s.ask(&s.conversation.setup, urls, func() (err error) { response, err = s.client.Setup(baseURL, m, 0, 0); return err })
	if err == nil {
		d.channel = channelOf(response)
		err = s.answered(d, s.conversation.last.Load().SetUp(), as)
	}
	if err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// leaves reports whether a track over UDP would bypass the tunnel, or the TLS connection without being encrypted.
func (s *session) leaves(d *delivery) bool {
	return s.over.tunnel || s.conversation.scheme == "rtsps" && !d.secure
}

// ask returns how the camera is asked for a track over a transport; local is this machine's address towards it.
func (d *delivery) ask(t transport, local netip.Addr) (*setting, error) {
	profile := "RTP/AVP"
	if d.secure {
		profile = "RTP/SAVP"
	}
	switch t {
	case overUDP:
		sockets, err := udp.Listen(local)
		if err != nil {
			return nil, err
		}
		d.sockets = sockets
		first, second := sockets.Ports()
		return &setting{header: base.HeaderValue{fmt.Sprintf("%s;unicast;client_port=%d-%d", profile, first, second)}}, nil
	case overMulticast:
		return &setting{header: base.HeaderValue{profile + ";multicast"}}, nil
	default:
		return &setting{}, nil
	}
}

// asks changes the library's request for a track.
func (s *setting) asks(r *base.Request) {
	if s == nil {
		return
	}
	s.library = r.Header["Transport"]
	if s.header != nil {
		r.Header["Transport"] = s.header
	}
}

// answers makes the library believe that the camera sends as the library asked. Where it does not, answered ends the session.
func (s *setting) answers(r *base.Response, as answer.SetUp) {
	if s != nil && s.first && r.StatusCode >= base.StatusBadRequest {
		delete(r.Header, "Session") // a session without a track ends with the refusal
	}
	if s == nil || r.StatusCode != base.StatusOK || as.TCP || len(s.library) == 0 {
		return
	}
	value := strings.Replace(s.library[0], "RTP/SAVP", "RTP/AVP", 1)
	if as.Secure {
		value = strings.Replace(value, "RTP/AVP", "RTP/SAVP", 1)
	}
	r.Header["Transport"] = base.HeaderValue{value}
}

// answered evaluates how the camera says that it sends a track.
func (s *session) answered(d *delivery, as answer.SetUp, described sdp.Delivery) error {
	if as.TCP { // even if UDP was requested
		d.close()
		d.sockets = nil
		return nil
	}
	switch d.secure = d.secure && as.Secure; {
	case s.leaves(d):
		return &acceptedError{&besideError{}}
	case len(s.transports()) == 1 && s.memory.transport == overTCP:
		return &acceptedError{errors.New("it answered UDP to TCP")}
	}
	d.udp = true
	d.config.Who = udp.Who{
		Addresses: append([]netip.Addr{s.peer.Unmap().WithZone("")}, described.Sources...),
		Anybody:   s.AnySource, SSRC: as.SSRC, Announced: as.HasSSRC,
	}
	to := s.peer
	if as.Source.IsValid() {
		d.config.Addresses = append(d.config.Addresses, as.Source)
		to = as.Source.WithZone(s.peer.Zone())
	}
	if as.Multicast {
		return s.join(d, as, described)
	}
	if d.sockets == nil {
		return &acceptedError{errors.New("it answered UDP to something else")}
	}
	if ports := as.ServerPorts; ports[0] > 0 {
		d.config.RTP = netip.AddrPortFrom(to, uint16(ports[0]))
		d.config.RTCP = netip.AddrPortFrom(to, uint16(ports[1]))
	}
	return nil
}

// join joins the group to which a camera sends. Some cameras name it in their description only.
func (s *session) join(d *delivery, as answer.SetUp, described sdp.Delivery) error {
	d.close() // a camera that sends to a group although asked for something else
	group := udp.Group{Address: as.Destination, Ports: as.Ports, TTL: as.TTL, Local: s.local, Source: as.Source}
	if !group.Address.IsMulticast() {
		group.Address = described.Group
	}
	if group.TTL == 0 {
		group.TTL = described.TTL
	}
	if from := group.Ports[0]; group.Ports[1] == 0 && from > 0 && from < 65535 {
		group.Ports[1] = from + 1
	}
	if group.Ports[0] == 0 && described.Port > 0 && described.Port < 65535 {
		group.Ports = [2]int{described.Port, described.Port + 1}
	}
	if !group.Source.IsValid() && len(described.Sources) > 0 {
		group.Source = described.Sources[0]
	}
	if !group.Source.IsValid() {
		group.Source = s.peer
	}
	if !group.Address.IsMulticast() || group.Ports[0] == 0 {
		return &acceptedError{errors.New("it names no multicast group and port")}
	}
	sockets, err := udp.Join(group)
	if err != nil {
		return &acceptedError{err}
	}
	d.sockets = sockets
	d.config.RTCP = netip.AddrPortFrom(group.Address, uint16(group.Ports[1]))
	return nil
}

// close releases sockets that were not started.
func (d *delivery) close() {
	if d != nil && d.sockets != nil && d.track == nil {
		d.sockets.Close()
	}
}

// start receives packets over UDP from now on: RTP and reports. Encrypted ones are passed to the library, which
// returns them as if they had arrived over the RTSP connection.
func (s *session) start(d *delivery, takeRTP taker) {
	d.config.Fits = func(payloadType uint8) bool {
		for _, f := range d.media.Formats {
			if f.PayloadType() == payloadType {
				return true
			}
		}
		return false
	}
	d.config.Unfit = func() { s.receiver.takeUnreadable(nil) }
	s.conversation.direct.Store(true)
	if d.secure {
		inject := s.inject.Load()
		d.config.TakeRTP = func(packet []byte, _ time.Time) { (*inject)(d.channel, packet) }
		d.config.TakeRTCP = func(packet []byte) { (*inject)(d.channel+1, packet) }
	} else {
		var packet rtp.Packet
		d.config.TakeRTP = func(datagram []byte, now time.Time) {
			if packet.Unmarshal(datagram[cutExtension(datagram):]) != nil {
				d.config.Unfit()
				return
			}
			takeRTP(&packet, now)
		}
		if d == s.video.delivery {
			d.config.TakeOthers = d.config.TakeRTP
		}
		d.config.TakeRTCP = d.takeReports
	}
	d.config.Now = s.Now
	d.track = udp.Start(d.sockets, d.config)
	d.track.Open()
}

// receiveReports passes the sender reports of a track to take. The library parses only those that it has to decrypt.
func (s *session) receiveReports(d *delivery, take func(reception.SenderReport)) {
	if d.secure {
		s.client.OnPacketRTCP(d.media, func(p rtcp.Packet) { s.receiver.takeDecrypted(p, take) })
		return
	}
	d.takeReports = func(compound []byte) { s.receiver.takeReports(compound, take) }
	s.tap.reports.Store(d.channel+1, d.takeReports)
}

// deliveries are those of the tracks that were set up.
func (s *session) deliveries() iter.Seq[*delivery] {
	return func(yield func(*delivery) bool) {
		for _, d := range [...]*delivery{s.video.delivery, s.audio.deliveryOrNone()} {
			if d != nil && !yield(d) {
				return
			}
		}
	}
}

// stopUDP ends reception over UDP, after all packets in the sockets were handled.
func (s *session) stopUDP() {
	for d := range s.deliveries() {
		if d.track != nil {
			d.track.Stop()
		}
		d.close()
	}
}

// divert sends a frame of the agent that belongs to a track over UDP, and reports whether it does.
func (s *session) divert(frame []byte) bool {
	if len(frame) <= answer.FrameHeader {
		return false
	}
	for d := range s.deliveries() {
		if d.track != nil && int(frame[1]) == d.channel+1 {
			d.track.SendRTCP(frame[answer.FrameHeader:])
			return true
		}
	}
	return false
}

// reportInterval is the interval of receiver reports. Source: RFC 3550, section 6.2.
const reportInterval = 5 * time.Second

// report sends the receiver reports that are due, and counts foreign packets.
func (s *session) report(now time.Time) {
	for d := range s.deliveries() {
		if d.track == nil {
			continue
		}
		if f := d.track.Foreign(); f.Packets > 0 {
			if f.Stranger {
				s.stranger = f.From.String()
			}
			s.receiver.takeForeign(f.Packets, f.From.String(), f.Stranger)
		}
	}
	if now.Sub(s.reported) < reportInterval {
		return
	}
	for d := range s.deliveries() {
		if compound, ok := s.receiver.report(d == s.video.delivery, s.ssrc); ok {
			s.reported = now
			_ = s.client.WritePacketRTCP(d.media, &compound) // if it cannot be written the session ends anyway
		}
	}
}

// stalled returns why no video arrived.
func (s *session) stalled() error {
	err := stalled(s.Limits.Stall)
	heard := s.receiver.heard()
	switch {
	case !heard && s.stranger != "":
		return &strangerError{from: s.stranger}
	case !heard && s.video.delivery.udp && len(s.transports()) == 1:
		return &onlyTransportError{error: err, transport: s.memory.transport, fromURL: s.Address.Transport != ""}
	default:
		return err
	}
}

// addressOf returns the IP address of a connection's end.
func addressOf(a net.Addr) netip.Addr {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}
