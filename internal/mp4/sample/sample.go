// Package sample computes the samples of a track of MP4 from the times at which its frames were recorded: when each is decoded, when it is
// presented, and how long it lasts. It must not know where frames come from, nor how many of them a file has.
package sample

import (
	"io"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/audio"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/mp4"
)

const (
	// cadenceShare is how far audio may be off the times at which it was recorded, as a share of a second: these have whole milliseconds, and
	// frames that follow each other without a gap sound better.
	cadenceShare = 100
	// unknownFrame is how long a frame is shown when nothing says how long.
	unknownFrame = 40 * time.Millisecond
)

// Frame is a frame of a track.
type Frame struct {
	At       time.Duration // when it is presented, as a time of the movie
	Size     int64         // bytes
	Keyframe bool          // of video
	Samples  int           // of audio, for each channel
}

// Track computes the samples of one track, some frames after the others. Not safe for concurrent use.
type Track struct {
	mp4.Track
	Longest uint64 // between two samples, in ticks
	Early   uint32 // the most that a sample is presented before it is decoded, in ticks

	format   audio.Format
	started  bool
	last     uint64 // of the newest sample
	expected uint64 // of the next sample of audio, when none is missing
	buffer   []byte
}

// NewTrack returns the track of MP4 that holds that track of Matroska, before its first frame.
func NewTrack(t mp4.Track, media mkv.Track) *Track {
	format, _, _ := audio.Of(media)
	return &Track{Track: t, format: format}
}

// Started reports whether there was a frame.
func (t *Track) Started() bool { return t.started }

// VideoSamples computes the samples of frames of video, in the order of decoding. They are decoded at the times at which others are
// presented, and all are presented later by the track's delay. next is when the first frame after them is decoded: leading pictures come
// before its keyframe. It is 0 where that is not known; what is more than gap away does not follow.
func (t *Track) VideoSamples(frames []Frame, next, gap time.Duration) []mp4.Sample {
	times := make([]int64, len(frames))
	for i, f := range frames {
		times[i] = f.At.Milliseconds()
	}
	slices.Sort(times)
	samples := make([]mp4.Sample, len(frames))
	for i, f := range frames {
		at := t.rise(uint64(times[i]))
		offset := f.At.Milliseconds() - int64(at)
		t.Early = max(t.Early, uint32(max(-offset, 0)))
		samples[i] = mp4.Sample{Time: at, Offset: int32(offset + int64(t.Delay)), Size: uint32(f.Size), Sync: f.Keyframe}
	}
	n := len(samples)
	length := unknownFrame
	if n > 1 {
		length = time.Duration(samples[n-1].Time-samples[0].Time) * time.Millisecond / time.Duration(n-1)
	}
	if last := time.Duration(samples[n-1].Time) * time.Millisecond; next > 0 && next-last <= gap {
		length = next - last
	}
	spread(samples, uint32(max(length.Milliseconds(), 1)))
	return samples
}

// AudioSamples computes the samples of frames of audio. next is when the first frame after them was recorded; 0: unknown.
func (t *Track) AudioSamples(frames []Frame, next time.Duration) []mp4.Sample {
	samples := make([]mp4.Sample, len(frames))
	var length uint64
	for i, f := range frames {
		at := t.rise(t.due(f.At))
		length = uint64(f.Samples) * uint64(t.Timescale) / uint64(t.format.Rate)
		t.expected = at + length
		samples[i] = mp4.Sample{Time: at, Size: uint32(f.Size), Sync: true}
	}
	if next > 0 { // a frame that came early ends this one
		length = min(length, max(t.due(next), t.last)-t.last)
	}
	spread(samples, uint32(max(length, 1)))
	return samples
}

// Samples returns how many samples per channel a frame of audio has, which it reads where its size does not say so.
func (t *Track) Samples(r io.ReaderAt, p mkv.Place) (int, error) {
	if t.format.Codec == audio.AAC { // its configuration says
		return t.format.Samples(nil), nil
	}
	if n, ok := t.format.SamplesIn(p.Size); ok {
		return n, nil
	}
	t.buffer = append(t.buffer[:0], make([]byte, p.Size)...)
	if _, err := r.ReadAt(t.buffer, p.Offset); err != nil {
		return 0, err
	}
	return t.format.Samples(t.buffer), nil
}

// rise returns the time of the next sample: times of decoding rise.
func (t *Track) rise(at uint64) uint64 {
	if t.started {
		at = max(at, t.last+1)
		t.Longest = max(t.Longest, at-t.last)
	}
	t.started, t.last = true, at
	return at
}

// due returns when a frame of audio that was recorded at a time of the movie is decoded, in ticks.
func (t *Track) due(recorded time.Duration) uint64 {
	at := uint64(recorded/time.Second)*uint64(t.Timescale) + uint64(recorded%time.Second)*uint64(t.Timescale)/uint64(time.Second)
	exact := int(t.Timescale) == t.format.Rate
	if off := int64(at - t.expected); exact && t.started && max(off, -off) <= int64(t.Timescale/cadenceShare) {
		return t.expected
	}
	return at
}

// spread sets how long samples last: until the next one, and the last one as long as given.
func spread(samples []mp4.Sample, last uint32) {
	for i := range samples {
		samples[i].Duration = last
		if i+1 < len(samples) {
			samples[i].Duration = uint32(samples[i+1].Time - samples[i].Time)
		}
	}
}
