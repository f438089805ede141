package camera

import (
	"context"
	"errors"
	"math"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"
	"github.com/pion/rtp"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/answer"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/multiplex"
)

// clientConfig is how to talk to a camera.
type clientConfig struct {
	Options // with defaults
	endpoint
	udp    bool    // RTP over UDP instead of TCP
	memory *memory // of the camera
}

// session is one session with a camera.
type session struct {
	clientConfig
	client   *gortsplib.Client
	dialogue dialogue
	hooks    requestHooks
	tap      tap
	to       accessunit.Sink
	conn     atomic.Pointer[net.Conn] // the last connection
	peer     net.IP                   // its other end
	sockets  udpSockets

	// What was set up.
	video video
	audio *audio // nil: none is recorded

	receiver receiver
	heard    time.Time             // when video came last, about
	traffic  traffic               // over the connections
	ended    chan error            // why, from the first who knows
	aborted  atomic.Pointer[error] // why we ended it in the middle of what comes
	pausing  sync.Once
}

// play runs one session with the camera until it ends, and says why.
func (c clientConfig) play(ctx context.Context, to accessunit.Sink) error {
	s := &session{
		clientConfig: c, to: to,
		hooks: requestHooks{
			at: c.url.CloneWithoutCredentials(), login: newLogin(c.endpoint, &c.memory.password), keepalive: &c.memory.keepalive,
			messages: newMessageLimit(),
		},
		traffic: newTraffic(c.Limits.Bytes),
		ended:   make(chan error, 1),
	}
	s.receiver.to, s.receiver.now, s.receiver.fail = to, c.Now, s.fail
	s.receiver.payload, s.dialogue.dropped = newRateLimit(c.Limits.Bytes), newMessageLimit()
	s.hooks.abort = s.abort
	s.tap.mend, s.tap.dropped = s.dialogue.mend, s.dropMessage
	s.client = s.newClient()
	if err := s.client.Start2(); err != nil {
		return err
	}
	defer s.sockets.close()
	defer s.close()
	stop := context.AfterFunc(ctx, s.pauseAndClose)
	defer stop()
	err := s.run(ctx)
	aborted := s.aborted.Load()
	s.hooks.end(ctx.Err() == nil && aborted == nil && byCamera(err), s.heard)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if aborted != nil {
		err = *aborted // what else failed follows from it
	}
	return translate(err)
}

func (s *session) newClient() *gortsplib.Client {
	transport := gortsplib.TransportTCP
	if s.udp {
		transport = gortsplib.TransportUDP
	}
	return &gortsplib.Client{
		Scheme: s.url.Scheme, Host: s.url.Host,
		Transport: &transport, WriteTimeout: s.Limits.Answer,
		// The library would end sessions too early, as it counts whole seconds of a clock that may be
		// set, and sees few of the packets. batchConn and watch take care of silence.
		ReadTimeout: math.MaxInt64,
		TLSConfig:   tlsConfig(s.url.Hostname(), s.pinned, s.Roots),
		UserAgent:   "kvs-edge-agent",
		DialContext: s.dial, ListenPacket: s.sockets.listen,
		OnRequest: s.request, OnResponse: s.hooks.response,
		OnServerRequest: s.hooks.serverRequest, OnServerResponse: s.hooks.serverResponse,
		// The assembler finds out by itself what is missing; it only matters there.
		OnPacketsLost: func(uint64) {},
		OnDecodeError: s.receiver.takeUnreadable,
	}
}

// run sets up, plays, and watches over the session.
func (s *session) run(ctx context.Context) error {
	err := s.open()
	if err == nil {
		err = s.watch(ctx)
	}
	s.close()
	// No callback comes any more.
	if s.receiver.begun() {
		s.sockets.drained(s.video.format.PayloadType(), s.receiver.takeUDP)
		s.receiver.end()
	}
	return err
}

// open brings the session to where the camera plays.
func (s *session) open() error {
	late := time.AfterFunc(s.Limits.Opening, s.close)
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

// setUp asks the camera what it has, sets up what is recorded of that, and begins the session of the sink.
func (s *session) setUp() error {
	var desc *description.Session
	err := s.hooks.repeat(func() (err error) { desc, _, err = s.client.Describe(s.hooks.target()); return err })
	if err != nil {
		return err
	}
	described := s.dialogue.described()
	v, ok := chooseVideo(desc, described)
	if !ok {
		return &unsupportedError{codecs: described.OtherVideo}
	}
	for _, f := range slices.Clone(v.media.Formats) { // a camera may send any of them
		v.early = append(v.early, listenEarly(v.media, f))
	}
	response, err := s.setUpMedia(desc.BaseURL, v.media, described.VideoURLs)
	if err != nil {
		return err
	}
	v.channel = channelOf(response)
	if s.udp && s.client.Scheme == "rtsp" { // what is encrypted is of no use
		s.sockets.keep(response, s.peer)
	}
	if s.video = v; v.multiplex {
		s.receiver.beginMultiplex(multiplex.Options{MaxBytes: s.Limits.AccessUnit, NoAudio: s.NoAudio, WrapCodec: s.WrapCodec})
		return nil
	}
	s.audio = s.setUpAudio(desc, described)
	if s.WrapCodec != nil {
		v.codec = s.WrapCodec(v.codec)
	}
	s.video = v
	s.to.Begin(v.codec, v.clock, v.sets, s.audio.track())
	s.receiver.begin(v.codec, s.Limits.AccessUnit)
	return nil
}

// setUpAudio returns nil when no audio is to be recorded, or none can be.
func (s *session) setUpAudio(desc *description.Session, described answer.Described) *audio {
	if s.NoAudio {
		return nil
	}
	a := chooseAudio(desc, described)
	if a == nil {
		s.to.UnsupportedAudio(described.OtherAudio)
	} else {
		s.to.UnsupportedAudio(nil)
	}
	if a == nil {
		return nil
	}
	a.early = listenEarly(a.media, a.format)
	response, err := s.setUpMedia(desc.BaseURL, a.media, described.AudioURLs)
	if err != nil {
		return nil // video does not suffer for it
	}
	a.channel = channelOf(response)
	return a
}

// listen has taken what comes once the camera plays.
func (s *session) listen() {
	s.client.OnPacketRTCP(s.video.media, s.receiver.takeReport)
	for _, e := range s.video.early {
		if s.udp {
			e.take = s.receiver.takeUDP
		} else {
			s.receive(s.video.media, e, s.video.channel, s.receiver.takeTCP)
		}
	}
	takeAudio := func(p *rtp.Packet) { s.receiver.takeAudio(s.audio, p) }
	switch {
	case s.audio == nil:
	case s.udp: // in the library's order
		s.client.OnPacketRTP(s.audio.media, s.audio.format, takeAudio)
	default:
		s.receive(s.audio.media, s.audio.early, s.audio.channel, takeAudio)
	}
}

// receive hands the packets on a channel to take. Most do not come by way of the library, but by the tap, unless the library
// has to decrypt them.
func (s *session) receive(m *description.Media, e *earlyFormat, channel int, take func(*rtp.Packet)) {
	if m.Secure && s.dialogue.scheme == "rtsps" {
		e.take = take
		return
	}
	e.take = func(p *rtp.Packet) {
		take(p)
		s.tap.follow(channel, p, take)
	}
}

// start makes the camera play.
func (s *session) start() error {
	response, err := s.askToPlay()
	if err != nil {
		return err
	}
	s.hooks.begin()
	if !s.udp {
		return nil
	}
	sequence, timestamp, ok := announced(response, s.dialogue.described())
	s.receiver.play(sequence, timestamp, ok)
	return nil
}

// watch waits for the end of the session, and ends one that brings nothing. No callback comes any
// more when it returns.
func (s *session) watch(ctx context.Context) error {
	go func() { s.fail(s.client.Wait()) }() // ends with client.Close at the latest
	defer s.close()                         // waits for the last callback
	ticker := time.NewTicker(s.Limits.StallCheck)
	defer ticker.Stop()
	last := accessunit.Progress{}
	s.heard = time.Now()
	for {
		select {
		case err := <-s.ended:
			return err
		case <-ctx.Done():
			s.pauseAndClose() // or waits until the other who does has
			return ctx.Err()
		case <-ticker.C:
			if now := s.receiver.progress(); now.After(last) {
				last, s.heard = now, time.Now()
			} else if time.Since(s.heard) >= s.Limits.Stall {
				s.pauseAndClose() // it may have gone on a moment ago
				return stalled(s.Limits.Stall)
			}
		}
	}
}

// pauseAndClose ends a session that we want no longer. Frames that the camera has sent are still on their
// way, or lie in the socket until it is read next: the answer to a PAUSE comes behind them, and a
// refusal as well as a consent (RFC 2326, section 10.6).
func (s *session) pauseAndClose() {
	s.pausing.Do(func() {
		if s.hooks.playing.Load() {
			s.withTimeout(s.close, func() {
				_ = s.hooks.repeat(func() error { _, err := s.client.Pause(); return err }) // a camera need not know it
			})
		}
		s.close()
	})
}

// close ends the session as it is, and waits for the last callback. The library hears nothing in a TLS
// handshake or in a write: then it finds the line closed.
func (s *session) close() {
	hangUp := func() {
		if conn := s.conn.Load(); conn != nil {
			_ = (*conn).Close()
		}
	}
	s.withTimeout(hangUp, s.client.Close)
}

// withTimeout does what waits for the camera, and gives up when that takes longer than Limits.Close. While the
// disk holds us up, it is not the camera that takes so long.
func (s *session) withTimeout(giveUp, do func()) {
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(s.Limits.Close):
			}
			if !s.receiver.busy() {
				giveUp()
				return
			}
		}
	}()
	do()
}

// countBytes counts what a connection brought.
func (s *session) countBytes(n int) error {
	err := s.traffic.add(n, s.hooks.stage(), time.Now())
	if err != nil {
		s.abort(err)
	}
	return err
}

// abort ends the session as it is, from within what reads it.
func (s *session) abort(err error) {
	if !s.aborted.CompareAndSwap(nil, &err) {
		return
	}
	s.fail(err)
	if conn := s.conn.Load(); conn != nil {
		_ = (*conn).Close()
	}
}

// fail says why the session ends, unless that is known.
func (s *session) fail(err error) {
	select {
	case s.ended <- err:
	default:
	}
}

// translate hides the library's error types from the rest of the package.
func translate(err error) error {
	var (
		refused liberrors.ErrClientBadStatusCode
		login   *loginError
	)
	if errors.As(err, &login) {
		return login
	}
	if errors.As(err, &refused) {
		return &statusError{code: int(refused.Code), message: refused.Message}
	}
	var frame liberrors.ErrClientUnexpectedFrame
	if errors.As(err, &frame) {
		return errors.Join(errStale, err)
	}
	var wantsUDP liberrors.ErrClientServerRequestedUDP
	var wantsTCP liberrors.ErrClientServerRequestedTCP
	var noPorts liberrors.ErrClientServerPortsNotProvided
	if errors.As(err, &wantsUDP) || errors.As(err, &wantsTCP) || errors.As(err, &noPorts) {
		return errors.Join(errTransport, err)
	}
	return err
}
