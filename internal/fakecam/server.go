package fakecam

import (
	"crypto/tls"
	"fmt"
	"net"
	"sync"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/auth"
	"github.com/bluenviron/gortsplib/v4/pkg/base"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam/wire"
)

const path = "/live"

// server is the RTSP side of a camera while it is plugged in.
type server struct {
	camera *Camera
	rtsp   *gortsplib.Server

	mu        sync.Mutex
	described map[*clip]*gortsplib.ServerStream // the answer to DESCRIBE for each clip
	readers   map[*gortsplib.ServerSession]*reader
	nonces    map[*gortsplib.ServerConn]*nonce
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
		// The library's reports have the fraction of a second in nanoseconds.
		DisableRTCPSenderReports: true,
	}
	if camera.options.BasicOnly {
		s.rtsp.AuthMethods = []auth.VerifyMethod{auth.VerifyMethodBasic}
	}
	if cert := camera.options.TLS; cert != nil {
		s.rtsp.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*cert}, MinVersion: tls.VersionTLS12}
	}
	if !camera.options.NoUDP {
		rtpConn, rtcpConn, err := wire.ListenUDPPair(listener.Addr().(*net.TCPAddr).IP)
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
		r = newReader(s.camera, ctx.Session, stream)
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
		to := sink(r)
		if s.camera.options.MPEGTS {
			m, err := newMultiplexer(s.camera.options, s.camera.origin, r)
			if err != nil {
				return &base.Response{StatusCode: base.StatusInternalServerError}, err
			}
			to = m
		}
		r.record, r.player = s.camera.begin(to, r.written)
		// Packets are lost until the server has made the session active, which it does
		// after this call and before OnResponse of the same connection.
		ctx.Conn.SetUserData(r)
	}
	return &base.Response{StatusCode: base.StatusOK}, nil
}

// OnResponse starts the player after the answer to PLAY.
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
		return // it has ended meanwhile
	}
	if info := response.Header["RTP-Info"]; len(info) == 1 {
		response.Header["RTP-Info"] = r.begins(info[0])
	}
	r.play(s.camera)
}

// OnPause ends the player of a session permanently: its packets precede the answer, and none follow it.
func (s *server) OnPause(ctx *gortsplib.ServerHandlerOnPauseCtx) (*base.Response, error) {
	if s.camera.options.NoPause {
		return &base.Response{StatusCode: base.StatusNotImplemented}, nil
	}
	s.halt(ctx.Session)
	return &base.Response{StatusCode: base.StatusOK}, nil
}

// halt stops the player of a session and waits for it. It returns nil when there is no such session.
func (s *server) halt(session *gortsplib.ServerSession) *reader {
	s.mu.Lock()
	r := s.readers[session]
	if r == nil {
		s.mu.Unlock()
		return nil
	}
	select {
	case <-r.stop: // it has stopped already
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
// that happens, so that only a flood of RTCP could fill the reserve.
func (s *server) OnStreamWriteError(ctx *gortsplib.ServerHandlerOnStreamWriteErrorCtx) {
	ctx.Session.Close()
}

// OnDecodeError ignores errors in what readers send: the camera does not use their RTCP.
func (s *server) OnDecodeError(*gortsplib.ServerHandlerOnDecodeErrorCtx) {}

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
