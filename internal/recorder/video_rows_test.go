package recorder

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// onTheWire is a fault of a camera or a network in RTP packets. A hook keeps its state per camera,
// which has one session.
type onTheWire struct {
	hook func() func(fakecam.Packet) []fakecam.Packet
	damage,
	loss bool // frames are lost, and reported as such
	segments int // at least 1; 0: any number
}

func TestMarkers(t *testing.T) {
	t.Parallel()
	for name, marker := range map[string]bool{"none": false, "on each packet": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onTheWire{hook: func() func(fakecam.Packet) []fakecam.Packet {
				return func(p fakecam.Packet) []fakecam.Packet {
					p.Marker = marker
					return []fakecam.Packet{p}
				}
			}}.test(t)
		})
	}
}

func nalLies(t *testing.T) {
	t.Run("empty and forbidden", func(t *testing.T) {
		t.Parallel()
		onTheWire{damage: true, hook: func() func(fakecam.Packet) []fakecam.Packet {
			return inserting(func(p fakecam.Packet) [][]byte {
				return [][]byte{{0x60}, {0x78, 0, 0}, {0xE6, 1, 2}, {0x7F, 1}, {}}
			})
		}}.test(t)
	})
	for name, lie := range map[string][]byte{
		"a fragment without a start": {0x7C, 0x01, 1, 2, 3},
		"oversized":                  {0x78, 0xFF, 0xFF, 0x67}, // 65,535 bytes, of which one is present
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			onTheWire{damage: true, loss: true, hook: func() func(fakecam.Packet) []fakecam.Packet {
				return inserting(func(p fakecam.Packet) [][]byte {
					if p.Frame%40 == 30 {
						return [][]byte{lie}
					}
					return nil
				})
			}}.test(t)
		})
	}
}

func ppsPerFrame(t *testing.T) {
	t.Run("the same", func(t *testing.T) {
		t.Parallel()
		onTheWire{segments: 1, hook: func() func(fakecam.Packet) []fakecam.Packet {
			return repeating(func(set []byte) [][]byte { return [][]byte{set} })
		}}.test(t)
	})
	t.Run("several", func(t *testing.T) {
		t.Parallel()
		second := []byte{0x68, 0x5e, 0x3c, 0x80} // pic_parameter_set_id 1
		onTheWire{segments: 1, hook: func() func(fakecam.Packet) []fakecam.Packet {
			return inserting(func(fakecam.Packet) [][]byte { return [][]byte{second} })
		}}.test(t)
	})
}

func cosmeticParams(t *testing.T) {
	onTheWire{segments: 1, hook: func() func(fakecam.Packet) []fakecam.Packet {
		return repeating(func(set []byte) [][]byte { // the sets in separate packets, PPS first, with trailing zeros
			n := int(set[1])<<8 | int(set[2])
			sps, pps := set[3:3+n], set[3+n+2:]
			return [][]byte{append(slices.Clone(pps), 0, 0), append(slices.Clone(sps), 0)}
		})
	}}.test(t)
}

// udpLoss is over UDP; holes of every kind are also tested without the chance of a second packet.
func udpLoss(t *testing.T) {
	overLossyUDP(t)
	t.Run("packets", func(t *testing.T) {
		t.Parallel()
		onTheWire{damage: true, loss: true, hook: func() func(fakecam.Packet) []fakecam.Packet {
			n := 0
			return func(p fakecam.Packet) []fakecam.Packet {
				if n++; n%97 == 50 {
					return nil
				}
				return []fakecam.Packet{p}
			}
		}}.test(t)
	})
	t.Run("whole pictures", func(t *testing.T) {
		t.Parallel()
		onTheWire{damage: true, loss: true, hook: func() func(fakecam.Packet) []fakecam.Packet {
			return func(p fakecam.Packet) []fakecam.Packet {
				if n := p.Frame % 40; n >= 32 && n < 36 {
					return nil
				}
				return []fakecam.Packet{p}
			}
		}}.test(t)
	})
}

// inserting renumbers packets to insert payloads before the first packet of a frame.
func inserting(payloads func(fakecam.Packet) [][]byte) func(fakecam.Packet) []fakecam.Packet {
	var mu sync.Mutex // of the sessions of a camera, one may begin before the last has ended
	var sequence uint16
	frame := ^uint64(0)
	return func(p fakecam.Packet) (out []fakecam.Packet) {
		mu.Lock()
		defer mu.Unlock()
		if p.Frame != frame {
			frame = p.Frame
			for _, payload := range payloads(p) {
				out = append(out, fakecam.Packet{Timestamp: p.Timestamp, Payload: payload})
			}
		}
		out = append(out, p)
		for i := range out {
			out[i].Sequence = sequence
			sequence++
		}
		return out
	}
}

// repeating puts the parameter sets of the first keyframe before each frame.
func repeating(change func(stapA []byte) [][]byte) func(fakecam.Packet) []fakecam.Packet {
	var set []byte
	return inserting(func(p fakecam.Packet) [][]byte {
		if set == nil {
			set = slices.Clone(p.Payload)
			return nil
		}
		return change(set)
	})
}

// test records a camera: whatever arrives, what was sent is recorded or reported as lost, and what is
// recorded can be decoded.
func (row onTheWire) test(t *testing.T) {
	var calm atomic.Bool // nobody could know what is lost at the very end
	hook := row.hook()
	camera := startCamera(t, fakecam.Options{Oddities: fakecam.Oddities{Wire: func(p fakecam.Packet) []fakecam.Packet {
		if out := hook(p); len(out) > 0 || !calm.Load() {
			return out
		}
		return []fakecam.Packet{p}
	}}})
	r := record(t, camera, camera.URL())
	r.await("frames", func() bool { return sent(camera) >= 130 })
	calm.Store(true)
	last := sent(camera) + 10
	r.await("the end", func() bool { return sent(camera) >= last })
	camera.Stall()
	// The very last one may wait for packets that show that it is complete.
	r.await("what was sent", func() bool { return r.handed.Load()+r.number(health.FramesLost) >= sent(camera)-1 })
	if damaged := r.logged("camera-data", "") > 0; damaged != row.damage {
		t.Errorf("damage reported: %v", damaged)
	}
	camera.Unplug()
	r.await("its end", func() bool { return r.part.Snapshot().State != stateRecording })
	r.finish()
	if !row.loss {
		r.expectAllBut(1) // without a marker it is unknown whether the last is complete
	}
	got, lost := int64(len(r.frames())), r.number(health.FramesLost)
	if total := sent(camera); got+lost != total || (lost > 1) != row.loss {
		t.Errorf("%d frames were sent, %d recorded and %d reported as lost", total, got, lost)
	}
	if n := len(r.recordings()); row.segments > 0 && n != row.segments {
		t.Errorf("%d segments, want %d", n, row.segments)
	}
	r.mustPlay()
}

func sent(c *fakecam.Camera) (n int64) {
	for _, s := range c.Sessions() {
		n += int64(s.Frames)
	}
	return n
}

// expectAllBut is expectAll for a camera whose last frames may be missing.
func (r *rig) expectAllBut(most int) {
	r.t.Helper()
	frames := r.frames()
	for i, f := range frames {
		if f.counter != uint64(i) {
			r.t.Fatalf("frame %d is number %d", i, f.counter)
		}
	}
	if missing := int(sent(r.camera)) - len(frames); missing < 0 || missing > most {
		r.t.Errorf("%d frames are missing", missing)
	}
}

// film encodes test pictures.
func film(t *testing.T, arguments ...string) []byte {
	t.Helper()
	testtools.Need(t, "ffmpeg")
	path := filepath.Join(t.TempDir(), "film")
	all := slices.Concat([]string{"-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=8", "-pix_fmt", "yuv420p"},
		arguments, []string{path})
	if out, err := exec.Command("ffmpeg", all...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v %s", err, out)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// recoveryPoint records an encoder that refreshes pictures in columns and sends no IDR
// except at its start: segments and fragments start at its recovery points.
func recoveryPoint(t *testing.T) {
	camera := startCamera(t, fakecam.Options{Film: film(t, "-c:v", "libx264", "-preset", "ultrafast",
		"-x264-params", "intra-refresh=1:keyint=25:bframes=0:ref=1", "-f", "h264")})
	r := record(t, camera, camera.URL(), func(o *Options) { o.SegmentDuration = 2 * time.Second })
	r.awaitFrames(140) // of 200 to the next IDR
	r.settle()
	r.expectAll()
	if n := len(r.recordings()); n < 2 {
		t.Errorf("%d segments", n)
	}
}

// tinyGOP records a camera that sends nothing but keyframes.
func tinyGOP(t *testing.T) {
	camera := startCamera(t, fakecam.Options{Film: film(t, "-c:v", "libx264", "-preset", "ultrafast", "-g", "1", "-f", "h264")})
	r := record(t, camera, camera.URL())
	r.awaitFrames(80)
	r.settle()
	frames := r.expectAll()
	seconds := int(frames[len(frames)-1].time.Sub(frames[0].time) / time.Second) // as they are dated: a busy machine is late
	info := r.recordings()[0]
	reader, err := r.store.OpenSegment(info.Key)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	m, err := mkv.Open(reader, info.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	fragments, err := m.Fragments()
	if err != nil || len(fragments) > seconds+1 || len(fragments) < 2 {
		t.Errorf("%d fragments in %d s, %v", len(fragments), seconds, err)
	}
}

func hugeFrame(t *testing.T) {
	small := startCamera(t, fakecam.Options{})
	other := record(t, small, small.URL())
	flooding := startCamera(t, fakecam.Options{Bitrate: 8_000_000})
	flooded := record(t, flooding, flooding.URL(), func(o *Options) { cameraOf(o).Limits.Bytes = 2_000_000 })
	if c := flooded.awaitCondition("more than 100 Mbit/s"); c.Class != health.UserError {
		t.Errorf("%+v", c)
	}
	flooded.finish()
	huge := startCamera(t, fakecam.Options{Oddities: fakecam.Oddities{Wire: inserting(func(p fakecam.Packet) [][]byte {
		if p.Frame%40 != 30 {
			return nil
		}
		payloads := make([][]byte, 0, 800) // 1.1 MB
		for i := range cap(payloads) {
			fragment := make([]byte, 1400)
			fragment[0], fragment[1] = 0x7C, 0x05
			if i == 0 {
				fragment[1] = 0x85
			}
			payloads = append(payloads, fragment)
		}
		return payloads
	})}})
	// A sixteenth of the limit: 16 MiB take a busy machine longer than a session may be without pictures.
	heavy := record(t, huge, huge.URL(), func(o *Options) { cameraOf(o).Limits.AccessUnit = accessunit.MaxBytes / 16 })
	if c := heavy.awaitCondition("larger than 16 MiB"); c.Class != health.UserError {
		t.Errorf("%+v", c)
	}
	heavy.finish()
	large := startCamera(t, fakecam.Options{Oddities: fakecam.Oddities{Wire: inserting(func(p fakecam.Packet) [][]byte {
		if p.Frame%50 != 25 {
			return nil
		}
		return message(5_000_000)
	})}})
	laden := record(t, large, large.URL())
	laden.awaitFrames(110)
	laden.settle()
	laden.expectAll()
	if n := laden.number(health.BytesRecorded); n < 2*5_000_000 {
		t.Errorf("%d bytes of keyframes of 5 MB", n)
	}
	laden.mustMux()
	other.awaitFrames(60)
	other.settle()
	other.expectAll()
	if n := other.number(health.FramesLost); n != 0 {
		t.Errorf("the other camera lost %d frames", n)
	}
}

// message is the RTP payloads of a SEI message of a given size, which no picture needs
// (user_data_unregistered: ITU-T H.264, D.1.6).
func message(size int) (payloads [][]byte) {
	rbsp := append([]byte{5}, bytes.Repeat([]byte{0xFF}, size/0xFF)...)
	rbsp = append(rbsp, byte(size%0xFF))
	rbsp = append(append(rbsp, bytes.Repeat([]byte{0xAA}, size)...), 0x80)
	for start := byte(0x80); len(rbsp) > 0; start = 0 {
		n := min(len(rbsp), 1400)
		payload := append([]byte{0x1C, start | 6}, rbsp[:n]...)
		if rbsp = rbsp[n:]; len(rbsp) == 0 {
			payload[1] |= 0x40
		}
		payloads = append(payloads, payload)
	}
	return payloads
}

// TestAPanicStaysWithItsCamera causes a panic in a recorder, in the goroutine of its session.
func TestAPanicStaysWithItsCamera(t *testing.T) {
	t.Parallel()
	small := startCamera(t, fakecam.Options{})
	other := record(t, small, small.URL())
	camera := startCamera(t, fakecam.Options{})
	var once sync.Once
	r := record(t, camera, camera.URL(), func(o *Options) {
		o.SegmentDuration = time.Second
		o.OnSegment = func(Segment) { once.Do(func() { panic("planted") }) }
	})
	r.awaitCondition("internal error")
	r.awaitFrames(r.number(health.FramesRecorded) + 60)
	r.finish() // not settle: the frames on their way to the recorder that panicked are not counted
	if got := r.frames(); len(got) < 80 {
		t.Errorf("%d frames", len(got))
	}
	other.settle()
	other.expectAll()
}

// audioPause records each kind of audio, across a pause.
func audioPause(t *testing.T) {
	for audio, codec := range map[string]string{
		fakecam.AudioAAC: mkv.CodecAAC, fakecam.AudioMuLaw: mkv.CodecACM, fakecam.AudioALaw: mkv.CodecACM,
	} {
		t.Run(audio, func(t *testing.T) {
			t.Parallel()
			camera := startCamera(t, fakecam.Options{Audio: audio})
			r := record(t, camera, camera.URL(), func(o *Options) { o.SegmentDuration = 2 * time.Second })
			r.awaitFrames(40)
			camera.Mute(true)
			r.awaitFrames(100)
			camera.Mute(false)
			r.awaitFrames(150)
			r.settle()
			r.expectSteps(r.expectAll(), tick) // expects a frame of each track in each fragment
			r.mustPlay()
			if got := r.header().Tracks; len(got) != 2 || got[1].CodecID != codec {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestAudioIsLeftOutWhenItIsNotWanted(t *testing.T) {
	t.Parallel()
	camera := startCamera(t, fakecam.Options{Audio: fakecam.AudioAAC})
	r := record(t, camera, camera.URL(), func(o *Options) { cameraOf(o).NoAudio = true })
	r.awaitFrames(30)
	r.settle()
	r.expectAll()
	if got := r.header().Tracks; len(got) != 1 {
		t.Errorf("%+v", got)
	}
}

// header returns the header of the first segment.
func (r *rig) header() mkv.Header {
	r.t.Helper()
	reader, err := r.store.OpenSegment(r.recordings()[0].Key)
	if err != nil {
		r.t.Fatal(err)
	}
	defer reader.Close()
	return reader.Header()
}

// clockSteps steps the hub's wall clock while it records: before and after are its offset from
// the true time.
func clockSteps(before, after time.Duration, segments int) func(*testing.T) {
	return func(t *testing.T) {
		var offset atomic.Int64
		offset.Store(int64(before))
		camera := startCamera(t, fakecam.Options{})
		r := record(t, camera, camera.URL(), func(o *Options) {
			o.Now = func() time.Time { return testtools.Stepped(time.Now(), time.Duration(offset.Load())) }
		})
		r.awaitFrames(40)
		offset.Store(int64(after))
		r.awaitFrames(100)
		unset := before < -24*time.Hour
		if unset {
			r.awaitCondition("The hub's clock was not set until")
		}
		r.settle()
		expectForward(t, r.expectAll())
		infos := r.recordings()
		if n := len(infos); n != segments {
			t.Fatalf("%d segments, want %d", n, segments)
		}
		if infos[0].ClockUnset != unset || unset && (infos[0].ClockOffset+before).Abs() > time.Second || infos[len(infos)-1].ClockUnset {
			t.Errorf("marked wrongly: %+v", infos)
		}
		r.mustMux()
	}
}
