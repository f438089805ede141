package recorder

import (
	"errors"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// A disk that fails while audio is written costs what was being written, and nothing is written twice.
func TestAudioIsWrittenOnceAroundAFailure(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.beginSession(accessunit.H264, 90000, [][]byte{realSPS, realPPS},
		&accessunit.AudioTrack{Rate: 1000, Silence: make([]byte, 1000), Track: mkv.Track{
			Number: accessunit.AudioNumber, Kind: mkv.Audio, CodecID: mkv.CodecAAC, CodecPrivate: []byte{0x14, 0x08},
			Name: "audio", SampleRate: 16000, Channels: 1,
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
			failing.segmentWriter = b.recording.writer
			b.recording.writer = failing
		}
		for range 3 {
			sound++
			b.audioFrame(make([]byte, sound), uint32(at.Milliseconds()), noon.Add(at))
		}
	}
	if failing.after >= 0 {
		t.Fatal("nothing failed")
	}
	_, blocks := b.fragments()
	last := 0
	for _, fragment := range blocks {
		for _, block := range fragment {
			if block.Track != accessunit.AudioNumber || len(block.Data) == 1000 {
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

// failingWriter accepts a number of audio frames, then fails once.
type failingWriter struct {
	segmentWriter
	after int
}

func (w *failingWriter) WriteFrame(track uint8, at time.Duration, keyframe bool, parts [][]byte) error {
	if track == accessunit.AudioNumber {
		if w.after--; w.after < 0 {
			return errors.New("input/output error")
		}
	}
	return w.segmentWriter.WriteFrame(track, at, keyframe, parts)
}

// Audio stays with its pictures, whatever is done to the hub's clock during a recording, or
// was done to it since the last recording.
func TestAudioStaysWithThePicturesWhenTheClockIsStepped(t *testing.T) {
	t.Parallel()
	const frames, stepAt, keyframes, late = 250, 60, 25, 10 * tick
	for name, c := range map[string]struct {
		recorded time.Duration // how far the newest recording is ahead of the clock
		step     time.Duration
	}{
		"10 s forward":                {0, 10 * time.Second},
		"56 years forward":            {0, 56 * 365 * 24 * time.Hour},
		"10 s back":                   {0, -10 * time.Second},
		"a day back":                  {0, -24 * time.Hour},
		"a day back before the start": {24 * time.Hour, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			started := time.Now()
			if c.recorded > 0 {
				b.recording.newest = started.Add(c.recorded).Round(time.Millisecond).UTC()
				b.times.timeline.Continue(b.recording.newest)
			}
			track := muLawTrack()
			b.beginSession(accessunit.H264, 90000, [][]byte{realSPS, realPPS}, &track)
			for i := range frames {
				media := time.Duration(i) * tick
				now := started.Add(media)
				if i >= stepAt {
					now = testtools.Stepped(now, c.step)
				}
				picture := slice1
				if i%keyframes == int(late/tick) { // the session starts in the middle of a GOP
					picture = idr
				}
				b.accessUnit([][]byte{[]byte(picture)}, uint32(media*9/100_000), now)
				b.audioFrame([]byte{byte(i)}, uint32(media*8/1_000_000), now)
			}
			pictures, sounds := make(map[byte]time.Time), make(map[byte]time.Time)
			_ = b.recording.seal()
			for _, info := range b.store.Segments("door", time.Time{}, time.Time{}) {
				reader, err := b.store.OpenSegment(info.Key)
				if err != nil {
					t.Fatal(err)
				}
				defer reader.Close()
				list, _, err := reader.Fragments()
				if err != nil {
					t.Fatal(err)
				}
				m, err := mkv.Open(reader, info.Bytes)
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range list {
					for block, err := range m.Blocks(f) {
						if err != nil {
							t.Fatal(err)
						}
						at := info.StartTime().Add(block.Time)
						switch {
						case block.Track == accessunit.VideoNumber:
							pictures[byte(int(late/tick)+len(pictures))] = at // none is lost
						case len(block.Data) == 1:
							sounds[block.Data[0]] = at
						}
					}
				}
			}
			if len(pictures) != frames-int(late/tick) || len(sounds) < len(pictures)-2 {
				t.Fatalf("%d pictures and %d sounds are recorded", len(pictures), len(sounds))
			}
			for i, at := range sounds {
				if off := at.Sub(pictures[i]); off.Abs() > tick {
					t.Errorf("sound %d lies %s off its picture", i, off)
				}
			}
		})
	}
}
