package export

import (
	"math"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/mp4"
	"github.com/kvs-edge/kvs-edge-agent/internal/mp4/sample"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

const (
	// chunkLength is how much media of a track is in one run: players that read a file from its start need both at once.
	chunkLength = 500 * time.Millisecond
	// maxDelta is the longest time between samples that readers take, in ticks.
	maxDelta = math.MaxInt32
)

// layout computes the samples of one fragment after the other.
type layout struct {
	tracks []*sample.Track
	shift  time.Duration // added to all times, so that none is negative
}

func (l *layout) add(t mp4.Track, media mkv.Track) {
	l.tracks = append(l.tracks, sample.NewTrack(t, media))
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
		if len(places[i]) == 0 {
			continue
		}
		frames, err := l.frames(t, places[i], s)
		if err != nil {
			return out, err
		}
		if next := l.after(i, s); t.Video() {
			samples[i] = t.VideoSamples(frames, next, segment.GapAfter)
		} else {
			samples[i] = t.AudioSamples(frames, next)
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

// frames describes the frames of a track.
func (l *layout) frames(t *sample.Track, places []mkv.Place, s fragmentSource) ([]sample.Frame, error) {
	list := make([]sample.Frame, len(places))
	for i, p := range places {
		list[i] = sample.Frame{At: l.inFile(p.Time, s), Size: p.Size, Keyframe: p.Keyframe}
		if !t.Video() {
			n, err := t.Samples(s.r, p)
			if err != nil {
				return nil, err
			}
			list[i].Samples = n
		} else if p.Keyframe {
			list[i].Size += s.sets
		}
	}
	return list, nil
}
