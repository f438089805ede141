package clip

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/mediafile"
)

const (
	// videoClock is the clock rate of the timestamps of a file's frames.
	videoClock = 90_000
	// frameGuess is a frame's duration when it is unknown.
	frameGuess = 40 * time.Millisecond
)

// player plays a file into a sink.
type player struct {
	Options // with defaults
	file
	to accessunit.Sink

	start  time.Time     // of the first pass
	offset time.Duration // of the current pass
	sets   [][]byte      // of the previous pass; nil before the first
}

// play plays the file at its own pace, and returns accessunit.ErrPlayed at its end.
func (p *player) play(ctx context.Context) error {
	p.start = p.Now()
	for {
		if err := p.pass(ctx); err != nil {
			return err
		}
		if !p.loop {
			return accessunit.ErrPlayed
		}
		if behind := p.Now().Sub(p.start.Add(p.offset)); behind > time.Second { // the machine was suspended
			p.start, p.offset, p.sets = p.Now(), 0, nil
		}
	}
}

// pass plays the file from start to end.
func (p *player) pass(ctx context.Context) error {
	r, m, err := p.open()
	if err != nil {
		return err
	}
	defer r.Close()
	track := p.begin(m)
	var first, newest time.Duration
	frames := 0
	for {
		frame, err := m.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return p.fault(err)
		}
		if frame.Audio && (frames == 0 || track == nil) {
			continue // the video comes first
		}
		if frames == 0 {
			first = frame.At
		}
		at := p.offset + frame.At - first
		// Arrivals are computed, so that times in the recording are the file's to the millisecond.
		due := p.start.Add(at)
		if err := p.Wait(ctx, due); err != nil {
			return err
		}
		now := p.Now()
		due = now.Add(due.Sub(now)) // the same instant on a clock that may have been set since
		if frame.Audio {
			p.to.Audio(frame.Data, ticksOf(at, track.Rate), due)
			continue
		}
		if frame.Lost > 0 {
			p.to.Damaged(int64(frame.Lost), nil)
		}
		frames++
		newest = max(newest, frame.At-first)
		p.to.AccessUnit(frame.NALUs, ticksOf(at, videoClock), due)
	}
	duration := frameGuess
	switch {
	case frames == 0:
		return p.fault(mediafile.ErrNoVideo)
	case frames > 1 && newest > 0:
		duration = newest / time.Duration(frames-1)
	}
	p.offset += newest + duration
	return p.Wait(ctx, p.start.Add(p.offset))
}

// begin starts a pass, and returns the audio that is played. A loop is one session, so that no time is lost between its
// passes, unless the file was replaced.
func (p *player) begin(m *mediafile.File) (track *accessunit.AudioTrack) {
	if !p.NoAudio && m.Audio != nil {
		track = accessunit.NewAudioTrack(*m.Audio, m.Audio.Rate)
	}
	codec := accessunit.H264
	if m.Video.Codec == mediafile.H265 {
		codec = accessunit.H265
	}
	sets := slices.DeleteFunc(slices.Clone(m.Video.Sets), func(set []byte) bool { return len(set) == 0 })
	if p.sets == nil || !slices.EqualFunc(sets, p.sets, bytes.Equal) {
		p.to.Begin(codec, videoClock, sets, track)
		p.sets = append([][]byte{}, sets...)
	}
	return track
}

// ticksOf converts a time to an RTP timestamp, rounded.
func ticksOf(at time.Duration, rate int) uint32 {
	seconds, rest := int64(at/time.Second), int64(at%time.Second)
	return uint32(seconds*int64(rate) + (rest*int64(rate)+int64(time.Second)/2)/int64(time.Second))
}
