package recorder

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// The rows of parameter sets and of the order of pictures.

// pictures decodes the recording: the checksums of its pictures below the stamps, in display order.
func (r *rig) pictures() (list []string) {
	r.t.Helper()
	for _, path := range r.files() {
		list = append(list, frameSums(r.t, path, belowStamps...)...)
	}
	return list
}

// expectClip compares the recorded pictures with those of the camera's clip, which it plays in a loop.
func (r *rig) expectClip() {
	r.t.Helper()
	film, got := frameSums(r.t, clipFile), r.pictures()
	if n := r.number(health.FramesRecorded); int64(len(got)) != n {
		r.t.Errorf("%d pictures can be decoded of %d frames", len(got), n)
	}
	for i, sum := range got {
		if sum != film[i%len(film)] {
			r.t.Fatalf("picture %d is not the camera's", i)
		}
	}
}

// clipFile is what the camera plays. Its pictures are compared without the top row, into which the camera writes the stamps.
const clipFile = "../fakecam/clip.h264"

// belowStamps has ffmpeg cut the top row off.
var belowStamps = []string{"-vf", "crop=in_w:in_h-16:0:16"}

var (
	spropSets     = regexp.MustCompile(`sprop-parameter-sets=[^;\r\n]+`)
	contentLength = regexp.MustCompile(`Content-Length: \d+`)
)

// lyingSDP is a connection on which descriptions contain the parameter sets of another video.
type lyingSDP struct{ net.Conn }

func (c lyingSDP) Write(b []byte) (int, error) {
	n := len(b)
	if head, body, _ := bytes.Cut(b, []byte("\r\n\r\n")); spropSets.Match(body) {
		other := base64.StdEncoding.EncodeToString(realSPS) + "," + base64.StdEncoding.EncodeToString(realPPS)
		body = spropSets.ReplaceAllLiteral(body, []byte("sprop-parameter-sets="+other))
		head = contentLength.ReplaceAllLiteral(head, fmt.Appendf(nil, "Content-Length: %d", len(body)))
		b = slices.Concat(head, []byte("\r\n\r\n"), body)
	}
	if _, err := c.Conn.Write(b); err != nil {
		return 0, err
	}
	return n, nil
}

func noSPSInSDP(t *testing.T) {
	for name, o := range map[string]fakecam.Options{
		"in band only":       {NoSDPParams: true},
		"SDP only":           {NoInbandParams: true},
		"both and different": {Oddities: fakecam.Oddities{Conn: func(c net.Conn) net.Conn { return lyingSDP{c} }}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := seamless(t, o)
			if first := r.frames()[0]; first.counter != 0 || !first.keyframe {
				t.Errorf("the recording begins with frame %d, keyframe %v", first.counter, first.keyframe)
			}
			if track := r.header().Tracks[0]; track.Width != 1920 || track.Height != 1080 {
				t.Errorf("the header says %d x %d", track.Width, track.Height)
			}
			r.expectClip()
		})
	}
}

// spsChange has a camera that changes its picture size in mid-session.
func spsChange(t *testing.T) {
	camera := startCamera(t, fakecam.Options{})
	r := record(t, camera, camera.URL())
	r.awaitFrames(30)
	camera.ChangeParams()
	s := <-r.segments
	if s.Frames < 30 {
		t.Errorf("the first segment has %d frames", s.Frames)
	}
	r.awaitFrames(int64(s.Frames) + 30)
	r.settle()
	frames := r.expectAll()
	r.expectSteps(frames, tick)
	if !frames[s.Frames].keyframe {
		t.Error("the second segment does not begin with a keyframe")
	}
	var sizes []int
	for _, info := range r.recordings() {
		reader, err := r.store.OpenSegment(info.Key)
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, reader.Header().Tracks[0].Width)
		_ = reader.Close()
	}
	if !slices.Equal(sizes, []int{1920, 1280}) {
		t.Errorf("widths of the segments: %v", sizes)
	}
	r.mustMux()
}

// shift is how many frames later than in decode order, I P B B P B B …, a frame of a film is shown.
func shift(frame uint64) int {
	switch {
	case frame == 0:
		return 0
	case frame%3 == 1:
		return 2
	}
	return -1
}

// expectPresented expects the times of presentation, in decode order.
func expectPresented(t *testing.T, frames []recorded, shift func(uint64) int) {
	t.Helper()
	const step = 10 * time.Millisecond
	for i, f := range frames {
		shown := f.time.Sub(frames[0].time)
		if want := time.Duration(i+shift(f.counter)) * step; (shown - want).Abs() > want/20+2*time.Millisecond { // slewing, rounding
			t.Fatalf("frame %d is shown after %s, want %s", i, shown, want)
		}
	}
	shown := make([]recorded, len(frames))
	for i, f := range frames {
		if at := i + shift(f.counter); at < len(shown) { // the last ones have gaps before them
			shown[at] = f
		}
	}
	expectForward(t, slices.DeleteFunc(shown, func(f recorded) bool { return f.sent.IsZero() }))
}

func bFrames(t *testing.T) {
	const gop = 25
	camera := startCamera(t, fakecam.Options{FPS: 100,
		Film:     film(t, x264("-g", "25", "-x264-params", "bframes=2:b-adapt=0:b-pyramid=0:open-gop=0:scenecut=0", "-f", "h264")...),
		Oddities: fakecam.Oddities{Wire: func(p fakecam.Packet) []fakecam.Packet { presented(&p); return []fakecam.Packet{p} }},
	})
	r := record(t, camera, camera.URL(), func(o *Options) { o.SegmentDuration = 2 * time.Second })
	r.awaitFrames(300)
	r.settle()
	expectPresented(t, r.expectAll(), func(n uint64) int { return shift(n % gop) })
	if n := len(r.recordings()); n < 2 {
		t.Errorf("%d segments", n)
	}
	r.mustPlay()
}

// openGOP has I pictures that are not IDR, followed by pictures that are shown before them and
// reference pictures before them.
func openGOP(t *testing.T) {
	const gop, length = 24, 193 // frames: the film ends with a whole group of pictures of one reference, and begins again
	position := func(frame uint64) uint64 { return frame % length }
	o := fakecam.Options{
		FPS: 100,
		Film: film(t, x264("-g", "24", "-x264-params", "bframes=2:b-adapt=0:b-pyramid=0:open-gop=1:scenecut=0",
			"-frames:v", strconv.Itoa(length), "-f", "h264")...),
		Oddities: fakecam.Oddities{Wire: func(p fakecam.Packet) []fakecam.Packet {
			p.Timestamp += uint32(shift(position(p.Frame))) * 900 // ticks of a frame, where frames come 100 a second
			return []fakecam.Packet{p}
		}},
	}
	for name, c := range map[string]struct {
		length   time.Duration
		segments int // at least
	}{
		"one segment": {time.Hour, 1},
		"segments":    {500 * time.Millisecond, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			camera := startCamera(t, o)
			r := record(t, camera, camera.URL(), func(o *Options) { o.SegmentDuration = c.length })
			r.await("frames", func() bool { return r.handed.Load() >= 150 })
			r.settle()
			frames := r.expectAll()
			expectPresented(t, frames, func(n uint64) int { return shift(position(n)) })
			keyframes := 0
			for _, f := range frames {
				if f.keyframe {
					keyframes++
				}
			}
			perFilm := (length + gop - 1) / gop
			if want := len(frames)/length*perFilm + (len(frames)%length+gop-1)/gop; keyframes < want-1 || keyframes > want+1 {
				t.Errorf("%d keyframes are marked, want %d", keyframes, want)
			}
			if n := len(r.recordings()); n < c.segments {
				t.Errorf("%d segments", n)
			}
			if c.segments == 1 { // across segments, pictures reference earlier ones
				r.mustPlay()
			}
		})
	}
}

// longGOP has one keyframe every 70 s.
func longGOPs(t *testing.T) {
	const frames = 200 // of the film
	l := lapse{step: 350 * time.Millisecond, camera: 350 * time.Millisecond}
	camera := startCamera(t, fakecam.Options{FPS: 150, Oddities: fakecam.Oddities{Wire: l.wire},
		Film: film(t, x264("-bf", "0", "-g", "100000", "-f", "h264")...)})
	r := record(t, camera, camera.URL(), l.change, func(o *Options) { o.SegmentDuration = time.Minute })
	if c := r.awaitCondition("set its keyframe"); c.Class != health.UserError || !strings.Contains(c.Text, "every 10 s") {
		t.Errorf("%+v", c)
	}
	r.awaitFrames(2*frames + 50)
	r.settle()
	r.expectAll() // checks that fragments last at most 20 s
	if n := len(r.recordings()); n < 2 {
		t.Errorf("%d segments of a minute each", n)
	}
	r.mustPlay()
}
