package fakecam

import (
	"fmt"
	"net"
	"strconv"
	"sync"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtpmjpeg"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"
	"github.com/pion/rtp"
)

const (
	path        = "/live"
	payloadH264 = 96

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
}

// reader is one session of the server. It has a stream of its own, so that it gets frames of its own.
type reader struct {
	session *gortsplib.ServerSession
	stream  *gortsplib.ServerStream
	media   *description.Media
	packet  rtp.Packet
	limit   int // packets that may be queued

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
	}
	s.rtsp = &gortsplib.Server{
		Handler:        s,
		RTSPAddress:    listener.Addr().String(),
		Listen:         func(string, string) (net.Listener, error) { return listener, nil },
		WriteQueueSize: queueSize,
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
	media := &description.Media{Type: description.MediaTypeVideo}
	if s.camera.options.MJPEG {
		media.Formats = []format.Format{&format.MJPEG{}}
	} else {
		h264 := &format.H264{PayloadTyp: payloadH264, PacketizationMode: 1}
		if !s.camera.options.NoSDPParams {
			h264.SPS, h264.PPS = c.sps, c.pps
		}
		media.Formats = []format.Format{h264}
	}
	stream := &gortsplib.ServerStream{
		Server: s.rtsp,
		Desc:   &description.Session{Medias: []*description.Media{media}},
	}
	if err := stream.Initialize(); err != nil {
		return nil, fmt.Errorf("the camera's stream does not start: %w", err)
	}
	return stream, nil
}

// refuse says how a request is to be refused, or nil.
func (s *server) refuse(conn *gortsplib.ServerConn, request *base.Request, requested string) (*base.Response, error) {
	if o := s.camera.options; o.User != "" && !conn.VerifyCredentials(request, o.User, o.Pass) {
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
			limit:   queueSize - queueReserve,
			stop:    make(chan struct{}),
			ended:   make(chan struct{}),
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
	r.played = make(chan struct{})
	go func() {
		defer close(r.played)
		r.player.run(r.stop)
	}()
}

// OnSessionClose ends the player of a session.
func (s *server) OnSessionClose(ctx *gortsplib.ServerHandlerOnSessionCloseCtx) {
	s.mu.Lock()
	r := s.readers[ctx.Session]
	delete(s.readers, ctx.Session)
	s.mu.Unlock()
	if r == nil {
		return
	}
	close(r.stop)
	if r.played != nil {
		<-r.played
	}
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

// written is how many RTP packets are in the socket.
func (r *reader) written() uint64 {
	return r.session.Stats().RTPPacketsSent
}

func (r *reader) room(n int) bool { return r.record.fits(n, r.limit) }
func (r *reader) flush(n int)     { r.record.frame(n) }
func (r *reader) skip()           { r.record.skip() }

func (r *reader) write(payload []byte, timestamp uint32, marker bool) {
	r.packet.Timestamp = timestamp
	r.packet.Marker = marker
	r.packet.Payload = payload
	// It fails for streams that are closed only, and then the player is being stopped.
	_ = r.stream.WritePacketRTP(r.media, &r.packet)
	r.packet.SequenceNumber++
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
