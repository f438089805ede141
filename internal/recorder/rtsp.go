package recorder

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"net"
	neturl "net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/auth"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtpmpeg4audio"
	"github.com/bluenviron/gortsplib/v4/pkg/headers"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
)

// This is the only file of the recorder that knows the RTSP library.

const (
	// stallLimit is how long a session may bring no video.
	stallLimit = 10 * time.Second
	// stallCheck is how often that is looked at.
	stallCheck = time.Second
	// rtspTimeout bounds connecting, and the wait for an answer.
	rtspTimeout = 10 * time.Second
	// openingLimit bounds all of it until the camera plays.
	openingLimit = 30 * time.Second
	// farewell bounds the wait for what a camera sent before it was told that the session ends.
	farewell = 2 * time.Second
	// sourceLife is how long an encoder goes on with an SSRC at least.
	sourceLife = time.Second
	// udpSpace is asked of the system for packets that wait in a socket, in bytes.
	udpSpace = 4 << 20
)

// camera is what of a URL may be shown, and what of it may not.
type camera struct {
	url    *base.URL
	host   string             // host and port
	pinned *[sha256.Size]byte // of its certificate, nil when none is
}

func parseCamera(url secret.String) (camera, error) {
	u, err := base.ParseURL(url.Reveal())
	if err != nil {
		u, err = base.ParseURL(escapeUser(url.Reveal()))
	}
	if scheme, _, _ := strings.Cut(url.Reveal(), "://"); strings.EqualFold(scheme, "file") {
		return camera{}, health.UserFault(codeCamera, nil, "The MediaURI in the secret is that of a file, but the configuration says RTSP_URI: set its MediaUriType to FILE_URI.")
	}
	if err != nil || u.Host == "" { // the error would quote the URL with its password
		return camera{}, health.UserFault(codeCamera, nil, "The MediaURI in the camera's secret is not a URL such as rtsp://user:password@192.168.1.20:554/path: correct it.")
	}
	host := u.Host
	if u.Port() == "" {
		port := "554"
		if u.Scheme == "rtsps" {
			port = "322"
		}
		host = net.JoinHostPort(u.Hostname(), port)
	}
	cam := camera{url: u, host: host}
	query := (*neturl.URL)(u).Query()
	if text := query.Get(fingerprintParameter); text != "" && u.Scheme == "rtsps" {
		sum, ok := parseFingerprint(text)
		if !ok {
			return camera{}, health.UserFault(codeCamera, nil, "The fingerprint in the MediaURI of the camera at %s is not a SHA-256 of 64 hexadecimal digits: correct it.", host)
		}
		cam.pinned = &sum
		query.Del(fingerprintParameter)
		u.RawQuery = query.Encode()
	}
	return cam, nil
}

// escapeUser escapes a password that was put into a URL as it is.
func escapeUser(raw string) string {
	scheme, rest, _ := strings.Cut(raw, "://")
	at := strings.LastIndexByte(rest, '@')
	if at < 0 {
		return raw
	}
	user, password, _ := strings.Cut(rest[:at], ":")
	return scheme + "://" + neturl.UserPassword(user, password).String() + rest[at:]
}

// dialogue is how to talk to a camera.
type dialogue struct {
	camera
	udp        bool // RTP over UDP instead of TCP
	wantsAudio bool // when the camera has it
	roots      *x509.CertPool
	maxBytes   int64 // of RTP payload within floodWindow
	maxUnit    int   // bytes; see maxUnit
	now        func() time.Time

	openingLimit time.Duration // see openingLimit

	wrapCodec func(codec) codec // for tests; nil: none
}

// maxRedirects is how often a camera may send us elsewhere.
const maxRedirects = 3

// play runs one session with the camera until it ends, and says why.
func (d dialogue) play(ctx context.Context, to sink) error {
	s := &session{
		dialogue: d, to: to,
		keeper: keeper{url: d.url},
		flood:  flood{limit: d.maxBytes},
		ended:  make(chan error, 1),
	}
	s.tap.readable = readable
	s.order = newReorder(s.push)
	s.client = s.newClient()
	if err := s.client.Start2(); err != nil {
		return err
	}
	defer func() { s.leftover.close() }()
	defer s.close()
	stop := context.AfterFunc(ctx, s.leave)
	defer stop()
	err := s.run(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return translate(err)
}

// session is one session with a camera.
type session struct {
	dialogue
	client      *gortsplib.Client
	connections int // so far: a redirect takes another one
	keeper      keeper
	tap         tap
	to          sink
	line        atomic.Pointer[net.Conn] // the last connection
	peer        net.IP                   // its other end
	sockets     [2]*net.UDPConn          // the last ones: RTP and RTCP of the medium that was set up last
	leftover    *leftover                // of the video; nil: none

	// What was set up.
	video video
	audio *audio // nil: none is recorded

	mu     sync.Mutex // of what comes in: over UDP video and audio arrive on goroutines of their own
	intake *intake
	order  *reorder // of the video over UDP
	flood  flood
	source uint32 // SSRC of the video
	former uint32 // the one before, if it had numbers of its own
	turned time.Time

	ended   chan error // why, from the first who knows
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
		OnDecodeError: func(error) {},
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
	if remote, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		s.peer = remote.IP
	}
	gathered := &gatheredConn{Conn: conn, playing: &s.keeper.playing}
	if s.client.Scheme == "rtsp" { // a redirect may change it
		gathered.tap = &s.tap
	}
	return gathered, nil
}

// listenUDP opens a socket with room for what comes while this machine is busy: the usual 208 KiB hold
// about 90 packets, fewer than one keyframe can have. The system grants as much as net.core.rmem_max.
func listenUDP(network, address string) (net.PacketConn, error) {
	conn, err := net.ListenPacket(network, address)
	if udp, ok := conn.(*net.UDPConn); ok && err == nil {
		_ = udp.SetReadBuffer(udpSpace) // it works with less, most of the time
	}
	return conn, err
}

// listenPacket opens a socket for the library, and remembers it.
func (s *session) listenPacket(network, address string) (net.PacketConn, error) {
	conn, err := listenUDP(network, address)
	if udp, ok := conn.(*net.UDPConn); ok && err == nil {
		s.sockets[0], s.sockets[1] = s.sockets[1], udp
	}
	return conn, err
}

// keepLeftover sees to it that what lies in the socket of the video, which was set up just now, is
// there when the session has ended. What is encrypted is of no use.
func (s *session) keepLeftover(answer *base.Response) {
	var t headers.Transport
	if t.Unmarshal(answer.Header["Transport"]) != nil || t.ServerPorts == nil || s.sockets[0] == nil || s.client.Scheme != "rtsp" {
		return
	}
	ip := s.peer
	if t.Source != nil {
		ip = *t.Source
	}
	s.leftover = newLeftover(s.sockets[0], ip, t.ServerPorts[0])
}

// takeLeftover takes what came while the session ended.
func (s *session) takeLeftover() {
	s.leftover.take(func(datagram []byte) {
		var p rtp.Packet
		if p.Unmarshal(datagram) == nil && p.PayloadType == s.video.format.PayloadType() {
			s.takeUDP(&p)
		}
	})
}

// run sets up, plays, and watches over the session.
func (s *session) run(ctx context.Context) error {
	err := s.open()
	if err == nil {
		err = s.watch(ctx)
	}
	s.close()
	// No callback comes any more.
	if s.intake != nil {
		s.takeLeftover()
		s.exclusively(s.order.play) // should the camera not have answered
		s.intake.besides(s.order.flush)
		s.intake.flush()
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
	desc, _, err := s.client.Describe(s.url)
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
	s.to.begin(v.codec, v.format.ClockRate(), v.sets, s.audio.track())
	s.intake = newIntake(v.codec, s.maxUnit, s.to)
	return nil
}

// setUpAudio gives nil when no audio is to be recorded, or none can be.
func (s *session) setUpAudio(desc *description.Session) *audio {
	if !s.wantsAudio {
		return nil
	}
	a, left := chooseAudio(desc)
	s.to.audioLeft(left)
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
			s.order.announce(sequence, func() { s.intake.expect(sequence, timestamp) })
		}
		s.order.play()
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
	last, lastChange := progressed{}, time.Now()
	for {
		select {
		case err := <-s.ended:
			return err
		case <-ctx.Done():
			s.leave() // or waits until the other who does has
			return ctx.Err()
		case <-ticker.C:
			var now progressed
			s.exclusively(func() { s.order.expire(s.now()) })
			s.exclusively(func() { now = s.intake.progress() })
			if now.after(last) {
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

// end tells why the session ends, unless that is known.
func (s *session) end(err error) {
	select {
	case s.ended <- err:
	default:
	}
}

// exclusively does something while nothing else comes in. The library calls from goroutines of its
// own, where a panic would end the process: it is contained.
func (s *session) exclusively(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.intake.besides(do)
}

// takeTCP takes a packet of the video.
func (s *session) takeTCP(p *rtp.Packet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.push(packetOf(p), s.now())
}

// takeUDP takes a packet of the video, in whatever order they come.
func (s *session) takeUDP(p *rtp.Packet) {
	s.exclusively(func() { s.order.take(packetOf(p), s.now()) })
}

// push takes the next packet of the video in order. It survives a panic by itself, as intake counts
// what that costs.
func (s *session) push(p packet, now time.Time) {
	if p.source != s.source {
		s.turn(p, now)
	}
	s.intake.enter(p.sequence, p.timestamp)
	defer s.intake.survive()
	err := s.intake.push(p, now)
	if err == nil {
		err = s.flood.add(len(p.payload), now)
	}
	if err != nil {
		s.end(err)
	}
}

// turn goes on to another source. Two that take turns are an old session's and ours.
func (s *session) turn(p packet, now time.Time) {
	if s.intake.turn(p.sequence) {
		if p.source == s.former && now.Sub(s.turned) < sourceLife {
			s.end(errStale)
		}
		s.former, s.turned = s.source, now
	}
	s.source = p.source
}

// takeReport takes the camera's time out of what comes over RTCP beside the video.
func (s *session) takeReport(p rtcp.Packet) {
	s.exclusively(func() {
		if report, ok := p.(*rtcp.SenderReport); ok && report.SSRC == s.source {
			s.to.cameraTime(ntpTime(report.NTPTime), report.RTPTime)
		}
	})
}

// takeAudio takes a packet of the audio.
func (s *session) takeAudio(p *rtp.Packet) {
	s.exclusively(func() {
		s.audio.take(p, func(frame []byte, rtpTime uint32) { s.to.audio(frame, rtpTime, s.now()) })
	})
}

func packetOf(p *rtp.Packet) packet {
	return packet{p.SequenceNumber, p.Timestamp, p.Marker, p.Payload, p.SSRC}
}

// keeper does what the library leaves out: it answers a new nonce in mid-session, finds the keepalive
// that a camera takes, and lets a camera ask what it likes.
type keeper struct {
	url     *base.URL
	ask     base.Method // of the request that the camera made; only the library's main goroutine uses it
	mu      sync.Mutex
	sender  *auth.Sender
	renewed bool // the nonce is new since the last request that was not a keepalive
	playing atomic.Bool
	odd     bool // the camera refused the last keepalive
}

func (k *keeper) request(r *base.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.playing.Load() && k.odd {
		switch r.Method {
		case base.GetParameter:
			r.Method = base.Options
		case base.Options:
			r.Method = base.GetParameter
		}
	}
	if k.sender != nil {
		k.sender.AddAuthorization(r)
	}
}

func (k *keeper) response(r *base.Response) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r.StatusCode == base.StatusUnauthorized && k.url.User != nil {
		password, _ := k.url.User.Password()
		sender := &auth.Sender{WWWAuth: r.Header["WWW-Authenticate"], User: k.url.User.Username(), Pass: password}
		if sender.Initialize() == nil {
			k.renewed = k.sender != nil
			k.sender = sender
		}
		return
	}
	if k.playing.Load() && r.StatusCode >= base.StatusBadRequest {
		k.odd = !k.odd // the other one next time
	}
	// Cameras end sessions earlier than they announce: keepalives come twice as often as they have to.
	var session headers.Session
	if v, ok := r.Header["Session"]; ok && session.Unmarshal(v) == nil && session.Timeout != nil && *session.Timeout > 1 {
		*session.Timeout /= 2
		r.Header["Session"] = session.Marshal()
	}
}

// asked takes a request of the camera (RFC 2326, section 10). The library would end the session for
// all but OPTIONS, and lose what lies in the socket.
func (k *keeper) asked(r *base.Request) {
	k.ask = r.Method
	r.Method = base.Options
}

// answer consents to what asks whether we live, and says of all else that we do not know it.
func (k *keeper) answer(r *base.Response) {
	switch k.ask {
	case base.Options, base.GetParameter, base.SetParameter:
	default:
		r.StatusCode = base.StatusNotImplemented
	}
}

// again repeats a request when the camera refused it for its nonce's age.
func (k *keeper) again(request func() error) error {
	err := request()
	var answer liberrors.ErrClientBadStatusCode
	k.mu.Lock()
	renewed := k.renewed
	k.renewed = false
	k.mu.Unlock()
	if renewed && errors.As(err, &answer) && answer.Code == base.StatusUnauthorized {
		return request()
	}
	return err
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

// video is the track of a camera that is recorded.
type video struct {
	media   *description.Media
	channel int // of its RTP packets, once it is set up
	format  format.Format
	early   *earlyFormat
	codec   codec
	sets    [][]byte // of the session description
}

// chooseVideo takes the first track that can be recorded: cameras put the one they were asked for
// before others.
func chooseVideo(desc *description.Session) (v video, ok bool) {
	for _, m := range desc.Medias {
		if m.IsBackChannel {
			continue
		}
		for _, f := range m.Formats {
			switch f := f.(type) {
			case *format.H264:
				sps, pps := f.SafeParams()
				return video{media: m, format: f, codec: avc{}, sets: present(sps, pps)}, true
			case *format.H265:
				vps, sps, pps := f.SafeParams()
				return video{media: m, format: f, codec: hevc{}, sets: present(vps, sps, pps)}, true
			}
		}
	}
	return video{}, false
}

// audio is the track of a camera that is recorded beside its video.
type audio struct {
	media   *description.Media
	channel int // of its RTP packets, once it is set up
	format  format.Format
	early   *earlyFormat
	about   audioTrack
	decoder *rtpmpeg4audio.Decoder // nil: a packet is a frame
}

// chooseAudio takes the first audio track that KVS takes, or names those that it does not.
func chooseAudio(desc *description.Session) (taken *audio, left []string) {
	for _, m := range desc.Medias {
		if m.IsBackChannel {
			continue
		}
		for _, f := range m.Formats {
			switch f := f.(type) {
			case *format.G711:
				taken = &audio{media: m, format: f, about: g711Track(f.MULaw, f.SampleRate, f.ChannelCount)}
				return taken, nil
			case *format.MPEG4Audio:
				config, err := f.Config.Marshal()
				if err != nil {
					continue
				}
				about, ok := aacTrack(config, f.Config.SampleRate, f.Config.ChannelCount)
				decoder, err := f.CreateDecoder()
				if ok && err == nil {
					about.rate = f.ClockRate()
					return &audio{media: m, format: f, about: about, decoder: decoder}, nil
				}
				left = append(left, "AAC with "+strconv.Itoa(f.Config.ChannelCount)+" channels")
			default:
				if m.Type == description.MediaTypeAudio {
					left = append(left, codecName(f))
				}
			}
		}
	}
	return nil, left
}

func (a *audio) track() *audioTrack {
	if a == nil {
		return nil
	}
	return &a.about
}

// take gives out the frames of a packet.
func (a *audio) take(p *rtp.Packet, give func(frame []byte, rtpTime uint32)) {
	if a.decoder == nil {
		if len(p.Payload) > 0 {
			give(p.Payload, p.Timestamp)
		}
		return
	}
	if !p.Marker { // a fragment, which the decoder keeps
		p.Payload = slices.Clone(p.Payload)
	}
	frames, err := a.decoder.Decode(p)
	if err != nil {
		return // more is to come, or it is broken: silence does no harm
	}
	for i, frame := range frames {
		give(frame, p.Timestamp+uint32(i*mpeg4audio.SamplesPerAccessUnit))
	}
}

func present(sets ...[]byte) [][]byte {
	return slices.DeleteFunc(sets, func(set []byte) bool { return len(set) == 0 })
}

// codecs names what a camera offers of video.
func codecs(desc *description.Session) []string {
	var names []string
	for _, m := range desc.Medias {
		for _, f := range m.Formats {
			if name := codecName(f); m.Type == description.MediaTypeVideo && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

func codecName(f format.Format) string {
	switch f.(type) {
	case *format.MJPEG:
		return "MJPEG"
	case *format.Generic:
		return "an unknown codec (" + f.RTPMap() + ")"
	default:
		return f.Codec()
	}
}

// translate hides the library's error types from the rest of the recorder.
func translate(err error) error {
	var answer liberrors.ErrClientBadStatusCode
	if errors.As(err, &answer) {
		return &statusError{code: int(answer.Code), message: answer.Message}
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
