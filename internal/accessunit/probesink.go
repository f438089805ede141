package accessunit

import (
	"context"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/supervise"
)

// ProbeResult is what a probe observed of a source in a few seconds.
type ProbeResult struct {
	Host          string // host and port, or the name of a file
	Codec         string // "H.264" or "H.265"
	Width, Height int
	FPS           float64
	BitrateBPS    int64
	// KeyframeInterval is the longest time between two keyframes, or since the only one.
	KeyframeInterval time.Duration
	Damaged          bool // packets were lost or could not be read
}

const (
	// probeLeast is the least time over which a bitrate is measured.
	probeLeast = 3 * time.Second
	// ProbeMost is how long a probe takes at most: long enough to see that a GOP is longer than KVS accepts.
	ProbeMost = 22 * time.Second
	// probeKeyframes end a probe: two complete GOPs.
	probeKeyframes = 3
)

// ProbeSink is a sink that only counts. Only the source that plays into it may use it until the session has ended.
type ProbeSink struct {
	stop      context.CancelFunc
	inspector Inspector
	rate      float64
	began     time.Time

	keyframes int
	frames    int
	bytes     int64
	last      uint32        // RTP time of the last frame
	span      time.Duration // from the first keyframe to the last frame
	gop       time.Duration // since the last keyframe
	longest   time.Duration // of the GOPs
	damage    bool
	done      bool
	panicked  error
}

// NewProbeSink returns a ProbeSink that calls stop when it has measured enough.
func NewProbeSink(stop context.CancelFunc) *ProbeSink { return &ProbeSink{stop: stop} }

// Begin implements Sink.
func (p *ProbeSink) Begin(c Codec, rate int, parameterSets [][]byte, _ *AudioTrack) {
	p.rate, p.began = float64(max(rate, 1)), time.Now()
	p.inspector = NewInspector(c, parameterSets)
}

// AccessUnit implements Sink.
func (p *ProbeSink) AccessUnit(nalus [][]byte, rtpTime uint32, _ time.Time) {
	contents := p.inspector.Inspect(nalus)
	keyframe := contents.Keyframe()
	if !contents.Picture || p.done || p.keyframes == 0 && !keyframe {
		return
	}
	if p.keyframes > 0 {
		// Signed: pictures that are shown before the previous one go back in time.
		step := time.Duration(float64(int32(rtpTime-p.last)) / p.rate * float64(time.Second))
		p.span += step
		p.gop += step
	}
	p.last = rtpTime
	p.longest = max(p.longest, p.gop)
	p.frames++
	if keyframe {
		p.keyframes++
		p.gop = 0
	}
	if p.keyframes >= probeKeyframes && time.Since(p.began) >= probeLeast {
		p.done = true // more frames arrive until the session has ended
		p.stop()
		return
	}
	for _, nal := range nalus {
		p.bytes += int64(len(nal))
	}
}

// Damaged implements Sink. Both ends of the probe may cut a picture off.
func (p *ProbeSink) Damaged(int64, error) {
	if p.keyframes > 0 && !p.done && time.Since(p.began) < ProbeMost {
		p.damage = true
	}
}

// Missed implements Sink.
func (p *ProbeSink) Missed(int64) {}

// Audio implements Sink.
func (p *ProbeSink) Audio([]byte, uint32, time.Time) {}

// ChangeAudio implements Sink.
func (p *ProbeSink) ChangeAudio(*AudioTrack) {}

// AudioLost implements Sink.
func (p *ProbeSink) AudioLost(int64) {}

// UnsupportedAudio implements Sink.
func (p *ProbeSink) UnsupportedAudio([]string) {}

// LeftOut implements Sink.
func (p *ProbeSink) LeftOut([]string) {}

// Foreign implements Sink.
func (p *ProbeSink) Foreign(int64, string, bool) {}

// CameraTime implements Sink.
func (p *ProbeSink) CameraTime(time.Time, uint32) {}

// Malformed implements Sink.
func (p *ProbeSink) Malformed(error) {}

// Panicked implements Sink.
func (p *ProbeSink) Panicked(_ int64, value any) time.Time {
	p.panicked = supervise.PanicError(value)
	p.stop()
	return time.Now().Add(ProbeMost)
}

// Panic returns the panic on the way to the sink, nil when there was none.
func (p *ProbeSink) Panic() error { return p.panicked }

// Frames is the number of frames since the first keyframe.
func (p *ProbeSink) Frames() int { return p.frames }

// Keyframes is the number of keyframes among them.
func (p *ProbeSink) Keyframes() int { return p.keyframes }

// Result returns what was measured of a host.
func (p *ProbeSink) Result(host string) ProbeResult {
	r := ProbeResult{Host: host, Codec: "H.264", KeyframeInterval: p.longest, Damaged: p.damage}
	if track, ok := p.inspector.Sets.Track(); ok {
		r.Width, r.Height = track.Width, track.Height
		if track.CodecID == mkv.CodecHEVC {
			r.Codec = "H.265"
		}
	}
	if seconds := p.span.Seconds(); seconds > 0 {
		r.FPS = float64(p.frames-1) / seconds // the span ends where the last frame starts
		r.BitrateBPS = int64(float64(p.bytes) * 8 / seconds)
	}
	return r
}
