package recorder

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
)

// session is one session with a camera.
type session struct {
	dialogue
	client      *gortsplib.Client
	connections int // so far: a redirect takes another one
	keeper      keeper
	tap         tap
	to          accessunit.Sink
	line        atomic.Pointer[net.Conn] // the last connection
	peer        net.IP                   // its other end
	sockets     [2]*net.UDPConn          // the last ones: RTP and RTCP of the medium that was set up last
	leftover    *leftover                // of the video; nil: none

	// What was set up.
	video video
	audio *audio // nil: none is recorded

	mu     sync.Mutex // of what comes in: over UDP video and audio arrive on goroutines of their own
	feed   *accessunit.Feed
	order  *accessunit.Reorder // of the video over UDP
	flood  flood               // of the payload
	source uint32              // SSRC of the video
	former uint32              // the one before, if it had numbers of its own
	turned time.Time

	traffic traffic               // over the connections
	ended   chan error            // why, from the first who knows
	broken  atomic.Pointer[error] // why we broke it off in the middle of what comes
	leaving sync.Once
}

func (s *session) newClient() *gortsplib.Client {
	transport := gortsplib.TransportTCP
	if s.udp {
		transport = gortsplib.TransportUDP
	}
	return &gortsplib.Client{
		Scheme: s.url.Scheme, Host: s.url.Host,
		Transport: &transport, WriteTimeout: rtspTimeout,
		// The library would end sessions too early, as it counts whole seconds of a clock that may be
		// set, and sees few of the packets. gatheredConn and watch take care of silence.
		ReadTimeout: forever,
		TLSConfig:   trust(s.url.Hostname(), s.pinned, s.roots),
		UserAgent:   "kvs-edge-agent",
		DialContext: s.dial, ListenPacket: s.listenPacket,
		OnRequest: s.keeper.request, OnResponse: s.keeper.response,
		OnServerRequest: s.keeper.asked, OnServerResponse: s.keeper.answer,
		// The assembler finds out by itself what is missing; it only matters there.
		OnPacketsLost: func(uint64) {},
		OnDecodeError: s.takeOdd,
	}
}

// dial connects to the camera, or to where it redirects us.
func (s *session) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if s.connections++; s.connections > 1+maxRedirects {
		return nil, errRedirects
	}
	dialer := net.Dialer{
		Timeout:         rtspTimeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: stallLimit, Interval: stallLimit / 2, Count: 3},
	}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	s.line.Store(&conn)
	s.keeper.connect(s.client.Scheme, address)
	if remote, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		s.peer = remote.IP
	}
	gathered := &gatheredConn{Conn: conn, playing: &s.keeper.playing, came: s.came}
	if s.client.Scheme == "rtsp" { // a redirect may change it
		gathered.tap = &s.tap
	}
	return gathered, nil
}

// run sets up, plays, and watches over the session.
func (s *session) run(ctx context.Context) error {
	err := s.open()
	if err == nil {
		err = s.watch(ctx)
	}
	s.close()
	// No callback comes any more.
	if s.feed != nil {
		s.takeLeftover()
		s.exclusively(s.order.Play) // should the camera not have answered
		s.feed.Contain(s.order.Flush)
		s.feed.Flush()
	}
	return err
}

// open brings the session to where the camera plays.
func (s *session) open() error {
	late := time.AfterFunc(s.openingLimit, s.close)
	err := s.setUp()
	if err == nil {
		s.listen()
		err = s.start()
	}
	if !late.Stop() {
		return errors.Join(context.DeadlineExceeded, err)
	}
	return err
}

// setUp asks the camera what it has, sets up what is recorded of that, and tells the sink.
func (s *session) setUp() error {
	var desc *description.Session
	err := s.keeper.again(func() (err error) { desc, _, err = s.client.Describe(s.keeper.target()); return err })
	if err != nil {
		return err
	}
	v, ok := chooseVideo(desc)
	if !ok {
		return &unsupportedError{codecs: codecs(desc)}
	}
	v.early = listenEarly(v.media, v.format)
	answer, err := s.setUpMedia(desc.BaseURL, v.media)
	if err != nil {
		return err
	}
	v.channel = channelOf(answer)
	if s.udp {
		s.keepLeftover(answer)
	}
	s.audio = s.setUpAudio(desc)
	if s.wrapCodec != nil {
		v.codec = s.wrapCodec(v.codec)
	}
	s.video = v
	s.to.Begin(v.codec, v.format.ClockRate(), v.sets, s.audio.track())
	s.feed = accessunit.NewFeed(v.codec, s.maxUnit, s.to)
	return nil
}

// setUpAudio gives nil when no audio is to be recorded, or none can be.
func (s *session) setUpAudio(desc *description.Session) *audio {
	if !s.wantsAudio {
		return nil
	}
	a, left := chooseAudio(desc)
	s.to.AudioLeft(left)
	if a == nil {
		return nil
	}
	a.early = listenEarly(a.media, a.format)
	answer, err := s.setUpMedia(desc.BaseURL, a.media)
	if err != nil {
		return nil // video does not suffer for it
	}
	a.channel = channelOf(answer)
	return a
}

func (s *session) setUpMedia(baseURL *base.URL, m *description.Media) (answer *base.Response, err error) {
	err = s.keeper.again(func() (err error) { answer, err = s.client.Setup(baseURL, m, 0, 0); return err })
	return answer, err
}

// start makes the camera play.
func (s *session) start() error {
	var answer *base.Response
	if err := s.keeper.again(func() (err error) { answer, err = s.client.Play(nil); return err }); err != nil {
		return err
	}
	s.keeper.playing.Store(true)
	if !s.udp {
		return nil
	}
	s.exclusively(func() {
		if sequence, timestamp, ok := announced(answer, s.video.media); ok {
			s.order.Announce(sequence, func() { s.feed.Expect(sequence, timestamp) })
		}
		s.order.Play()
	})
	return nil
}

// watch waits for the end of the session, and ends one that brings nothing. No callback comes any
// more when it returns.
func (s *session) watch(ctx context.Context) error {
	go func() { s.end(s.client.Wait()) }() // ends with client.Close at the latest
	defer s.close()                        // waits for the last callback
	ticker := time.NewTicker(stallCheck)
	defer ticker.Stop()
	last, lastChange := accessunit.Progress{}, time.Now()
	for {
		select {
		case err := <-s.ended:
			return err
		case <-ctx.Done():
			s.leave() // or waits until the other who does has
			return ctx.Err()
		case <-ticker.C:
			var now accessunit.Progress
			s.exclusively(func() { s.order.Expire(s.now()) })
			s.exclusively(func() { now = s.feed.Progress() })
			if now.After(last) {
				last, lastChange = now, time.Now()
			} else if time.Since(lastChange) >= stallLimit {
				s.leave() // it may have gone on a moment ago
				return errStall
			}
		}
	}
}

// leave ends a session that we want no longer. Frames that the camera has sent are still on their
// way, or lie in the socket until it is read next: the answer to a PAUSE comes behind them, and a
// refusal as well as a consent (RFC 2326, section 10.6).
func (s *session) leave() {
	s.leaving.Do(func() {
		if s.keeper.playing.Load() {
			s.soon(s.close, func() {
				_ = s.keeper.again(func() error { _, err := s.client.Pause(); return err }) // a camera need not know it
			})
		}
		s.close()
	})
}

// close ends the session as it is, and waits for the last callback. The library hears nothing in a TLS
// handshake or in a write: then it finds the line closed.
func (s *session) close() {
	hangUp := func() {
		if line := s.line.Load(); line != nil {
			_ = (*line).Close()
		}
	}
	s.soon(hangUp, s.client.Close)
}

// soon does what waits for the camera, and ends that when it takes longer than farewell. While the
// disk holds us up, it is not the camera that takes so long.
func (s *session) soon(end, do func()) {
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(farewell):
			}
			if s.mu.TryLock() {
				s.mu.Unlock()
				end()
				return
			}
		}
	}()
	do()
}

// came counts what a connection brought.
func (s *session) came(n int) error {
	err := s.traffic.add(n, s.keeper.stage(), time.Now())
	if err != nil {
		s.breakOff(err)
	}
	return err
}

// breakOff ends the session as it is, from within what reads it.
func (s *session) breakOff(err error) {
	if !s.broken.CompareAndSwap(nil, &err) {
		return
	}
	s.end(err)
	if line := s.line.Load(); line != nil {
		_ = (*line).Close()
	}
}

// end tells why the session ends, unless that is known.
func (s *session) end(err error) {
	select {
	case s.ended <- err:
	default:
	}
}
