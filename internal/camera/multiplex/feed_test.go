package multiplex_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mpegts"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/camera/multiplex"
)

// counted is a sink that counts. Frames carry their numbers.
type counted struct {
	t        testing.TB
	begins   []*accessunit.AudioTrack
	frames   []uint32
	times    []uint32
	arrivals []time.Time
	lost     int64
	damaged  int
	sounds   []uint32
	heard    []time.Time
	named    []string
	panics   int
	panicsAt func(frame uint32) bool
}

func (c *counted) Begin(_ accessunit.Codec, rate int, _ [][]byte, audio *accessunit.AudioTrack) {
	if rate != 90000 {
		c.t.Errorf("the clock has %d ticks", rate)
	}
	c.begins = append(c.begins, audio)
}

func (c *counted) AccessUnit(nalus [][]byte, rtpTime uint32, now time.Time) {
	last := nalus[len(nalus)-1]
	n := binary.BigEndian.Uint32(last[2:]) & 0xFFFF
	if want := slice(int(n)); !bytes.Equal(last, want) {
		c.t.Errorf("frame %d has %d bytes, want %d", n, len(last), len(want))
	}
	c.frames, c.times, c.arrivals = append(c.frames, n), append(c.times, rtpTime), append(c.arrivals, now)
	if c.panicsAt != nil && c.panicsAt(n) {
		panic("a test")
	}
}

func (c *counted) Damaged(frames int64, _ error) {
	c.lost += frames
	c.damaged++
}
func (c *counted) Missed(frames int64) { c.lost += frames }

func (c *counted) Audio(_ []byte, rtpTime uint32, now time.Time) {
	c.sounds, c.heard = append(c.sounds, rtpTime), append(c.heard, now)
}
func (c *counted) UnsupportedAudio(names []string)    { c.named = names }
func (c *counted) CameraTime(time.Time, uint32)       {}
func (c *counted) ChangeAudio(*accessunit.AudioTrack) {}
func (c *counted) AudioLost(int64)                    {}
func (c *counted) LeftOut([]string)                   {}
func (c *counted) Foreign(int64, string, bool)        {}
func (c *counted) Malformed(err error)                { c.t.Error(err) }
func (c *counted) Panicked(frames int64, _ any) time.Time {
	c.panics++
	c.lost += frames
	return time.Time{}
}

// slice returns the slice of a frame: of a keyframe every 25.
func slice(n int) []byte {
	size, kind := 200+n*37%3000, byte(0x41)
	if n%25 == 0 {
		size, kind = 8000, 0x65
	}
	b := bytes.Repeat([]byte{0xA5}, size)
	b[0], b[1] = kind, 0x88
	binary.BigEndian.PutUint32(b[2:], uint32(n)|0x01010000) // no start code
	return b
}

// packetsOf returns the RTP packets of a number of frames, and the frame of each packet.
func packetsOf(t testing.TB, frames int, audio bool) (packets []accessunit.Packet, frameOf []int) {
	t.Helper()
	var stream bytes.Buffer
	video := &mpegts.Track{Codec: &mpegts.CodecH264{}}
	sound := &mpegts.Track{Codec: &mpegts.CodecMPEG4Audio{
		Config: mpeg4audio.AudioSpecificConfig{Type: mpeg4audio.ObjectTypeAACLC, SampleRate: 16000, ChannelCount: 1}}}
	w := &mpegts.Writer{W: &stream, Tracks: []*mpegts.Track{video}}
	if audio {
		w.Tracks = append(w.Tracks, sound)
	}
	if err := w.Initialize(); err != nil {
		t.Fatal(err)
	}
	for n := range frames {
		stream.Reset()
		unit := [][]byte{slice(n)}
		if n%25 == 0 {
			unit = [][]byte{{0x67, 0x42, 0xC0, 0x1E, 1}, {0x68, 0xCE, 0x3C, 0x80}, slice(n)}
		}
		pts := int64(1<<32-90000) + int64(n)*3600 // they wrap
		if err := w.WriteH264(video, pts, pts, unit); err != nil {
			t.Fatal(err)
		}
		if audio {
			if err := w.WriteMPEG4Audio(sound, pts+450, [][]byte{{1, 2, 3, 4}}); err != nil {
				t.Fatal(err)
			}
		}
		for rest := stream.Bytes(); len(rest) > 0; {
			size := min(len(rest), 7*188)
			packets = append(packets, accessunit.Packet{Sequence: uint16(65000 + len(packets)), Timestamp: uint32(n * 3600),
				Payload: bytes.Clone(rest[:size])})
			frameOf = append(frameOf, n)
			rest = rest[size:]
		}
	}
	return packets, frameOf
}

var start = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// arrival returns the time of arrival of a frame.
func arrival(frame int) time.Time { return start.Add(time.Duration(frame) * 40 * time.Millisecond) }

func TestWhatIsSentIsRecordedOrCountedAsLost(t *testing.T) {
	t.Parallel()
	const frames, calm = 300, 30
	packets, frameOf := packetsOf(t, frames, false)
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 1))
		share := []float64{0.005, 0.02, 0.05, 0.2}[seed%4]
		sink := &counted{t: t}
		f := multiplex.New(multiplex.Options{MaxBytes: 1 << 20}, sink)
		for i, p := range packets {
			quiet := i == 0 || // it has the tables
				frameOf[i] >= frames-calm
			if !quiet && random.Float64() < share {
				continue
			}
			if err := f.Push(p, arrival(frameOf[i])); err != nil {
				t.Fatal(err)
			}
		}
		f.Flush()
		if got := int64(len(sink.frames)) + sink.lost; got != frames {
			t.Errorf("seed %d: %d frames are passed on and %d lost, of %d", seed, len(sink.frames), sink.lost, frames)
		}
	}
}

// push pushes packets with their times of arrival.
func push(t *testing.T, f *multiplex.Feed, packets []accessunit.Packet, frameOf []int) (err error) {
	t.Helper()
	for i, p := range packets {
		if err = f.Push(p, arrival(frameOf[i])); err != nil {
			return err
		}
	}
	f.Flush()
	return nil
}

func TestTheAudioComesWithTheVideoOfItsTime(t *testing.T) {
	t.Parallel()
	const frames = 100
	packets, frameOf := packetsOf(t, frames, true)
	for name, o := range map[string]multiplex.Options{"audio": {MaxBytes: 1 << 20}, "no audio": {MaxBytes: 1 << 20, NoAudio: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sink := &counted{t: t}
			f := multiplex.New(o, sink)
			if err := push(t, f, packets, frameOf); err != nil {
				t.Fatal(err)
			}
			if len(sink.begins) != 1 || (sink.begins[0] != nil) == o.NoAudio || len(sink.frames) != frames || sink.lost != 0 {
				t.Fatalf("%d sessions, %d frames, %d lost", len(sink.begins), len(sink.frames), sink.lost)
			}
			if o.NoAudio {
				if len(sink.sounds) != 0 {
					t.Error("audio is passed on")
				}
				return
			}
			if n := len(sink.sounds); n < frames-2 || sink.begins[0].Rate != 90000 {
				t.Fatalf("%d frames of audio of %+v", n, sink.begins[0])
			}
			for i, at := range sink.sounds {
				n := int(at-sink.times[0]) / 3600
				if want := sink.arrivals[n].Add(5 * time.Millisecond); sink.heard[i].Sub(want).Abs() > 41*time.Millisecond {
					t.Errorf("the audio of frame %d comes at %s, want %s", n, sink.heard[i].Sub(start), want.Sub(start))
				}
			}
		})
	}
}

// TestAPanicCostsWhatItHits has the sink panic at a frame.
func TestAPanicCostsWhatItHits(t *testing.T) {
	t.Parallel()
	packets, frameOf := packetsOf(t, 100, false)
	sink := &counted{t: t, panicsAt: func(n uint32) bool { return n == 40 }}
	f := multiplex.New(multiplex.Options{MaxBytes: 1 << 20}, sink)
	if err := push(t, f, packets, frameOf); err != nil {
		t.Fatal(err)
	}
	if sink.panics != 1 || len(sink.frames) != 100 || sink.lost != 0 {
		t.Errorf("%d panics, %d frames, %d lost", sink.panics, len(sink.frames), sink.lost)
	}
}

// TestNumbersOfPacketsMayBeWrong has senders that do not count, or restart.
func TestNumbersOfPacketsMayBeWrong(t *testing.T) {
	t.Parallel()
	packets, frameOf := packetsOf(t, 100, false)
	for name, number := range map[string]func(i int) uint16{
		"constant":   func(int) uint16 { return 7 },
		"restarting": func(i int) uint16 { return uint16(i % 300) },
		"jumping":    func(i int) uint16 { return uint16(i + i/60*20000) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sink := &counted{t: t}
			f := multiplex.New(multiplex.Options{MaxBytes: 1 << 20}, sink)
			for i, p := range packets {
				p.Sequence = number(i)
				if err := f.Push(p, arrival(frameOf[i])); err != nil {
					t.Fatal(err)
				}
			}
			f.Flush()
			if len(sink.frames) != 100 || sink.damaged > 0 {
				t.Errorf("%d frames, %d times damaged", len(sink.frames), sink.damaged)
			}
		})
	}
	sink := &counted{t: t}
	f := multiplex.New(multiplex.Options{MaxBytes: 1 << 20}, sink)
	for i, p := range packets { // each arrives twice
		for range 2 {
			if err := f.Push(p, arrival(frameOf[i])); err != nil {
				t.Fatal(err)
			}
		}
	}
	if f.Flush(); len(sink.frames) != 100 || sink.damaged > 0 {
		t.Errorf("%d frames of packets that arrive twice, %d times damaged", len(sink.frames), sink.damaged)
	}
}

func TestNothingIsAllocatedForAPacket(t *testing.T) {
	packets, frameOf := packetsOf(t, 1000, false)
	f := multiplex.New(multiplex.Options{MaxBytes: 1 << 20}, quiet{})
	i := 0
	next := func() {
		if err := f.Push(packets[i], arrival(frameOf[i])); err != nil {
			t.Fatal(err)
		}
		i++
	}
	for i < len(packets)/2 {
		next()
	}
	if n := testing.AllocsPerRun(len(packets)/2-2, next); n > 0 {
		t.Errorf("%v allocations for each packet", n)
	}
}

// quiet is a sink that does nothing.
type quiet struct{}

func (quiet) Begin(accessunit.Codec, int, [][]byte, *accessunit.AudioTrack) {}
func (quiet) AccessUnit([][]byte, uint32, time.Time)                        {}
func (quiet) Damaged(int64, error)                                          {}
func (quiet) Missed(int64)                                                  {}
func (quiet) Audio([]byte, uint32, time.Time)                               {}
func (quiet) UnsupportedAudio([]string)                                     {}
func (quiet) CameraTime(time.Time, uint32)                                  {}
func (quiet) ChangeAudio(*accessunit.AudioTrack)                            {}
func (quiet) AudioLost(int64)                                               {}
func (quiet) LeftOut([]string)                                              {}
func (quiet) Foreign(int64, string, bool)                                   {}
func (quiet) Malformed(error)                                               {}
func (quiet) Panicked(int64, any) time.Time                                 { return time.Time{} }
