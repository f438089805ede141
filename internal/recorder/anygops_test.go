package recorder

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/audio"
	"github.com/kvs-edge/kvs-edge-agent/internal/fragment"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
)

// wildCamera is a gopFilm whose camera does what it likes: it sends audio, pauses, restarts and sets its clock.
type wildCamera struct {
	gopFilm
	random *rand.Rand
	rtp    time.Duration // how far its timestamps are from the times of arrival
	heard  time.Duration // until when it sent audio
	long   int           // how often a GOP may have been cut
}

const wildRate = 16_000 // of the audio

func (c *wildCamera) connect() {
	format, ok := audio.AACFormat([]byte{0x14, 0x08})
	if !ok {
		c.t.Fatal("no format")
	}
	c.endSession()
	c.beginSession(accessunit.H264, 90000, [][]byte{realSPS, realPPS}, accessunit.NewAudioTrack(format, format.Rate))
}

// wildGOP sends a GOP of that length, and audio that is late by a random time.
func (c *wildCamera) wildGOP(length time.Duration) {
	for at, end := c.at, c.at+length; at < end; at += tick {
		nal := slice1
		if at == c.at {
			nal = idr
		}
		c.accessUnit([][]byte{[]byte(nal)}, uint32((at+c.rtp)*9/100_000), noon.Add(at))
		c.frames++
		for late := time.Duration(c.random.IntN(200)) * time.Millisecond; c.heard < at-late; c.heard += 64 * time.Millisecond {
			c.audioFrame(make([]byte, 50), uint32((c.heard+c.rtp)*wildRate/time.Second), noon.Add(at))
		}
	}
	c.at += (length + tick - 1) / tick * tick
	if length > fragment.Max-time.Second {
		c.long += 1 + int(length/fragment.Max)
	}
}

// happen has something happen between two GOPs.
func (c *wildCamera) happen() {
	switch c.random.IntN(30) {
	case 0:
		c.connect()
	case 1: // nothing comes, and the timestamps continue
		pause := time.Duration(c.random.IntN(40_000)) * time.Millisecond
		c.at, c.heard = c.at+pause, c.heard+pause
		c.long++ // the next frame ends what the pause made too long
	case 2: // the camera's timestamps jump
		c.rtp += time.Duration(c.random.IntN(20_000)-10_000) * time.Millisecond
	case 4, 5: // they step a little
		c.rtp += time.Duration(c.random.IntN(3000)-1500) * time.Millisecond
	case 3: // audio only
		pause := time.Duration(c.random.IntN(60_000)) * time.Millisecond
		for end := c.at + pause; c.at < end; c.at += 64 * time.Millisecond {
			c.audioFrame(make([]byte, 50), uint32((c.at+c.rtp)*wildRate/time.Second), noon.Add(c.at))
		}
		c.heard = c.at
		c.long++
	}
}

// expectAny checks what KVS demands of every fragment. The last of a session may be shorter than Least.
func (c *wildCamera) expectAny() {
	c.t.Helper()
	list, blocks := c.fragments()
	frames, cut := 0, 0
	for i, f := range list {
		first, last, sounds := time.Duration(1<<62), time.Duration(0), 0
		for _, b := range blocks[i] {
			first, last = min(first, b.Time), max(last, b.Time)
			if b.Track == accessunit.VideoNumber {
				frames++
			} else {
				sounds++
			}
		}
		if !f.Keyframe {
			cut++
		}
		if last-min(first, f.Start) > kvslimit.MaxFragment {
			c.t.Errorf("fragment %d lasts %s", i, last-first)
		}
		if sounds == 0 {
			c.t.Errorf("fragment %d at %s has no audio", i, f.Start)
		}
	}
	if frames != c.frames || cut > c.long {
		c.t.Errorf("%d frames are recorded, want %d; %d fragments begin without a keyframe, at most %d may", frames, c.frames, cut, c.long)
	}
}

// TestFragmentsOfAWildCamera are what KVS takes, and have every frame.
func TestFragmentsOfAWildCamera(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		random := rand.New(rand.NewPCG(seed, 5))
		c := wildCamera{gopFilm: gopFilm{segmenterRig: newSegmenterRig(t)}, random: random}
		var target time.Duration
		c.o.FragmentTarget = func() time.Duration { return target }
		c.connect()
		longest := 300 + random.IntN(24_700)
		for range 50 {
			if random.IntN(8) == 0 {
				target = []time.Duration{fragment.Shortest, later, 5 * time.Second, 19 * time.Second}[random.IntN(4)]
			}
			length := time.Duration(300+random.IntN(longest)) * time.Millisecond
			if random.IntN(2) == 0 {
				length = time.Duration(900+random.IntN(200)) * time.Millisecond
			}
			c.wildGOP(length)
			c.happen()
		}
		c.expectAny()
		expectIntact(t, c.segmenterRig)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// expectIntact verifies all files.
func expectIntact(t *testing.T, b *segmenterRig) {
	t.Helper()
	for _, info := range b.store.Segments("door", time.Time{}, time.Time{}) {
		r, err := b.store.OpenSegment(info.Key)
		if err != nil {
			t.Fatal(err)
		}
		m, err := mkv.Open(r, info.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := m.Verify(true); err != nil || len(v.Damaged) > 0 {
			t.Errorf("damaged: %+v, %v", v.Damaged, err)
		}
		_ = r.Close()
	}
}

// TestAudioWithoutVideo has a camera whose video stops for a while, and whose audio continues: what no fragment takes is counted, and all
// of the video is recorded.
func TestAudioWithoutVideo(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		pause time.Duration
		lost  bool
	}{{5 * time.Second, false}, {15 * time.Second, true}, {31 * time.Second, true}, {5 * time.Minute, true}} {
		c := wildCamera{gopFilm: gopFilm{segmenterRig: newSegmenterRig(t)}, random: rand.New(rand.NewPCG(1, 1))}
		c.o.FragmentTarget = func() time.Duration { return later }
		c.connect()
		for range 8 {
			c.wildGOP(time.Second)
		}
		for end := c.at + row.pause; c.at < end; c.at += 64 * time.Millisecond {
			c.audioFrame(make([]byte, 50), uint32(c.at*wildRate/time.Second), noon.Add(c.at))
		}
		c.heard = c.at
		c.wildGOP(time.Second)
		c.expectAny()
		if lost := c.o.numbers.audioLost.Load(); lost > 0 != row.lost {
			t.Errorf("after %s %d frames of audio are left out", row.pause, lost)
		}
	}
}
