package fakecam

import (
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/auth"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtpmjpeg"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/pion/rtp"
)

const (
	path        = "/live"
	realm       = "fakecam"
	payloadH264 = 96 // or H.265
	payloadAAC  = 97

	// queueSize is in packets: 45 s at 4 Mbit/s, more than a reader may be late before its
	// connection counts as dead.
	queueSize = 1 << 14
	// queueReserve is left free for RTCP.
	queueReserve = 64
)

// server is the RTSP side of a camera while it is plugged in.
type server struct {
	camera *Camera
	rtsp   *gortsplib.Server

	mu        sync.Mutex
	described map[*clip]*gortsplib.ServerStream // what DESCRIBE answers with, for each clip
	readers   map[*gortsplib.ServerSession]*reader
	nonces    map[*gortsplib.ServerConn]*nonce
}

// reader is one session of the server. It has a stream of its own, so that it gets frames of its own.
type reader struct {
	session      *gortsplib.ServerSession
	stream       *gortsplib.ServerStream
	media        *description.Media
	audio        *description.Media // nil: none
	packet       rtp.Packet
	audioPacket  rtp.Packet
	reports      reporter
	audioReports reporter
	emitted      uint64 // packets of video that were queued, with those that the hook put in
	wire         func(Packet) []Packet
	wiring       *sync.Mutex // held while wire is called and what it returned is sent
	clock        func() time.Time
	limit        int // packets that may be queued

	player *player
	record *session      // nil before PLAY
	stop   chan struct{} // closed to stop the player
	played chan struct{} // closed when the player has stopped, nil when it never began
	ended  chan struct{} // closed when all is over
}

// serve starts an RTSP server on a listener, which it owns from then on.
func serve(camera *Camera, listener net.Listener) (*server, error) {
	s := &server{
		camera:    camera,
		described: make(map[*clip]*gortsplib.ServerStream),
		readers:   make(map[*gortsplib.ServerSession]*reader),
		nonces:    make(map[*gortsplib.ServerConn]*nonce),
	}
	s.rtsp = &gortsplib.Server{
		Handler:     s,
		RTSPAddress: listener.Addr().String(),
		Listen: func(string, string) (net.Listener, error) {
			if wrap := camera.options.Conn; wrap != nil {
				return oddListener{listener, wrap}, nil
			}
			return listener, nil
		},
		WriteQueueSize: queueSize,
		// Those of the library give the fraction of a second in nanoseconds.
		DisableRTCPSenderReports: true,
	}
	if camera.options.BasicOnly {
		s.rtsp.AuthMethods = []auth.VerifyMethod{auth.VerifyMethodBasic}
	}
	if cert := camera.options.TLS; cert != nil {
		s.rtsp.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*cert}, MinVersion: tls.VersionTLS12}
	}
	if !camera.options.NoUDP {
		rtpConn, rtcpConn, err := listenUDPPair(listener.Addr().(*net.TCPAddr).IP)
		if err != nil {
			listener.Close()
			return nil, err
		}
		s.rtsp.UDPRTPAddress = rtpConn.LocalAddr().String()
		s.rtsp.UDPRTCPAddress = rtcpConn.LocalAddr().String()
		s.rtsp.ListenPacket = func(_, address string) (net.PacketConn, error) {
			if address == rtpConn.LocalAddr().String() {
				return rtpConn, nil
			}
			return rtcpConn, nil
		}
	}
	if err := s.rtsp.Start(); err != nil {
		listener.Close()
		return nil, fmt.Errorf("the camera's RTSP server does not start: %w", err)
	}
	return s, nil
}

// close ends all sessions and frees the ports.
func (s *server) close() {
	s.rtsp.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, stream := range s.described {
		stream.Close()
	}
}

// drop ends all sessions, and returns when they have ended.
func (s *server) drop() {
	s.mu.Lock()
	readers := make([]*reader, 0, len(s.readers))
	for _, r := range s.readers {
		readers = append(readers, r)
	}
	s.mu.Unlock()
	for _, r := range readers {
		r.session.Close()
	}
	for _, r := range readers {
		<-r.ended
	}
}

// newStream makes a stream of one clip, as it is announced in the SDP.
func (s *server) newStream(c *clip) (*gortsplib.ServerStream, error) {
	o := s.camera.options
	media := &description.Media{Type: description.MediaTypeVideo}
	switch {
	case o.MJPEG:
		media.Formats = []format.Format{&format.MJPEG{}}
	case o.HEVC:
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
			{Type: description.MediaTypeAudio, IsBackChannel: true, Formats: []format.Format{&format.G711{PayloadTyp: 8, SampleRate: 8000, ChannelCount: 1}}},
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

// audioMedia announces the camera's audio, nil when it has none.
func (o Options) audioMedia() *description.Media {
	var f format.Format
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

// oddListener wraps the connections of a listener.
type oddListener struct {
	net.Listener
	wrap func(net.Conn) net.Conn
}

func (l oddListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return oddConn{l.wrap(c), c}, nil
}

// oddConn is a wrapped connection with the addresses of the real one.
type oddConn struct {
	net.Conn
	real net.Conn
}

func (c oddConn) RemoteAddr() net.Addr { return c.real.RemoteAddr() }

// nonce is a digest nonce of a connection, and how often it was used.
type nonce struct {
	value string
	uses  int
}

// authorize checks a password with nonces that wear out; nil says that the request is welcome.
func (s *server) authorize(conn *gortsplib.ServerConn, request *base.Request) *base.Response {
	o := s.camera.options
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.nonces[conn]
	methods := []auth.VerifyMethod{auth.VerifyMethodDigestMD5, auth.VerifyMethodDigestSHA256}
	if n != nil && n.uses < o.NonceUses && auth.Verify(request, o.User, o.Pass, methods, realm, n.value) == nil {
		n.uses++
		return nil
	}
	value, err := auth.GenerateNonce()
	if err != nil {
		return &base.Response{StatusCode: base.StatusInternalServerError}
	}
	s.nonces[conn] = &nonce{value: value}
	return &base.Response{StatusCode: base.StatusUnauthorized, Header: base.Header{
		"WWW-Authenticate": auth.GenerateWWWAuthenticate(methods, realm, value),
	}}
}

// refuse says how a request is to be refused, or nil.
func (s *server) refuse(conn *gortsplib.ServerConn, request *base.Request, requested string) (*base.Response, error) {
	o := s.camera.options
	if o.NonceUses > 0 {
		if response := s.authorize(conn, request); response != nil {
			return response, nil
		}
	} else if o.User != "" && !conn.VerifyCredentials(request, o.User, o.Pass) {
		return &base.Response{StatusCode: base.StatusUnauthorized}, liberrors.ErrServerAuth{}
	}
	if requested != path {
		return &base.Response{StatusCode: base.StatusNotFound}, nil
	}
	return nil, nil
}

// OnDescribe answers a DESCRIBE request.
func (s *server) OnDescribe(ctx *gortsplib.ServerHandlerOnDescribeCtx) (*base.Response, *gortsplib.ServerStream, error) {
	if response, err := s.refuse(ctx.Conn, ctx.Request, ctx.Path); response != nil {
		return response, nil, err
	}
	if redirect := s.camera.options.Redirect; redirect != nil {
		if to := redirect(); to != "" {
			return &base.Response{StatusCode: base.StatusFound, Header: base.Header{"Location": base.HeaderValue{to}}}, nil, nil
		}
	}
	c := s.camera.controls.current()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.described[c] == nil {
		stream, err := s.newStream(c)
		if err != nil {
			return &base.Response{StatusCode: base.StatusInternalServerError}, nil, err
		}
		s.described[c] = stream
	}
	return &base.Response{StatusCode: base.StatusOK}, s.described[c], nil
}

// OnSetup answers a SETUP request with a stream of the session's own.
func (s *server) OnSetup(ctx *gortsplib.ServerHandlerOnSetupCtx) (*base.Response, *gortsplib.ServerStream, error) {
	if response, err := s.refuse(ctx.Conn, ctx.Request, ctx.Path); response != nil {
		return response, nil, err
	}
	if refuse := s.camera.options.Refuse; refuse != nil && refuse(ctx.Transport == gortsplib.TransportUDP) {
		return &base.Response{StatusCode: base.StatusUnsupportedTransport}, nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.readers[ctx.Session]
	if r == nil {
		stream, err := s.newStream(s.camera.controls.current())
		if err != nil {
			return &base.Response{StatusCode: base.StatusInternalServerError}, nil, err
		}
		r = &reader{
			session: ctx.Session,
			stream:  stream,
			media:   stream.Desc.Medias[0],
			wire:    s.camera.options.Wire,
			wiring:  &s.camera.wiring,
			clock:   s.camera.options.Clock,
			limit:   queueSize - queueReserve,
			stop:    make(chan struct{}),
			ended:   make(chan struct{}),
		}
		if r.clock == nil {
			r.clock = time.Now
		}
		if s.camera.options.MoreTracks {
			r.media = stream.Desc.Medias[2]
		}
		if s.camera.options.Audio != "" {
			r.audio = stream.Desc.Medias[len(stream.Desc.Medias)-1]
		}
		r.packet.Version = 2
		r.packet.PayloadType = r.media.Formats[0].PayloadType()
		s.readers[ctx.Session] = r
	}
	return &base.Response{StatusCode: base.StatusOK}, r.stream, nil
}

// OnPlay answers a PLAY request.
func (s *server) OnPlay(ctx *gortsplib.ServerHandlerOnPlayCtx) (*base.Response, error) {
	if response, err := s.refuse(ctx.Conn, ctx.Request, ctx.Path); response != nil {
		return response, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.readers[ctx.Session]
	if r.player == nil {
		r.record, r.player = s.camera.begin(r, r.written)
		// Packets are lost until the server has made the session active, which it does
		// after this call and before OnResponse of the same connection.
		ctx.Conn.SetUserData(r)
	}
	return &base.Response{StatusCode: base.StatusOK}, nil
}

// OnResponse starts the player when PLAY has been carried out.
func (s *server) OnResponse(conn *gortsplib.ServerConn, response *base.Response) {
	r, ok := conn.UserData().(*reader)
	if !ok {
		return
	}
	conn.SetUserData(nil)
	if response.StatusCode != base.StatusOK {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readers[r.session] != r {
		return // it ended meanwhile
	}
	if info := response.Header["RTP-Info"]; len(info) == 1 {
		response.Header["RTP-Info"] = r.begins(info[0])
	}
	r.played = make(chan struct{})
	go func() {
		defer close(r.played)
		var both sync.WaitGroup
		if r.audio != nil {
			both.Go(func() { sounds[s.camera.options.Audio].run(&s.camera.controls, r.writeAudio, r.stop) })
		}
		if life := s.camera.options.Lifetime; life > 0 {
			end := time.AfterFunc(life, r.session.Close)
			defer end.Stop()
		}
		r.player.run(r.stop)
		both.Wait()
	}()
}

// begins adds the first packet of the video to an RTP-Info header: the library has sent none yet.
func (r *reader) begins(info string) base.HeaderValue {
	tracks := strings.Split(info, ",")
	control := fmt.Sprintf("/trackID=%d", slices.Index(r.stream.Desc.Medias, r.media))
	for i, track := range tracks {
		if strings.HasSuffix(track, control) {
			tracks[i] += fmt.Sprintf(";seq=%d;rtptime=%d", r.packet.SequenceNumber, r.player.timestamp(0))
		}
	}
	return base.HeaderValue{strings.Join(tracks, ",")}
}

// OnPause ends the player of a session for good: what it sent comes before the answer, and nothing after it.
func (s *server) OnPause(ctx *gortsplib.ServerHandlerOnPauseCtx) (*base.Response, error) {
	if s.camera.options.NoPause {
		return &base.Response{StatusCode: base.StatusNotImplemented}, nil
	}
	s.halt(ctx.Session)
	return &base.Response{StatusCode: base.StatusOK}, nil
}

// halt stops the player of a session and waits for it. It gives nil when there is no such session.
func (s *server) halt(session *gortsplib.ServerSession) *reader {
	s.mu.Lock()
	r := s.readers[session]
	if r == nil {
		s.mu.Unlock()
		return nil
	}
	select {
	case <-r.stop: // it is halted already
	default:
		close(r.stop)
	}
	played := r.played
	s.mu.Unlock()
	if played != nil {
		<-played
	}
	return r
}

// OnSessionClose ends the player of a session.
func (s *server) OnSessionClose(ctx *gortsplib.ServerHandlerOnSessionCloseCtx) {
	r := s.halt(ctx.Session)
	if r == nil {
		return
	}
	s.mu.Lock()
	delete(s.readers, ctx.Session)
	s.mu.Unlock()
	if r.record != nil {
		r.record.end()
	}
	r.stream.Close()
	close(r.ended)
}

// OnStreamWriteError ends a session whose queue is full. The player leaves out frames before
// that happens, so only a flood of RTCP could fill the reserve.
func (s *server) OnStreamWriteError(ctx *gortsplib.ServerHandlerOnStreamWriteErrorCtx) {
	ctx.Session.Close()
}

// OnDecodeError ignores what readers send: the camera has no use for their RTCP.
func (s *server) OnDecodeError(*gortsplib.ServerHandlerOnDecodeErrorCtx) {}

// written is how many of the RTP packets of the video are in the socket.
func (r *reader) written() uint64 {
	medias := r.session.Stats().Medias
	sent := uint64(0)
	for _, f := range medias[r.media].Formats {
		sent += f.RTPPacketsSent
	}
	return sent
}

func (r *reader) room(n int) bool { return r.record.fits(n, r.limit) }
func (r *reader) flush()          { r.record.frame(r.emitted) }
func (r *reader) skip()           { r.record.skip() }

func (r *reader) write(payload []byte, timestamp uint32, marker bool) {
	p := Packet{r.packet.SequenceNumber, timestamp, marker, payload, r.player.counter}
	r.packet.SequenceNumber++
	if r.wire == nil {
		r.emit(p)
		return
	}
	r.wiring.Lock()
	defer r.wiring.Unlock()
	for _, p := range r.wire(p) {
		r.emit(p)
	}
}

func (r *reader) emit(p Packet) {
	packet := r.packet
	packet.SequenceNumber, packet.Timestamp, packet.Marker, packet.Payload = p.Sequence, p.Timestamp, p.Marker, p.Payload
	r.emitted++
	r.send(r.media, &packet, &r.reports)
}

// send sends a packet, and a report when one is due. It fails for streams that are closed only, and
// then the player is being stopped.
func (r *reader) send(m *description.Media, p *rtp.Packet, reports *reporter) {
	_ = r.stream.WritePacketRTP(m, p) // fills in the SSRC
	if report := reports.sent(p, r.clock()); report != nil {
		_ = r.stream.WritePacketRTCP(m, report)
	}
}

// writeAudio sends one packet of audio. It is called from one goroutine.
func (r *reader) writeAudio(payload []byte, timestamp uint32) {
	r.audioPacket.Version = 2
	r.audioPacket.PayloadType = r.audio.Formats[0].PayloadType()
	r.audioPacket.Timestamp, r.audioPacket.Payload = timestamp, payload
	r.send(r.audio, &r.audioPacket, &r.audioReports)
	r.audioPacket.SequenceNumber++
}

// OnGetParameter answers a keepalive.
func (s *server) OnGetParameter(*gortsplib.ServerHandlerOnGetParameterCtx) (*base.Response, error) {
	if s.camera.options.NoKeepalive {
		return &base.Response{StatusCode: base.StatusNotImplemented}, nil
	}
	return &base.Response{StatusCode: base.StatusOK}, nil
}

// OnConnClose forgets a connection.
func (s *server) OnConnClose(ctx *gortsplib.ServerHandlerOnConnCloseCtx) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.nonces, ctx.Conn)
}

// cutJPEG makes a clip of one picture.
func cutJPEG(jpeg []byte) (*clip, error) {
	encoder := &rtpmjpeg.Encoder{PayloadMaxSize: maxPayload}
	if err := encoder.Init(); err != nil {
		return nil, fmt.Errorf("the MJPEG packetizer does not start: %w", err)
	}
	packets, err := encoder.Encode(jpeg)
	if err != nil {
		return nil, fmt.Errorf("the JPEG picture cannot be sent over RTP: %w", err)
	}
	f := frame{key: true, bodySize: len(jpeg)}
	for _, p := range packets {
		f.body = append(f.body, p.Payload)
	}
	return &clip{frames: []frame{f}}, nil
}

// listenUDPPair opens an even port and the odd one after it, as RTP and RTCP want.
func listenUDPPair(ip net.IP) (rtpConn, rtcpConn net.PacketConn, err error) {
	for range 100 {
		first, err := net.ListenPacket("udp", net.JoinHostPort(ip.String(), "0"))
		if err != nil {
			return nil, nil, fmt.Errorf("the camera gets no UDP port: %w", err)
		}
		port := first.LocalAddr().(*net.UDPAddr).Port
		second, err := net.ListenPacket("udp", net.JoinHostPort(ip.String(), strconv.Itoa(port^1)))
		if err != nil {
			first.Close()
			continue
		}
		if port%2 == 1 {
			first, second = second, first
		}
		return first, second, nil
	}
	return nil, nil, fmt.Errorf("the camera gets no pair of UDP ports on %v", ip)
}
