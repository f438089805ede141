package playable

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/archive"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvsmodel"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/strictmkv"
)

// Sample is a frame.
type Sample struct {
	PTS, DTS time.Duration // since the start of its fragment; times of audio may be negative
	Key      bool
	Data     []byte // video: NAL units, each behind its length in 4 bytes; audio: as the producer sent it
}

// Samples reads the frames of a track of a fragment, in the order of decoding. Matroska has the time of presentation alone: the
// times of decoding are the same ones, in order, moved ahead so far that no frame is presented before it is decoded.
func (t *Track) Samples(files *archive.Reader, f archive.Fragment) ([]Sample, error) {
	var samples []Sample
	var fault error
	err := files.Blocks(f, func(e strictmkv.Event) bool {
		if e.Track.Number != t.Number {
			return true
		}
		s := Sample{PTS: e.Time - time.Duration(f.Producer.UnixNano()), Key: e.Keyframe || !t.Video}
		if s.Data, fault = t.data(e.Data, s.Key); fault != nil {
			return false
		}
		samples = append(samples, s)
		return true
	})
	if fault != nil {
		return nil, fault
	}
	if err != nil && !errors.Is(err, archive.ErrEnough) {
		return nil, err
	}
	if len(samples) == 0 {
		return nil, refused(kvsmodel.InvalidMediaFrame, "The fragment %s has no frame of track %d.", f.Number, t.Number)
	}
	setDecodingTimes(samples)
	return samples, nil
}

func setDecodingTimes(samples []Sample) {
	times := make([]time.Duration, len(samples))
	for i, s := range samples {
		times[i] = s.PTS
	}
	slices.Sort(times)
	late := time.Duration(0)
	for i, at := range times {
		late = max(late, at-samples[i].PTS)
	}
	for i, at := range times {
		samples[i].DTS = at - late
	}
}

// data returns a frame as players get it.
func (t *Track) data(block []byte, key bool) ([]byte, error) {
	if !t.Video {
		return slices.Clone(block), nil
	}
	var out []byte
	add := func(unit []byte) {
		out = append(binary.BigEndian.AppendUint32(out, uint32(len(unit))), unit...)
	}
	if key {
		for _, set := range t.sets {
			add(set)
		}
	}
	for rest := block; len(rest) > 0; {
		if len(rest) < t.nalLength {
			return nil, brokenFrame()
		}
		size := uint64(0)
		for _, b := range rest[:t.nalLength] {
			size = size<<8 | uint64(b)
		}
		rest = rest[t.nalLength:]
		if size > uint64(len(rest)) {
			return nil, brokenFrame()
		}
		add(rest[:size])
		rest = rest[size:]
	}
	return out, nil
}

func brokenFrame() error {
	return refused(kvsmodel.InvalidMediaFrame, "A frame could not be parsed: its NAL units do not fill it.")
}
