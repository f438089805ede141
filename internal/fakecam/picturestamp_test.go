package fakecam

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam/nal"
	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam/stamps"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// collector is a sink that stores the NAL units of a player in Annex B format.
type collector struct {
	film []byte
}

func (c *collector) room(int) bool { return true }
func (c *collector) skip()         {}
func (c *collector) flush()        {}

// collect plays n frames of a clip without a network, and returns them as a film in Annex B format.
func collect(clip *clip, h265 bool, first uint64, n int) []byte {
	c := new(collector)
	p := &player{
		controls: &controls{clip: clip}, sink: c, clip: clip, fps: 25, inband: true, stamped: true,
		h265: h265, filler: newFiller(), counter: first,
	}
	for slot := range n {
		p.frame(int64(slot))
	}
	return c.film
}

// write unpacks an RTP payload.
func (c *collector) write(payload []byte, _ uint32, _ bool) {
	unit := func(nalu []byte) {
		c.film = append(append(c.film, 0, 0, 0, 1), nalu...)
	}
	aggregated := func(rest []byte) {
		for len(rest) > 2 {
			n := int(rest[0])<<8 | int(rest[1])
			unit(rest[2 : 2+n])
			rest = rest[2+n:]
		}
	}
	switch {
	case payload[0]&0x1f == payloadSTAP && payload[0]&0x60 == 0x60:
		aggregated(payload[1:])
	case payload[0]&0x1f == payloadFUA:
		if payload[1]&0x80 != 0 {
			unit([]byte{payload[0]&0x60 | payload[1]&0x1f})
		}
		c.film = append(c.film, payload[2:]...)
	case payload[0] == payloadAP<<1 && payload[1] == 1:
		aggregated(payload[2:])
	case payload[0]&0x7e == payloadFU<<1 && payload[1] == 1:
		if payload[2]&0x80 != 0 {
			unit([]byte{payload[0]&0x81 | payload[2]&0x3f<<1, payload[1]})
		}
		c.film = append(c.film, payload[3:]...)
	default:
		unit(payload)
	}
}

// strip is the number of rows of pixels that tops returns of each picture.
const strip = 16

// tops decodes a film to the grey planes of its pictures, scaled to a width: the topmost rows of
// pixels, one picture after the other. ffmpeg must report no errors.
func tops(t *testing.T, film string, width int) []byte {
	t.Helper()
	return decoded(t, film, "-vf", fmt.Sprintf("scale=%d:-2,crop=iw:%d:0:0", width, strip), "-pix_fmt", "gray", "-f", "rawvideo")
}

// sums decodes a film to the checksums of its pictures below a number of rows of pixels.
func sums(t *testing.T, film string, below int) (list []string) {
	t.Helper()
	out := decoded(t, film, "-vf", fmt.Sprintf("crop=iw:ih-%d:0:%d", below, below), "-f", "framehash", "-hash", "murmur3")
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, "#") {
			list = append(list, line[strings.LastIndex(line, ",")+1:])
		}
	}
	return list
}

func decoded(t *testing.T, film string, args ...string) []byte {
	t.Helper()
	input := []string{"-v", "error", "-xerror", "-err_detect", "explode", "-i", film, "-fps_mode", "passthrough"}
	cmd := exec.Command("ffmpeg", append(append(input, args...), "-")...)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil || complaints.Len() > 0 {
		t.Fatalf("ffmpeg: %v\n%s", err, complaints.Bytes())
	}
	return out
}

func keep(t *testing.T, name string, film []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, film, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// embedded are the clips with stamps in their pictures.
var embedded = []struct {
	name  string
	clip  func() (*clip, error)
	film  *[]byte
	h265  bool
	width int
}{
	{"clip.h264", clip1080, &clip1080AnnexB, false, 1920},
	{"clip720.h264", clip720, &clip720AnnexB, false, 1280},
	{"clip.h265", clip360, &clip360AnnexB, true, 640},
}

func TestPicturesShowTheirCounterAndNothingElseChanges(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg")
	for _, test := range embedded {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			clip, err := test.clip()
			if err != nil {
				t.Fatal(err)
			}
			n := len(clip.frames)
			const first = 1<<16 - 20 // the counter wraps in the picture
			film := keep(t, test.name, collect(clip, test.h265, first, n+10))
			shown := tops(t, film, test.width)
			got, plain := sums(t, film, stamps.Block), sums(t, keep(t, test.name, *test.film), 0)
			if len(shown) != (n+10)*strip*test.width || len(got) != n+10 || len(plain) != n {
				t.Fatalf("%d and %d pictures, and %d bytes of them", len(got), len(plain), len(shown))
			}
			for i := range n + 10 {
				counter, ok := stamps.OfPicture(shown[i*strip*test.width:], test.width, strip, test.width, test.width)
				if !ok || counter != uint16(first+i) {
					t.Fatalf("picture %d shows %d (%v), want %d", i, counter, ok, uint16(first+i))
				}
				if got[i] != plain[i%n] {
					t.Fatalf("picture %d differs from the film below the stamp", i)
				}
			}
		})
	}
}

// record has ffmpeg record frames of a camera.
func record(t *testing.T, c *Camera, film string, frames int) {
	t.Helper()
	out, err := exec.Command("ffmpeg", "-v", "error", "-rtsp_transport", "tcp", "-i", c.URL(),
		"-frames:v", strconv.Itoa(frames), "-c", "copy", film).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Fatalf("ffmpeg: %v\n%s", err, out)
	}
}

// countersOf reads the stamps of a recorded film in the order of its frames.
func countersOf(t *testing.T, film string, h265 bool) []uint64 {
	t.Helper()
	kind := "h264"
	if h265 {
		kind = "hevc"
	}
	annexB, err := exec.Command("ffmpeg", "-v", "error", "-i", film, "-c", "copy", "-f", kind, "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	var counters []uint64
	for _, nalu := range nal.SplitAnnexB(annexB) {
		if stamp, ok := stamps.OfNALUs([][]byte{nalu}); ok {
			counters = append(counters, stamp.Counter)
		}
	}
	return counters
}

func TestRecordedPicturesShowTheCounterOfTheirSEI(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg")
	for _, test := range embedded {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			const frames = 60
			c := start(t, Options{H265: test.h265, Start: 1<<16 - 30})
			if test.width == 1280 {
				c.ChangeParams()
			}
			film := filepath.Join(t.TempDir(), "recorded.mkv")
			record(t, c, film, frames)
			counters := countersOf(t, film, test.h265)
			if len(counters) != frames || counters[frames-1]>>16 != 1 {
				t.Fatalf("%d frames were recorded: %v", len(counters), counters)
			}
			for _, width := range []int{test.width, 640, 320} {
				pictures := tops(t, film, width)
				if len(pictures) != frames*strip*width {
					t.Fatalf("%d bytes of pictures", len(pictures))
				}
				for i, counter := range counters {
					shown, ok := stamps.OfPicture(pictures[i*strip*width:], width, strip, width, test.width)
					if !ok || shown != uint16(counter) {
						t.Fatalf("at a width of %d, frame %d shows %d (%v), and its SEI has %d", width, i, shown, ok, counter)
					}
				}
			}
		})
	}
}

func TestEveryWayOfScalingKeepsTheStamp(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg")
	clip, err := clip1080()
	if err != nil {
		t.Fatal(err)
	}
	const first, frames = 0x5a5a, 3
	film := keep(t, "film.h264", collect(clip, false, first, frames))
	for _, way := range []string{"bilinear", "bicubic", "area", "neighbor", "lanczos", "fast_bilinear"} {
		for _, width := range []int{320, 426, 854} {
			out, err := exec.Command("ffmpeg", "-v", "error", "-i", film, "-fps_mode", "passthrough",
				"-vf", fmt.Sprintf("scale=%d:-2:flags=%s", width, way), "-pix_fmt", "gray", "-f", "rawvideo", "-").Output()
			if err != nil || len(out)%(frames*width) != 0 {
				t.Fatalf("%s to %d: %d bytes, %v", way, width, len(out), err)
			}
			size := len(out) / frames
			for i := range frames {
				if n, ok := stamps.OfPicture(out[i*size:(i+1)*size], width, size/width, width, 1920); !ok || n != uint16(first+i) {
					t.Errorf("%s to %d: picture %d shows %#x (%v)", way, width, i, n, ok)
				}
			}
		}
	}
}

func TestRowsAreSmall(t *testing.T) {
	t.Parallel()
	for _, test := range embedded {
		clip, err := test.clip()
		if err != nil {
			t.Fatal(err)
		}
		var w stamps.RowWriter
		for _, f := range clip.frames[:2] { // an I and a P picture
			for counter := 0; counter < 1<<16; counter += 251 {
				if n := len(w.Write(clip.row, f.row, uint16(counter), true)); n > 80 {
					t.Fatalf("%s: the row of %#x takes %d bytes", test.name, counter, n)
				}
			}
		}
	}
}

// It counts the allocations of the whole process, so it is not parallel.
func TestRowsTakeNoMemory(t *testing.T) {
	for _, test := range embedded {
		clip, err := test.clip()
		if err != nil {
			t.Fatal(err)
		}
		var w stamps.RowWriter
		counter := uint16(0)
		if allocations := testing.AllocsPerRun(100, func() {
			counter++
			w.Write(clip.row, clip.frames[1].row, counter, true)
		}); allocations > 0 {
			t.Errorf("%s: a row takes %v allocations", test.name, allocations)
		}
	}
}

func TestCameraWithoutStamps(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg")
	film := filepath.Join(t.TempDir(), "recorded.mkv")
	c := start(t, Options{NoStamps: true})
	record(t, c, film, 10)
	if counters := countersOf(t, film, false); len(counters) > 0 {
		t.Errorf("frames have the stamps %v", counters)
	}
	pictures := tops(t, film, 1920)
	// 130 is 128 of 16 to 235, stretched to 0 to 255.
	if want := bytes.Repeat([]byte{130}, 1920*stamps.Block); len(pictures) == 0 || !bytes.Equal(pictures[:len(want)], want) {
		t.Error("the top row of a picture is not grey")
	}
}

// The row makes pictures taller, and changes nothing else in parameter sets.
func TestParameterSetsAreThoseOfTheFilm(t *testing.T) {
	t.Parallel()
	for _, test := range embedded {
		clip, err := test.clip()
		if err != nil {
			t.Fatal(err)
		}
		plain, err := parseFilm(*test.film)
		if test.h265 {
			plain, err = parseH265(*test.film, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(clip.vps, plain.vps) || !bytes.Equal(clip.pps, plain.pps) {
			t.Errorf("%s: the other parameter sets differ", test.name)
		}
		var got, want any
		if test.h265 {
			sps, film := new(h265.SPS), new(h265.SPS)
			err = errors.Join(sps.Unmarshal(clip.sps), film.Unmarshal(plain.sps))
			film.PicHeightInLumaSamples += stamps.Block
			got, want = sps, film
		} else {
			sps, film := new(h264.SPS), new(h264.SPS)
			err = errors.Join(sps.Unmarshal(clip.sps), film.Unmarshal(plain.sps))
			film.PicHeightInMapUnitsMinus1++
			got, want = sps, film
		}
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: the parameter set is\n%+v, want\n%+v", test.name, got, want)
		}
	}
}
