package recorder

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/simcam"
	"github.com/kvs-edge/kvs-edge-agent/internal/timeline"
)

// noted is a sink that notes its calls, in order.
type noted struct {
	list         []string
	video, sound timeline.Opening
}

func (s *noted) note(format string, args ...any) {
	s.list = append(s.list, fmt.Sprintf(format, args...))
}

func (s *noted) Begin(accessunit.Codec, int, [][]byte, *accessunit.AudioTrack) { s.note("begin") }
func (s *noted) opened(video, audio timeline.Opening)                          { s.video, s.sound = video, audio }
func (s *noted) Damaged(frames int64, _ error)                                 { s.note("damaged %d", frames) }
func (s *noted) Missed(frames int64)                                           { s.note("missed %d", frames) }
func (s *noted) LeftOut([]string)                                              { s.note("beside") }
func (s *noted) ChangeAudio(*accessunit.AudioTrack)                            { s.note("audio") }
func (s *noted) AudioLost(int64)                                               { s.note("lost") }
func (s *noted) Foreign(int64, string, bool)                                   { s.note("foreign") }
func (s *noted) UnsupportedAudio([]string)                                     { s.note("left") }
func (s *noted) CameraTime(time.Time, uint32)                                  { s.note("time") }
func (s *noted) Malformed(error)                                               { s.note("malformed") }
func (s *noted) Panicked(int64, any) time.Time                                 { s.note("panicked"); return noon }
func (s *noted) Audio(_ []byte, rtp uint32, _ time.Time)                       { s.note("audio %d", rtp) }
func (s *noted) AccessUnit(n [][]byte, rtp uint32, _ time.Time)                { s.note("unit %d %s", rtp, n[0]) }

// All calls arrive, in order, with bytes of their own, whatever ends the hold.
func TestTheOpeningIsHeldBackInOrder(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*openingHold){
		"time": func(h *openingHold) {
			for i := range 30 {
				h.AccessUnit([][]byte{[]byte("x")}, uint32(14400+i*3600), noon.Add(time.Duration(i+4)*tick))
			}
		},
		"the session's end": func(h *openingHold) { h.release() },
		"a panic":           func(h *openingHold) { h.Panicked(1, "a test") },
		"another session":   func(h *openingHold) { h.Begin(accessunit.H264, 90000, nil, nil) },
		"much data":         func(h *openingHold) { h.AccessUnit([][]byte{make([]byte, openBytes+1)}, 14400, noon.Add(4*tick)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &noted{}
			h := newOpeningHold(s, true)
			h.UnsupportedAudio(nil)
			h.Begin(accessunit.H264, 90000, nil, &accessunit.AudioTrack{Rate: 8000})
			buffer := []byte("a")
			h.AccessUnit([][]byte{buffer}, 0, noon)
			copy(buffer, "b") // the caller reuses it
			h.CameraTime(noon, 0)
			h.Audio([]byte("s"), 320, noon.Add(tick))
			h.AccessUnit([][]byte{buffer}, 3600, noon.Add(tick))
			h.Damaged(2, errors.New("torn"))
			h.Missed(1)
			h.Malformed(errors.New("noise"))
			h.Foreign(1, "192.0.2.9", true)
			if len(s.list) != 2 {
				t.Fatalf("handed over at once: %q", s.list)
			}
			end(h)
			want := []string{"left", "begin", "unit 0 a", "time", "audio 320", "unit 3600 b", "damaged 2", "missed 1", "malformed", "foreign"}
			if len(s.list) < len(want) || !slices.Equal(s.list[:len(want)], want) {
				t.Errorf("%q", s.list)
			}
		})
	}
}

func TestWhatIsNotHeldGoesStraightOn(t *testing.T) {
	t.Parallel()
	s := &noted{}
	h := newOpeningHold(s, false)
	h.Begin(accessunit.H264, 90000, nil, nil)
	h.AccessUnit([][]byte{[]byte("a")}, 0, noon)
	h.Audio(nil, 1, noon)
	if want := []string{"begin", "unit 0 a", "audio 1"}; !slices.Equal(s.list, want) {
		t.Errorf("%q", s.list)
	}
}

// TestSoundStaysWithItsPictures has cameras with odd clocks, and networks with delays: audio stays with its picture.
func TestSoundStaysWithItsPictures(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		camera simcam.Camera
		most   time.Duration // between a sound and its picture
	}{
		"ordinary":     {simcam.Camera{}, 2 * time.Millisecond},
		"jitter":       {simcam.Camera{Late: simcam.Jitter(60 * time.Millisecond)}, 20 * time.Millisecond},
		"1000 ppm":     {simcam.Camera{Factor: simcam.Steady(1.001), Late: simcam.Jitter(60 * time.Millisecond)}, 30 * time.Millisecond},
		"burst of 4 s": {simcam.Camera{Late: simcam.BurstAt(0, 4*time.Second)}, 5 * time.Millisecond},
		"stalls":       {simcam.Camera{Late: simcam.StallsOf(5*time.Second, 30*time.Second)}, 5 * time.Millisecond},
		"1.42 times":   {simcam.Camera{Factor: simcam.Steady(1.42), Late: simcam.Jitter(20 * time.Millisecond)}, 200 * time.Millisecond},
		"0.7 times":    {simcam.Camera{Factor: simcam.Steady(0.7), Late: simcam.Jitter(20 * time.Millisecond)}, 200 * time.Millisecond},
		"0.01 times":   {simcam.Camera{Factor: simcam.Steady(0.01)}, 200 * time.Millisecond},
		"1.05 times":   {simcam.Camera{Factor: simcam.Steady(1.05), Late: simcam.Jitter(20 * time.Millisecond)}, 100 * time.Millisecond},
		"stray":        {simcam.Camera{Stamp: simcam.EveryN(50, -5*time.Hour)}, 50 * time.Millisecond},
		"becomes 1.42": {simcam.Camera{Factor: simcam.From(30*time.Second, 1, 1.42)}, 300 * time.Millisecond},
		"one jump": {simcam.Camera{Stamp: func(i int, at time.Duration) time.Duration { return at + time.Duration(i/600)*time.Hour }},
			100 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newSegmenterRig(t)
			track := muLawTrack()
			s := newSupervisor(b.o)
			s.segmenter = b.segmenter
			h := newOpeningHold(s, true)
			h.Begin(accessunit.H264, 90000, [][]byte{realSPS, realPPS}, &track)
			units := c.camera.Frames(time.Minute)
			for i, u := range units {
				nal := slice1
				if i%25 == 0 {
					nal = idr
				}
				ticks := int64(u.Media / time.Microsecond)
				h.AccessUnit([][]byte{[]byte(nal)}, uint32(4_294_900_000+ticks*9/100), noon.Add(u.Arrival))
				h.Audio([]byte{byte(i), byte(i >> 8)}, uint32(ticks*8/1000), noon.Add(u.Arrival))
			}
			h.release()
			var pictures []time.Duration
			sounds := make(map[int]time.Duration)
			eachBlock(t, b, func(at time.Duration, block mkv.Block) {
				switch {
				case block.Track == accessunit.VideoNumber:
					pictures = append(pictures, at)
				case len(block.Data) == 2:
					sounds[int(block.Data[0])|int(block.Data[1])<<8] = at
				}
			})
			if len(pictures) != len(units) || len(sounds) < len(units)-20 {
				t.Fatalf("%d pictures and %d sounds of %d", len(pictures), len(sounds), len(units))
			}
			bad := 0
			for i := range units {
				at, ok := sounds[i]
				if off := at - pictures[i]; ok && off.Abs() > c.most {
					if bad++; bad <= 3 {
						t.Errorf("sound %d lies %s off its picture", i, off)
					}
				}
			}
		})
	}
}

// eachBlock reads the recorded blocks, with times since noon.
func eachBlock(t *testing.T, b *segmenterRig, f func(at time.Duration, block mkv.Block)) {
	t.Helper()
	if err := b.recording.seal(); err != nil {
		t.Fatal(err)
	}
	for _, info := range b.store.Segments("door", time.Time{}, time.Time{}) {
		readSegment(t, b.store, info, func(m *mkv.Reader, fragments []mkv.Fragment) {
			for _, fragment := range fragments {
				for block, err := range m.Blocks(fragment) {
					if err != nil {
						t.Fatal(err)
					}
					f(info.StartTime().Sub(noon)+block.Time, block)
				}
			}
		})
	}
}
