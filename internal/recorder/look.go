package recorder

import (
	"context"
	"errors"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/mediafile"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
)

// Sight is what was seen of a camera in a few seconds.
type Sight struct {
	Host          string // host and port, or the name of a file
	Codec         string // "H.264" or "H.265"
	Width, Height int
	FPS           float64
	BitrateBPS    int64
	// KeyframeInterval is the longest time between two keyframes, or since the only one.
	KeyframeInterval time.Duration
	Damaged          bool // packets were lost or could not be understood
}

const (
	// lookAtLeast is what a bitrate is measured over.
	lookAtLeast = 3 * time.Second
	// lookAtMost is long enough to tell that a GOP is longer than KVS takes.
	lookAtMost = 22 * time.Second
	// lookKeyframes end the look: two whole GOPs.
	lookKeyframes = 3
)

// errNoKeyframe means that nothing could be recorded.
var errNoKeyframe = errors.New("no keyframe came for " + lookAtMost.String())

// Look plays a camera until it has seen a few keyframes, for 22 s at most, and records nothing. An
// error is a *health.Fault or ctx's. Of the options, Transport, CameraRoots, File
// and MediaDirectory count.
func Look(ctx context.Context, url secret.String, o Options) (Sight, error) {
	if o.File {
		return lookAtFile(ctx, url, o)
	}
	cam, err := parseCamera(url)
	if err != nil {
		return Sight{}, err
	}
	d := dialogue{
		camera: cam, udp: o.Transport == TransportUDP, roots: o.CameraRoots,
		maxBytes: floodLimit, maxUnit: accessunit.MaxBytes, now: time.Now, openingLimit: openingLimit,
	}
	looking, enough := context.WithTimeout(ctx, lookAtMost)
	defer enough()
	e := &eye{host: cam.host, enough: enough}
	err = d.play(looking, e)
	if o.fallsBack() && looking.Err() == nil && wrongTransport(err, int64(e.frames)) {
		d.udp = !d.udp
		err = d.play(looking, e)
	}
	switch {
	case ctx.Err() != nil:
		return Sight{}, ctx.Err()
	case e.broken != nil:
		return Sight{}, e.broken
	case looking.Err() == nil: // the session ended by itself
		return Sight{}, cameraFault(cam.host, err)
	case e.keyframes == 0:
		return Sight{}, cameraFault(cam.host, errNoKeyframe)
	}
	return e.sight(), nil
}

// HostOf is where the camera of a URL is, without its user and password; "" when it is not the URL of a camera.
func HostOf(url secret.String) string {
	cam, err := parseCamera(url)
	if err != nil {
		return ""
	}
	return cam.host
}

// lookAtFile reads the begin of a media file, as fast as it can be read.
func lookAtFile(ctx context.Context, url secret.String, o Options) (Sight, error) {
	f, err := parseClip(url, o.MediaDirectory)
	if err != nil {
		return Sight{}, err
	}
	looking, enough := context.WithCancel(ctx)
	defer enough()
	f.loop = false
	e := &eye{host: f.name(), enough: enough}
	end := time.Now().Add(lookAtMost)
	err = f.play(looking, e, func(ctx context.Context, due time.Time) error {
		if due.After(end) {
			return errPlayed
		}
		return ctx.Err()
	})
	switch {
	case ctx.Err() != nil:
		return Sight{}, ctx.Err()
	case !errors.Is(err, errPlayed) && looking.Err() == nil:
		return Sight{}, cameraFault("", err)
	case e.keyframes == 0:
		return Sight{}, f.fault(mediafile.ErrNoVideo)
	}
	return e.sight(), nil
}

// eye is a sink that only counts. The session's goroutine has it to itself until play returns.
type eye struct {
	host      string // see Sight
	enough    context.CancelFunc
	inspector accessunit.Inspector
	rate      float64
	began     time.Time

	keyframes int
	frames    int
	bytes     int64
	last      uint32        // RTP time of the last picture
	span      time.Duration // from the first keyframe to the last picture
	gop       time.Duration // since the last keyframe
	longest   time.Duration
	damage    bool
	done      bool
	broken    error // what panicked
}

// Begin implements accessunit.Sink.
func (e *eye) Begin(c accessunit.Codec, rate int, parameterSets [][]byte, _ *accessunit.AudioTrack) {
	e.rate, e.began = float64(max(rate, 1)), time.Now()
	e.inspector = accessunit.NewInspector(c, parameterSets)
}

// AccessUnit implements accessunit.Sink.
func (e *eye) AccessUnit(nalus [][]byte, rtpTime uint32, _ time.Time) {
	picture := e.inspector.Inspect(nalus)
	keyframe := picture.Keyframe()
	if !picture.Picture || e.done || e.keyframes == 0 && !keyframe {
		return
	}
	if e.keyframes > 0 {
		// Signed: pictures that are shown before the one ahead of them go back.
		step := time.Duration(float64(int32(rtpTime-e.last)) / e.rate * float64(time.Second))
		e.span += step
		e.gop += step
	}
	e.last = rtpTime
	e.longest = max(e.longest, e.gop)
	if keyframe {
		e.keyframes++
		e.gop = 0
	}
	if e.keyframes >= lookKeyframes && time.Since(e.began) >= lookAtLeast {
		e.done = true // pictures come until the session has ended
		e.enough()
		return
	}
	e.frames++
	for _, nal := range nalus {
		e.bytes += int64(len(nal))
	}
}

// Damaged implements accessunit.Sink. The end of the look cuts a picture off, and so may its beginning.
func (e *eye) Damaged(int64, error) {
	if e.keyframes > 0 && !e.done && time.Since(e.began) < lookAtMost {
		e.damage = true
	}
}

// Missed implements accessunit.Sink.
func (e *eye) Missed(int64) {}

// Audio implements accessunit.Sink.
func (e *eye) Audio([]byte, uint32, time.Time) {}

// AudioLeft implements accessunit.Sink.
func (e *eye) AudioLeft([]string) {}

// CameraTime implements accessunit.Sink.
func (e *eye) CameraTime(time.Time, uint32) {}

// Noticed implements accessunit.Sink.
func (e *eye) Noticed(error) {}

// Panicked implements accessunit.Sink.
func (e *eye) Panicked(_ int64, value any) time.Time {
	e.broken = panicked(e.host, value)
	e.enough()
	return time.Now().Add(lookAtMost)
}

func (e *eye) sight() Sight {
	s := Sight{Host: e.host, Codec: "H.264", KeyframeInterval: e.longest, Damaged: e.damage}
	if track, ok := e.inspector.Sets.Track(); ok {
		s.Width, s.Height = track.Width, track.Height
		if track.CodecID == mkv.CodecHEVC {
			s.Codec = "H.265"
		}
	}
	if seconds := e.span.Seconds(); seconds > 0 {
		s.FPS = float64(e.frames) / seconds
		s.BitrateBPS = int64(float64(e.bytes) * 8 / seconds)
	}
	return s
}
