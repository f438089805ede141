package fakecam

import (
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam/script"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam/wire"
)

// like sets the options of a camera that a file describes, as far as the file names them.
func (o *Options) like() error {
	f := o.Like
	odd := o.Oddities
	switch {
	case o.User != "":
		return errors.New("a camera from a file has the login that the file names")
	case odd.Wire != nil, odd.Redirect != nil, odd.NonceUses > 0, odd.Refuse != nil, odd.BasicOnly, odd.NoKeepalive, odd.NoPause,
		odd.Lifetime > 0, odd.MoreTracks, odd.NoVideo:
		return errors.New("a camera from a file answers and sends as the file says: it has no other oddities of these")
	case o.MPEGTS:
		return errors.New("a camera from a file sends its pictures in packets of their own, in no transport stream")
	case f.Film != "" && o.Film != nil:
		return fmt.Errorf("the camera's file names the film %s: it plays no other", f.Film)
	case f.Film == "mjpeg" && o.Bitrate > 0:
		return errors.New("a bitrate is possible with H.264 only")
	}
	o.User, o.Pass = f.Login()
	if f.Film != "" {
		o.H265, o.MJPEG = f.Film == "h265", f.Film == "mjpeg"
	}
	if f.Sound != "" {
		o.Audio = f.Sound
	}
	if f.FPS > 0 {
		o.FPS = f.FPS
	}
	return nil
}

// likeServer is the RTSP side of a camera from a file.
type likeServer struct{ *wire.Server }

func (s likeServer) close() { s.Close() }
func (s likeServer) drop()  { s.Drop() }

// serveLike starts it on a listener, which it owns from then on.
func (c *Camera) serveLike(listener net.Listener) plugged {
	if wrap := c.options.Conn; wrap != nil {
		listener = oddListener{listener, wrap}
	}
	if cert := c.options.TLS; cert != nil {
		listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{*cert}, MinVersion: tls.VersionTLS12})
	}
	codec := "H264"
	if c.options.H265 {
		codec = "H265"
	}
	return likeServer{wire.Serve(listener, wire.Camera{File: c.options.Like, Values: c.described, Codec: codec, Begin: c.beginLike})}
}

// described returns the values of the placeholders in descriptions.
func (c *Camera) described() map[string]string {
	clip, o := c.controls.current(), c.options
	v := map[string]string{
		"vps": base64.StdEncoding.EncodeToString(clip.vps),
		"sps": base64.StdEncoding.EncodeToString(clip.sps),
		"pps": base64.StdEncoding.EncodeToString(clip.pps),
	}
	kind := "H264/90000"
	switch {
	case o.MJPEG:
		v["video"] = "m=video 0 RTP/AVP 26\na=control:trackID=0"
	case o.H265:
		kind = "H265/90000"
		v["fmtp"] = fmt.Sprintf("sprop-vps=%s;sprop-sps=%s;sprop-pps=%s", v["vps"], v["sps"], v["pps"])
	default:
		v["profile"] = fmt.Sprintf("%X", clip.sps[1:4])
		v["sets"] = v["sps"] + "," + v["pps"]
		v["fmtp"] = fmt.Sprintf("packetization-mode=1;profile-level-id=%s;sprop-parameter-sets=%s", v["profile"], v["sets"])
	}
	if o.NoSDPParams {
		v["fmtp"] = "packetization-mode=1"
	}
	if !o.MJPEG {
		v["video"] = fmt.Sprintf("m=video 0 RTP/AVP %d\na=rtpmap:%[1]d %[2]s\na=fmtp:%[1]d %[3]s\na=control:trackID=0",
			payloadH264, kind, v["fmtp"])
	}
	if a := o.audioMedia(); a != nil {
		f := a.Formats[0]
		var fmtp []string
		for key, value := range f.FMTP() {
			fmtp = append(fmtp, key+"="+value)
		}
		v["audio"] = fmt.Sprintf("m=audio 0 RTP/AVP %d\na=rtpmap:%[1]d %s", f.PayloadType(), f.RTPMap())
		if len(fmtp) > 0 {
			v["audio"] += fmt.Sprintf("\na=fmtp:%d %s", f.PayloadType(), strings.Join(fmtp, ";"))
		}
		v["audio"] += "\na=control:trackID=1"
	}
	v["sdp"] = "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=fakecam\nc=IN IP4 0.0.0.0\nt=0 0\na=control:*\n" + v["video"]
	if v["audio"] != "" {
		v["sdp"] += "\n" + v["audio"]
	}
	return v
}

// likeSession plays for one session of a camera from a file.
type likeSession struct {
	camera       *Camera
	video, audio *script.Packer
	sound        *sound
	player       *player
	record       *session
	values       map[string]string // at the start of the session
	ending       sync.Once
	packets      atomic.Uint64 // of the video, written to the socket

	send         func(wire.Track, []script.Step) (bool, error)
	broken       atomic.Bool // sending has failed
	reports      reporter
	audioReports reporter

	units, payloads [][]byte // of the current picture
	key, waiting    bool
	timestamp       uint32
}

// beginLike starts a session, with the payload types that were announced.
func (c *Camera) beginLike(number uint64, announced map[wire.Track]uint8) wire.Player {
	o, file := c.options, c.options.Like
	s := &likeSession{camera: c, video: file.Video(number, payloadH264)}
	if n, known := announced[wire.Video]; known {
		s.video.PayloadType = n
	}
	audioType := uint8(payloadAAC)
	if known, ok := sounds[o.Audio]; ok {
		s.sound, audioType = &known, o.audioMedia().Formats[0].PayloadType()
	}
	if a := file.Audio; a.Payloads != nil {
		s.sound = &sound{a.Payloads, a.Ticks, a.Every}
	}
	if n, known := announced[wire.Audio]; known {
		audioType = n
	}
	s.audio = file.Sounds(number, audioType)
	s.record, s.player = c.begin(s, s.packets.Load)
	s.values = map[string]string{
		"seq": fmt.Sprint(s.video.Sequence()), "rtptime": fmt.Sprint(s.player.timestamp(0)), "ssrc": fmt.Sprintf("%08X", s.video.SSRC()),
	}
	return s
}

// Values returns the values of the session's placeholders.
func (s *likeSession) Values() map[string]string {
	return s.values
}

// Play plays until stop is closed.
func (s *likeSession) Play(send func(wire.Track, []script.Step) (bool, error), stop <-chan struct{}) {
	s.send = send
	var both sync.WaitGroup
	if s.sound != nil {
		both.Go(func() { s.sound.run(&s.camera.controls, s.hear, stop) })
	}
	s.player.run(stop)
	both.Wait()
}

// Ended is called when the session is over.
func (s *likeSession) Ended() { s.ending.Do(s.record.end) }

func (s *likeSession) room(int) bool              { return true }
func (s *likeSession) write([]byte, uint32, bool) {}
func (s *likeSession) flush()                     {}
func (s *likeSession) skip()                      {}

// picture stores a picture.
func (s *likeSession) picture(units, payloads [][]byte, key bool, timestamp uint32) {
	s.units, s.payloads, s.key, s.timestamp, s.waiting = units, payloads, key, timestamp, true
}

// deliver sends it.
func (s *likeSession) deliver() (paused bool) {
	if !s.waiting {
		return false
	}
	s.waiting = false
	p := script.Picture{Units: s.units, H265: s.camera.options.H265, Key: s.key, Timestamp: s.timestamp}
	if s.units == nil {
		p.Payloads = s.payloads
	}
	steps := s.video.Pack(p)
	paused = s.do(wire.Video, steps, &s.reports)
	if s.broken.Load() || s.video.Ended() {
		return paused
	}
	for _, step := range steps {
		if step.Kind == script.RTP {
			s.packets.Add(1)
		}
	}
	s.record.frame(s.packets.Load())
	return paused
}

// hear sends a packet of audio.
func (s *likeSession) hear(payload []byte, timestamp uint32) {
	steps := s.audio.Pack(script.Picture{Payloads: [][]byte{payload}, Timestamp: timestamp})
	s.do(wire.Audio, steps, &s.audioReports)
}

// do executes the steps of a track, and sends a report when one is due.
func (s *likeSession) do(track wire.Track, steps []script.Step, reports *reporter) (paused bool) {
	if s.broken.Load() {
		return false
	}
	paused, err := s.send(track, steps)
	if err != nil {
		s.broken.Store(true)
		return paused
	}
	clock := s.camera.options.Clock
	if clock == nil {
		clock = time.Now
	}
	for _, step := range steps {
		if step.Kind != script.RTP || len(step.Bytes) < 12 {
			continue
		}
		p := &rtp.Packet{Header: rtp.Header{
			Timestamp: binary.BigEndian.Uint32(step.Bytes[4:]), SSRC: binary.BigEndian.Uint32(step.Bytes[8:]),
		}, Payload: step.Bytes[12:]}
		if report := reports.sent(p, clock()); report != nil {
			if b, err := report.Marshal(); err == nil {
				_, _ = s.send(track, []script.Step{{Kind: script.RTCP, Bytes: b}}) // an error recurs at the next packet
			}
		}
	}
	return paused
}
