// Package fakecam is a simulated camera: an RTSP server on real sockets that plays a
// clip in a loop and misbehaves on demand, for tests and the demo. Every H.264 frame carries a
// stamp, so that what was received can be compared with what was sent. It knows neither
// its clients, nor anything else of this project.
package fakecam

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam/script"
)

// Options define the camera. The zero value is an H.264 camera of 1920x1080 and
// 25 frames per second, with one keyframe each second, without password, over TCP and UDP.
type Options struct {
	Addr           string  // TCP address to listen on; default 127.0.0.1 and any free port
	User, Pass     string  // both Basic and Digest are offered; no User, no password
	Bitrate        int     // bits/s of the H.264 stream, constant, by filler NAL units; 0 for the clip's own (700 kbit/s)
	MJPEG          bool    // Motion JPEG instead of H.264: frames are counted, but carry no stamp
	NoStamps       bool    // frames carry no stamp, and their pictures show none
	FPS            float64 // frames per second; default 25
	NoSDPParams    bool    // parameter sets before keyframes only
	NoInbandParams bool    // parameter sets in the SDP only, after ChangeParams too
	NoUDP          bool    // refuse RTP over UDP
	NearWrap       bool    // RTP timestamps pass 2^32 one second after the start of a session
	Start          uint64  // counter of the very first frame
	H265           bool    // H.265 of 640x360 instead of H.264
	Film           []byte  // Annex B film to play instead of the clip, H.264 or, with H265, H.265; without B-frames
	Audio          string  // AudioAAC, AudioMuLaw or AudioALaw; default none
	MPEGTS         bool    // video and audio in a transport stream, payload type 33; not MJPEG, and no audio but AudioAAC

	// Like is a camera whose answers and packets are described in a file; nil: the other options define them. It takes precedence for
	// films, sounds, rates and logins that it names, and replaces the Oddities of answers and packets.
	Like *script.File

	Oddities
}

// Camera is a running camera. Its methods may be called at any time from any goroutine.
type Camera struct {
	options  Options
	origin   uint32
	port     *port
	clips    []*clip
	controls controls

	life   sync.Mutex // held while plugging and unplugging
	server plugged    // nil when unplugged
	closed bool

	mu       sync.Mutex
	sessions []*session

	wiring sync.Mutex // serialises Oddities.Wire of all sessions
}

// plugged is the RTSP side of a camera that is plugged in.
type plugged interface {
	close() // ends all sessions and frees the ports
	drop()  // ends all sessions, and returns when they have ended
}

// ErrClosed is returned for a closed camera.
var ErrClosed = errors.New("the camera is closed")

// Start starts a camera.
func Start(o Options) (*Camera, error) {
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	if o.Like != nil {
		if err := o.like(); err != nil {
			return nil, err
		}
	}
	if o.FPS == 0 {
		o.FPS = 25
	}
	clips, err := o.clips()
	if err != nil {
		return nil, err
	}
	c := &Camera{options: o, clips: clips}
	c.controls.clip = clips[0]
	c.controls.changed = make(chan struct{})
	if c.origin = rand.Uint32N(1 << 31); o.NearWrap { // far from the wrap otherwise
		c.origin = 1<<32 - clockRate
	}
	address, err := net.ResolveTCPAddr("tcp", o.Addr)
	if err != nil {
		return nil, fmt.Errorf("the camera cannot have the address %q: %w", o.Addr, err)
	}
	if address.IP == nil {
		address.IP = net.IPv4(127, 0, 0, 1)
	}
	if c.port, err = holdPort(address); err != nil {
		return nil, err
	}
	if err = c.Plug(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// clips checks the options and returns the clips to play, in order of ChangeParams.
func (o Options) clips() ([]*clip, error) {
	switch {
	case o.FPS < 0 || o.FPS > 10_000:
		return nil, fmt.Errorf("a camera cannot have %v frames per second", o.FPS)
	case o.User == "" && o.Pass != "":
		return nil, errors.New("a camera with a password needs a user name")
	case o.NoSDPParams && o.NoInbandParams:
		return nil, errors.New("a camera has to send its parameter sets somewhere")
	case o.Bitrate < 0 || o.MJPEG && o.Bitrate != 0:
		return nil, errors.New("a bitrate must be positive, and is possible with H.264 only")
	}
	if _, known := sounds[o.Audio]; !known && o.Audio != "" {
		return nil, fmt.Errorf("a camera cannot have audio of the kind %q", o.Audio)
	}
	if o.MPEGTS && (o.MJPEG || o.Audio != "" && o.Audio != AudioAAC) {
		return nil, errors.New("a transport stream can have no MJPEG, and no audio but AAC")
	}
	switch {
	case o.MJPEG:
		c, err := cutJPEG(clipJPEG)
		return []*clip{c}, err
	case o.H265:
		c, err := clip360()
		if o.Film != nil {
			c, err = parseH265(o.Film, nil)
		}
		return []*clip{c}, err
	case o.Film != nil:
		c, err := parseFilm(o.Film)
		return []*clip{c}, err
	}
	big, err := clip1080()
	if err != nil {
		return nil, err
	}
	small, err := clip720()
	if err != nil {
		return nil, err
	}
	clips := []*clip{big, small}
	if o.Like != nil && o.Like.Film == "h264-720" {
		clips = []*clip{small, big}
	}
	for _, c := range clips {
		if own := c.size() * 8 * o.FPS; o.Bitrate != 0 && own > float64(o.Bitrate) {
			return nil, fmt.Errorf("the clip alone has %.0f bits/s, more than the bitrate of %d", own, o.Bitrate)
		}
	}
	return clips, nil
}

// URL returns the address of the stream, with user and password.
func (c *Camera) URL() string {
	scheme := "rtsp"
	if c.options.TLS != nil {
		scheme = "rtsps"
	}
	u := url.URL{Scheme: scheme, Host: c.port.address.String(), Path: path}
	if c.options.User != "" {
		u.User = url.UserPassword(c.options.User, c.options.Pass)
	}
	return u.String()
}

// Sessions returns all sessions of the camera that reached PLAY, oldest first.
// The counters of session n, from 0, start at Options.Start + n<<32.
func (c *Camera) Sessions() []Session {
	c.mu.Lock()
	sessions := c.sessions[:len(c.sessions):len(c.sessions)]
	c.mu.Unlock()
	reports := make([]Session, len(sessions))
	for i, s := range sessions {
		reports[i] = s.report()
	}
	return reports
}

// Unplug ends all sessions and stops listening: connections are refused. It returns when
// that is done, and does nothing if the camera is unplugged.
func (c *Camera) Unplug() {
	c.life.Lock()
	defer c.life.Unlock()
	c.unplug()
}

func (c *Camera) unplug() {
	if c.server != nil {
		c.server.close()
		c.server = nil
	}
}

// Plug listens again, on the same port. It does nothing if the camera is plugged in.
func (c *Camera) Plug() error {
	c.life.Lock()
	defer c.life.Unlock()
	if c.closed {
		return ErrClosed
	}
	if c.server != nil {
		return nil
	}
	listener, err := net.Listen("tcp", c.port.address.String())
	if err != nil {
		return fmt.Errorf("the camera cannot listen: %w", err)
	}
	if c.options.Like != nil {
		c.server = c.serveLike(listener)
		return nil
	}
	s, err := serve(c, listener)
	if err != nil {
		return err
	}
	c.server = s
	return nil
}

// Close unplugs the camera permanently.
func (c *Camera) Close() error {
	c.life.Lock()
	defer c.life.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	c.unplug()
	return c.port.release()
}

// Drop ends all sessions and returns when they have ended. The camera continues to listen.
func (c *Camera) Drop() {
	c.life.Lock()
	defer c.life.Unlock()
	if c.server != nil {
		c.server.drop()
	}
}

// Stall stops sending in all sessions, while they stay open and new ones can be opened.
// No frame is queued after it returns.
func (c *Camera) Stall() { c.controls.stall(true) }

// Resume continues after Stall, with the next counter and the next frame of the clip; RTP
// timestamps advance by the time that has passed.
func (c *Camera) Resume() { c.controls.stall(false) }

// Jump moves the RTP timestamps of running sessions by d, back if negative, from the next frame on.
func (c *Camera) Jump(d time.Duration) {
	c.controls.mu.Lock()
	defer c.controls.mu.Unlock()
	c.controls.jump += int64(d.Seconds() * clockRate)
}

// ChangeParams switches to the other clip, with other parameter sets and another size (1280x720,
// then 1920x1080 again): running sessions at their next keyframe, new ones and the SDP at once.
// A camera of MJPEG, of H.265 or with a film has one clip only and does not change.
func (c *Camera) ChangeParams() {
	c.controls.mu.Lock()
	defer c.controls.mu.Unlock()
	for i, clip := range c.clips {
		if clip == c.controls.clip {
			c.controls.clip = c.clips[(i+1)%len(c.clips)]
			return
		}
	}
}

// begin creates the record and the player of a new session.
func (c *Camera) begin(to sink, written func() uint64) (*session, *player) {
	c.mu.Lock()
	first := c.options.Start + uint64(len(c.sessions))<<32
	record := &session{first: first, began: time.Now(), written: written}
	c.sessions = append(c.sessions, record)
	c.mu.Unlock()

	o := c.options
	c.controls.mu.RLock()
	defer c.controls.mu.RUnlock()
	return record, &player{
		controls: &c.controls,
		sink:     to,
		fps:      o.FPS,
		budget:   float64(o.Bitrate) / 8 / o.FPS,
		inband:   !o.NoInbandParams,
		stamped:  !o.MJPEG && !o.NoStamps,
		h265:     o.H265,
		counter:  first,
		origin:   c.origin,
		jumped:   c.controls.jump,
		pace:     o.Pace,
		stray:    o.StrayEvery,
		backlog:  o.Backlog,
	}
}
