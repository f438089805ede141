package export

import (
	"io"
	"math"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/audio"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/mp4"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

const (
	// chunkLength is how much media of a track is in one run: players that read a file from its start need both at once.
	chunkLength = 500 * time.Millisecond
	// cadenceShare is how far audio may be off the times at which it was recorded, as a share of a second: these have whole milliseconds, and
	// frames that follow each other without a gap sound better.
	cadenceShare = 100
	// maxDelta is the longest time between samples that readers take, in ticks.
	maxDelta = math.MaxInt32
	// unknownFrame is how long a frame is shown when nothing says how long.
	unknownFrame = 40 * time.Millisecond
)

// layout computes the samples of one fragment after the other.
type layout struct {
	tracks []*trackTimes
	shift  time.Duration // added to all times, so that none is negative
	buffer []byte
}

// trackTimes are the times of a track's samples.
type trackTimes struct {
	mp4.Track
	format   audio.Format
	started  bool
	last     uint64 // of the newest sample
	expected uint64 // of the next sample of audio, when none is missing
	longest  uint64 // between two samples
	early    uint32 // the most that a sample is presented before it is decoded
}

func (l *layout) add(t mp4.Track, media mkv.Track) {
	format, _, _ := audio.Of(media)
	l.tracks = append(l.tracks, &trackTimes{Track: t, format: format})
}

// fragmentSource is a fragment that is to be written.
type fragmentSource struct {
	r    *segment.Reader
	f    mkv.Fragment
	at   time.Duration         // of its start in the file
	next []time.Duration       // when the next sample of each track is decoded, as f.Start; 0, or missing: unknown
	find func(t mkv.Track) int // which track holds that of the segment
	sets int64                 // bytes of parameter sets that each keyframe gets
}

// after returns when the next sample of a track is decoded, as a time in the file; 0: unknown.
func (l *layout) after(track int, s fragmentSource) time.Duration {
	if track >= len(s.next) || s.next[track] == 0 {
		return 0
	}
	return l.inFile(s.next[track], s)
}

// laidOut is a fragment as it is written: chunks, and the frames in each.
type laidOut struct {
	chunks []mp4.Chunk
	places [][]mkv.Place
}

// fragment lays out a fragment.
func (l *layout) fragment(s fragmentSource) (out laidOut, err error) {
	places, err := l.places(s)
	if err != nil {
		return out, err
	}
	samples := make([][]mp4.Sample, len(l.tracks)) // those that are not in a chunk yet
	for i, t := range l.tracks {
		switch {
		case len(places[i]) == 0:
		case t.Video():
			samples[i] = l.video(t, places[i], s, l.after(i, s))
		default:
			if samples[i], err = l.audio(t, places[i], s, l.after(i, s)); err != nil {
				return out, err
			}
		}
	}
	for until := s.f.Start + chunkLength; ; until += chunkLength {
		left := false
		for i, t := range l.tracks {
			n := 0 // in decoding order
			for n < len(places[i]) && (places[i][n].Time < until || until > s.f.Last) {
				n++
			}
			if n > 0 {
				out.chunks = append(out.chunks, mp4.Chunk{Track: &t.Track, Samples: samples[i][:n]})
				out.places = append(out.places, places[i][:n])
				samples[i], places[i] = samples[i][n:], places[i][n:]
			}
			left = left || len(places[i]) > 0
		}
		if !left {
			return out, nil
		}
	}
}

// places returns the frames of each track, in the order of the file.
func (l *layout) places(s fragmentSource) ([][]mkv.Place, error) {
	list := make([][]mkv.Place, len(l.tracks))
	tracks := make(map[uint8]int)
	for _, t := range s.r.Header().Tracks {
		tracks[t.Number] = s.find(t)
	}
	for p, err := range mkv.Places(s.r, s.f) {
		if err != nil {
			return nil, err
		}
		if i, ok := tracks[p.Track]; ok && i >= 0 {
			list[i] = append(list[i], p)
		}
	}
	return list, nil
}

// inFile returns a time of the segment as one of the file.
func (l *layout) inFile(at time.Duration, s fragmentSource) time.Duration {
	return max(s.at+at-s.f.Start+l.shift, 0)
}

// video computes the samples of video. Frames are decoded at the times at which others are presented, and all are presented later by the
// track's delay. next is when the first one of the next fragment is decoded: leading pictures come before its keyframe.
func (l *layout) video(t *trackTimes, places []mkv.Place, s fragmentSource, next time.Duration) []mp4.Sample {
	ticks := func(p mkv.Place) int64 { return l.inFile(p.Time, s).Milliseconds() }
	times := make([]int64, len(places))
	for i, p := range places {
		times[i] = ticks(p)
	}
	slices.Sort(times)
	samples := make([]mp4.Sample, len(places))
	for i, p := range places {
		at := t.rise(uint64(times[i]))
		size := p.Size
		if p.Keyframe {
			size += s.sets
		}
		offset := ticks(p) - int64(at)
		t.early = max(t.early, uint32(max(-offset, 0)))
		samples[i] = mp4.Sample{Time: at, Offset: int32(offset + int64(t.Delay)), Size: uint32(size), Sync: p.Keyframe}
	}
	n := len(samples)
	length := unknownFrame
	if n > 1 {
		length = time.Duration(samples[n-1].Time-samples[0].Time) * time.Millisecond / time.Duration(n-1)
	}
	if last := time.Duration(samples[n-1].Time) * time.Millisecond; next > 0 && next-last <= segment.GapAfter {
		length = next - last
	}
	spread(samples, uint32(max(length.Milliseconds(), 1)))
	return samples
}

// rise returns the time of the next sample: times of decoding rise.
func (t *trackTimes) rise(at uint64) uint64 {
	if t.started {
		at = max(at, t.last+1)
		t.longest = max(t.longest, at-t.last)
	}
	t.started, t.last = true, at
	return at
}

// due returns when a frame of audio that was recorded at a time of the file is decoded, in ticks.
func (t *trackTimes) due(recorded time.Duration) uint64 {
	at := uint64(recorded/time.Second)*uint64(t.Timescale) + uint64(recorded%time.Second)*uint64(t.Timescale)/uint64(time.Second)
	exact := int(t.Timescale) == t.format.Rate
	if off := int64(at - t.expected); exact && t.started && max(off, -off) <= int64(t.Timescale/cadenceShare) {
		return t.expected
	}
	return at
}

// audio computes the samples of audio. next is when the first one of the next fragment was recorded.
func (l *layout) audio(t *trackTimes, places []mkv.Place, s fragmentSource, next time.Duration) ([]mp4.Sample, error) {
	samples := make([]mp4.Sample, len(places))
	var length uint64
	for i, p := range places {
		at := t.rise(t.due(l.inFile(p.Time, s)))
		n, err := l.length(t, p, s.r)
		if err != nil {
			return nil, err
		}
		length = uint64(n) * uint64(t.Timescale) / uint64(t.format.Rate)
		t.expected = at + length
		samples[i] = mp4.Sample{Time: at, Size: uint32(p.Size), Sync: true}
	}
	if next > 0 { // a frame that came early ends this one
		length = min(length, max(t.due(next), t.last)-t.last)
	}
	spread(samples, uint32(max(length, 1)))
	return samples, nil
}

// length returns how many samples per channel a frame of audio has.
func (l *layout) length(t *trackTimes, p mkv.Place, r io.ReaderAt) (int, error) {
	if t.format.Codec == audio.AAC { // its configuration says
		return t.format.Samples(nil), nil
	}
	if n, ok := t.format.SamplesIn(p.Size); ok {
		return n, nil
	}
	l.buffer = append(l.buffer[:0], make([]byte, p.Size)...)
	if _, err := r.ReadAt(l.buffer, p.Offset); err != nil {
		return 0, err
	}
	return t.format.Samples(l.buffer), nil
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
