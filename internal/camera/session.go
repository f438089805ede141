package camera

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/pion/rtp"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/answer"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/multiplex"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/reception"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/sdp"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/traffic"
)

// clientConfig configures sessions with a camera.
type clientConfig struct {
	Options // with defaults
	endpoint
	over    carrier // of RTSP
	memory  *memory // of the camera; includes the transport to ask for
	refused *refusals
}

// session is one session with a camera.
type session struct {
	clientConfig
	client       *gortsplib.Client
	conversation conversation
	hooks        requestHooks
	web          *webLogin // of the tunnel
	tap          tap
	to           accessunit.Sink
	conn         atomic.Pointer[net.Conn] // the last connection
	peer         netip.Addr               // the camera's address
	local        netip.Addr               // the hub's address
	inject       atomic.Pointer[func(channel int, packet []byte)]

	// The tracks that were set up.
	video video
	audio *sound // nil: none is recorded

	audioRefused bool // the camera refuses to send its audio

	receiver receiver
	silence  reception.Silence
	ssrc     uint32                // of the agent's reports
	reported time.Time             // when the last report was sent
	stranger string                // address of another sender whose packets look like a track's, "" for none
	metering sync.Mutex            // guards traffic
	traffic  traffic.Meter         // over all connections
	ended    chan error            // the first reason for its end
	aborted  atomic.Pointer[error] // why the reading was aborted
	pausing  sync.Once
}

// playOver runs one session with the camera until it ends, and returns why it did.
func (c clientConfig) playOver(ctx context.Context, to accessunit.Sink) (*session, error) {
	if c.over.tunnel && c.url.Scheme == "rtsps" { // the library would open TLS within the tunnel
		c.url = c.url.Clone()
		c.url.Scheme, c.url.Host = "rtsp", c.host
	}
	s := &session{
		clientConfig: c, to: to,
		hooks: requestHooks{
			at: c.url.CloneWithoutCredentials(), login: newLogin(c.endpoint, &c.memory.password), keepalive: &c.memory.keepalive,
			messages: traffic.NewMessageLimit(),
		},
		traffic: traffic.NewMeter(c.Limits.Bytes),
		ended:   make(chan error, 1),
		ssrc:    rand.Uint32(),
	}
	s.receiver.to, s.receiver.now, s.receiver.fail = to, c.Now, s.fail
	s.receiver.payload, s.conversation.dropped = traffic.NewPayloadLimit(c.Limits.Bytes), traffic.NewMessageLimit()
	s.hooks.abort = s.abort
	s.tap.repair, s.tap.dropped = s.conversation.repair, s.dropMessage
	s.web = newWebLogin(c.endpoint, &c.memory.webPassword, &s.hooks.login)
	s.tap.foreign, s.tap.now = s.abort, c.Now
	s.client = s.newClient()
	if err := s.client.Start2(); err != nil {
		return s, err
	}
	defer s.stopUDP()
	defer s.close()
	stop := context.AfterFunc(ctx, s.pauseAndClose)
	defer stop()
	err := s.run(ctx)
	if other := new(sdp.OtherFormatError); errors.As(err, &other) {
		s.memory.videoType = other.PayloadType
	}
	aborted := s.aborted.Load()
	s.hooks.end(ctx.Err() == nil && aborted == nil && byCamera(err), s.silence.Heard())
	if ctx.Err() != nil {
		return s, ctx.Err()
	}
	if aborted != nil {
		err = *aborted // other errors follow from it
	}
	if s.over.tunnel {
		err = s.tunnelFault(err)
	}
	return s, translate(err)
}

// userAgent is the agent's name in requests and reports (RFC 3550, section 6.5.1).
const userAgent = "kvs-edge-agent"

func (s *session) newClient() *gortsplib.Client {
	transport := gortsplib.TransportTCP // see delivery
	return &gortsplib.Client{
		Scheme: s.url.Scheme, Host: s.url.Host,
		Transport: &transport, WriteTimeout: s.Limits.Answer,
		// The library would end sessions too early, as it counts whole seconds of a clock that may be
		// set, and sees few of the packets. conn.Conn and watch detect silence instead.
		ReadTimeout: math.MaxInt64,
		UserAgent:   userAgent,
		DialContext: s.dial,
		OnRequest:   s.request, OnResponse: s.response,
		OnServerRequest: s.hooks.serverRequest, OnServerResponse: s.hooks.serverResponse,
		// The assembler detects missing packets by itself.
		OnPacketsLost: func(uint64) {},
		OnDecodeError: s.receiver.takeUnreadable,
	}
}

// run sets up, plays, and watches the session.
func (s *session) run(ctx context.Context) error {
	err := s.open()
	if err == nil {
		err = s.watch(ctx)
	}
	s.close()
	s.stopUDP()
	// No more callbacks arrive.
	if s.receiver.playing() {
		s.receiver.end()
	}
	return err
}

// open takes the session up to the point where the camera plays.
func (s *session) open() error {
	late := time.AfterFunc(s.Limits.Opening, s.close)
	err := s.setUp()
	if err == nil {
		s.listen()
		err = s.begin()
	}
	if !late.Stop() {
		return errors.Join(context.DeadlineExceeded, err)
	}
	return err
}

// setUp reads the camera's description, sets up the tracks to record, and starts the session of the sink.
func (s *session) setUp() error {
	var desc *description.Session
	err := s.hooks.repeat(func() (err error) { desc, _, err = s.client.Describe(s.hooks.target()); return err })
	if err != nil {
		return err
	}
	described := s.conversation.described()
	v, ok := chooseVideo(desc, described, s.memory.videoType)
	if !ok {
		return &unsupportedError{codecs: described.OtherVideo}
	}
	for _, f := range slices.Clone(v.media.Formats) { // a camera may send any of its formats
		v.early = append(v.early, listenEarly(v.media, f, s.Now))
	}
	if v.delivery, err = s.setUpVideo(desc.BaseURL, v.media, described); err != nil {
		return err
	}
	if s.video = v; v.multiplex {
		s.receiver.beginMultiplex(v, multiplex.Options{MaxBytes: s.Limits.AccessUnit, NoAudio: s.NoAudio, WrapCodec: s.WrapCodec})
		return nil
	}
	s.audio = s.setUpAudio(desc, described)
	if s.WrapCodec != nil {
		v.codec = s.WrapCodec(v.codec)
	}
	s.video = v
	s.to.Begin(v.codec, v.clock, v.sets, s.audio.track())
	s.to.LeftOut(s.leftOut(described))
	s.receiver.begin(v, s.audio, s.Limits.AccessUnit)
	return nil
}

// setUpAudio returns nil when no audio is to be recorded, or none can be.
func (s *session) setUpAudio(desc *description.Session, described answer.Described) *sound {
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
	a.early = listenEarly(a.media, a.format, s.Now)
	d, err := s.setUpMedia(desc.BaseURL, a.media, described.AudioURLs, described.Audio.Delivery)
	if err != nil {
		s.audioRefused = true
		return nil // the video is recorded all the same
	}
	a.delivery = d
	return a
}

// listen registers the handlers of packets that arrive once the camera plays.
func (s *session) listen() {
	v := s.video.delivery
	s.tap.plain.Store(!v.secure)
	s.receiveReports(v, s.receiver.takeReport)
	for _, e := range s.video.early {
		if v.udp {
			e.take = s.receiver.takeUDP
		} else {
			s.receive(v, e, s.receiver.takeTCP, s.tap.followAll)
		}
	}
	if v.udp {
		s.start(v, s.receiver.takeUDP)
	}
	if s.audio == nil {
		return
	}
	a := s.audio.delivery
	s.receiveReports(a, s.receiver.takeAudioReport)
	if a.udp {
		s.audio.early.take = s.receiver.takeAudioUDP
		s.start(a, s.receiver.takeAudioUDP)
	} else {
		s.receive(a, s.audio.early, s.receiver.takeAudioTCP, s.tap.follow)
	}
}

// receive passes the packets of a track to take. Most are taken by the tap, before the library, unless the library
// has to decrypt them.
func (s *session) receive(d *delivery, e *earlyFormat, take taker, follow follower) {
	if d.secure {
		e.take = take
		return
	}
	e.take = func(p *rtp.Packet, now time.Time) {
		take(p, now)
		follow(d.channel, p, take)
	}
}

// begin asks the camera to play.
func (s *session) begin() error {
	response, err := s.askToPlay()
	if err != nil {
		return err
	}
	s.hooks.begin()
	if !s.video.delivery.udp {
		return nil
	}
	sequence, timestamp, ok := announced(response, s.conversation.described())
	s.receiver.play(sequence, timestamp, ok)
	return nil
}

// watch waits for the end of the session, and ends one without video. No more callbacks
// arrive when it returns.
func (s *session) watch(ctx context.Context) error {
	go func() { s.fail(s.client.Wait()) }() // returns at client.Close at the latest
	defer s.close()                         // waits for the last callback
	ticker := time.NewTicker(s.Limits.StallCheck)
	defer ticker.Stop()
	last := accessunit.Progress{}
	s.silence = reception.NewSilence(s.Limits.Stall, s.Limits.StallCheck, time.Now())
	for {
		select {
		case err := <-s.ended:
			return err
		case <-ctx.Done():
			s.pauseAndClose() // or waits until the other caller has
			return ctx.Err()
		case <-ticker.C:
			s.report(time.Now())
			if s.silence.Late(time.Now()) {
				continue
			}
			if now := s.receiver.progress(); now.After(last) {
				last = now
				s.silence.Broken(time.Now())
			} else if s.silence.TooLong(time.Now()) {
				s.pauseAndClose() // video may have arrived a moment ago
				return s.receiver.reason(s.stalled())
			}
		}
	}
}

// pauseAndClose ends a session that is no longer wanted. Frames that the camera has sent are still on their
// way, or in the socket until it is read next: the answer to a PAUSE arrives after them, be it a
// refusal or a consent (RFC 2326, section 10.6).
func (s *session) pauseAndClose() {
	s.pausing.Do(func() {
		if s.hooks.playing.Load() {
			s.withTimeout(s.close, func() {
				_ = s.hooks.repeat(func() error { _, err := s.client.Pause(); return err }) // a camera need not support it
			})
		}
		s.close()
	})
}

// close ends the session at once, and waits for the last callback. The library notices nothing in a TLS
// handshake or in a write: closing the connection ends these.
func (s *session) close() {
	hangUp := func() {
		if conn := s.conn.Load(); conn != nil {
			_ = (*conn).Close()
		}
	}
	s.withTimeout(hangUp, s.client.Close)
}

// closeParts is the number of parts in which Limits.Close is waited for: a hub that does not run for a while has waited for one of them.
const closeParts = 8

// withTimeout calls do, which waits for the camera, and calls abandon when that takes longer than Limits.Close. The time for which
// the disk blocks the session does not count.
func (s *session) withTimeout(abandon, do func()) {
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			for range closeParts {
				select {
				case <-done:
					return
				case <-time.After(s.Limits.Close / closeParts):
				}
			}
			if !s.receiver.busy() {
				abandon()
				return
			}
		}
	}()
	do()
}

// meter counts the bytes that a connection received.
func (s *session) meter(n int) error {
	stage := s.hooks.stage()
	s.metering.Lock()
	defer s.metering.Unlock()
	return s.traffic.Add(n, stage, time.Now())
}

// countBytes counts the bytes that the library reads from the connection.
func (s *session) countBytes(n int) error {
	err := s.meter(n)
	if err != nil {
		s.abort(err)
	}
	return err
}

// abort ends the session at once, from within its reader.
func (s *session) abort(err error) {
	if !s.aborted.CompareAndSwap(nil, &err) {
		return
	}
	s.fail(err)
	if conn := s.conn.Load(); conn != nil {
		_ = (*conn).Close()
	}
}

// fail sets the reason for the session's end, unless there is one.
func (s *session) fail(err error) {
	select {
	case s.ended <- err:
	default:
	}
}
