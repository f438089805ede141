package recorder

import (
	"errors"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
)

// A disk that fails amid audio costs what was on its way there, and repeats nothing.
func TestAudioIsWrittenOnceAroundAFailure(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin(avc{}, 90000, [][]byte{realSPS, realPPS}, &audioTrack{rate: 1000, silence: make([]byte, 1000), track: mkv.Track{
		Number: audioNumber, Kind: mkv.Audio, CodecID: mkv.CodecAAC, CodecPrivate: []byte{0x14, 0x08}, Name: "audio", SampleRate: 16000, Channels: 1,
	}})
	failing := &failingWriter{after: 2}
	sound := 0 // frames sent; each is as long as its number
	for i := range 75 {
		at := time.Duration(i) * tick
		if i%25 == 0 {
			b.frame(at, at, idr)
		} else {
			b.frame(at, at, slice1)
		}
		if i == 30 {
			failing.segmentWriter = b.writer
			b.writer = failing
		}
		for range 3 {
			sound++
			b.audio(make([]byte, sound), uint32(at.Milliseconds()), noon.Add(at))
		}
	}
	if failing.after >= 0 {
		t.Fatal("nothing failed")
	}
	_, blocks := b.fragments()
	last := 0
	for _, fragment := range blocks {
		for _, block := range fragment {
			if block.Track != audioNumber || len(block.Data) == 1000 {
				continue
			}
			if len(block.Data) <= last {
				t.Errorf("audio frame %d comes behind frame %d", len(block.Data), last)
			}
			last = len(block.Data)
		}
	}
	if last < sound-10 {
		t.Errorf("audio ends with frame %d of %d", last, sound)
	}
}

// failingWriter takes so many frames of audio more, then none for once.
type failingWriter struct {
	segmentWriter
	after int
}

func (w *failingWriter) WriteFrame(track uint8, at time.Duration, keyframe bool, parts [][]byte) error {
	if track == audioNumber {
		if w.after--; w.after < 0 {
			return errors.New("input/output error")
		}
	}
	return w.segmentWriter.WriteFrame(track, at, keyframe, parts)
}
