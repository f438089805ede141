package mediafile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/audio"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv/element"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// encode makes a file of two seconds.
func encode(t testing.TB, name string, arguments ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	arguments = slices.Concat([]string{"-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=2",
		"-f", "lavfi", "-i", "sine=frequency=500:duration=2", "-pix_fmt", "yuv420p"}, arguments, []string{path})
	if out, err := exec.Command("ffmpeg", arguments...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v %s", err, out)
	}
	return path
}

func open(t testing.TB, path string) *File {
	t.Helper()
	r, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	f, err := Open(r)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

var (
	h264  = []string{"-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "10"}
	h264B = []string{"-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-g", "25"}
	h265  = []string{"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error:keyint=25:bframes=2"}
	aac   = []string{"-c:a", "aac", "-ar", "16000", "-ac", "1"}
)

func TestEveryContainerGivesAllFramesInOrder(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg", "mkvmerge")
	for _, c := range []struct {
		name, file string
		arguments  [][]string
		codec      string
		audio      audio.Codec
	}{
		{"MKV", "a.mkv", [][]string{h264, aac}, H264, AAC},
		{"MKV, live", "a.mkv", [][]string{h264B, aac, {"-live", "1", "-f", "matroska"}}, H264, AAC},
		{"MKV, H.265", "a.mkv", [][]string{h265, {"-an"}}, H265, audio.Unknown},
		{"MKV, G.711", "a.mkv", [][]string{h264, {"-c:a", "pcm_mulaw", "-ar", "8000", "-ac", "1"}}, H264, audio.MuLaw},
		{"MP4", "a.mp4", [][]string{h264B, aac}, H264, AAC},
		{"MP4, index first", "a.mp4", [][]string{h264, aac, {"-movflags", "faststart"}}, H264, AAC},
		{"MP4, H.265", "a.mp4", [][]string{h265, aac}, H265, AAC},
		{"MP4, fragmented", "a.mp4", [][]string{h264B, aac, {"-movflags", "frag_keyframe+empty_moov"}}, H264, AAC},
		{"MP4, CMAF", "a.mp4", [][]string{h264B, {"-an", "-movflags", "cmaf+frag_keyframe"}}, H264, audio.Unknown},
		{"MOV", "a.mov", [][]string{h264B, aac}, H264, AAC},
		{"MPEG-TS", "a.ts", [][]string{h264B, aac}, H264, AAC},
		{"MPEG-TS, H.265", "a.ts", [][]string{h265, aac}, H265, AAC},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := open(t, encode(t, c.file, slices.Concat(c.arguments...)...))
			if f.Video.Codec != c.codec {
				t.Errorf("the codec is %s", f.Video.Codec)
			}
			if (f.Audio != nil) != (c.audio != audio.Unknown) || f.Audio != nil && (f.Audio.Codec != c.audio || f.Audio.Channels != 1) {
				t.Errorf("the audio is %+v", f.Audio)
			}
			var times []time.Duration
			var sound time.Duration
			for {
				frame, err := f.Next()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				if frame.Audio {
					if sound != 0 && (frame.At <= sound || frame.At > sound+200*time.Millisecond) {
						t.Errorf("audio at %s follows that at %s", frame.At, sound)
					}
					sound = frame.At
					continue
				}
				if len(frame.NALUs) == 0 {
					t.Error("an empty picture")
				}
				times = append(times, frame.At)
			}
			slices.Sort(times)
			if len(times) != 50 {
				t.Fatalf("%d pictures", len(times))
			}
			for i, at := range times {
				if d := (at - times[0] - time.Duration(i)*40*time.Millisecond).Abs(); d > time.Millisecond {
					t.Errorf("picture %d is at %s", i, at-times[0])
				}
			}
			if end := sound - times[0]; c.audio != audio.Unknown && (end < 1700*time.Millisecond || end > 2100*time.Millisecond) {
				t.Errorf("audio ends at %s", end)
			}
		})
	}
}

func TestLacedAudioOfMkvmerge(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg", "mkvmerge")
	source := encode(t, "a.mp4", slices.Concat(h264, aac)...)
	laced := filepath.Join(t.TempDir(), "laced.mkv")
	if out, err := exec.Command("mkvmerge", "-q", "-o", laced, source).CombinedOutput(); err != nil {
		t.Fatalf("mkvmerge: %v %s", err, out)
	}
	if want, got := sounds(t, open(t, source)), sounds(t, open(t, laced)); len(want) == 0 || !slices.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("%d frames of audio, want %d", len(got), len(want))
	}
}

// TestAudioThatStartsLateIsPlayedLate has a second without audio at the start, as an edit without media.
func TestAudioThatStartsLateIsPlayedLate(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg", "ffprobe")
	for name, arguments := range map[string][]string{"plain": nil, "fragmented": {"-movflags", "frag_keyframe+empty_moov+delay_moov"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := encode(t, "a.mp4", slices.Concat(h264, aac, []string{"-af", "asetpts=PTS+1/TB"}, arguments)...)
			out, err := exec.Command("ffprobe", "-v", "error", "-select_streams", "a",
				"-show_entries", "packet=pts_time", "-of", "csv=p=0", path).Output()
			if err != nil {
				t.Fatal(err)
			}
			first, _, _ := strings.Cut(string(out), "\n")
			want, err := time.ParseDuration(strings.Trim(first, ", ") + "s")
			if err != nil || want < 900*time.Millisecond {
				t.Fatalf("ffprobe has the audio start at %q: %v", first, err)
			}
			f := open(t, path)
			for {
				frame, err := f.Next()
				if err != nil {
					t.Fatal(err)
				}
				if frame.Audio {
					if (frame.At - want).Abs() > time.Millisecond {
						t.Errorf("the audio starts at %s, want %s", frame.At, want)
					}
					return
				}
			}
		})
	}
}

func sounds(t *testing.T, f *File) (list [][]byte) {
	t.Helper()
	for {
		frame, err := f.Next()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		if frame.Audio {
			list = append(list, bytes.Clone(frame.Data))
		}
	}
}

func TestWhatCannotBePlayedIsNamed(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg")
	for name, c := range map[string]struct {
		file      string
		arguments []string
		want      string
	}{
		"VP8":          {"a.mkv", []string{"-c:v", "libvpx", "-an"}, "V_VP8"},
		"MPEG-4":       {"a.mp4", []string{"-c:v", "mpeg4", "-an"}, "mp4v"},
		"MPEG-2 in TS": {"a.ts", []string{"-c:v", "mpeg2video", "-an"}, "MPEG-2"},
		"AVI":          {"a.avi", []string{"-c:v", "mpeg4", "-an"}, ErrContainer.Error()},
		"audio only":   {"a.mkv", []string{"-vn", "-c:a", "aac"}, ErrNoVideo.Error()},
		"audio in TS":  {"a.ts", []string{"-vn", "-c:a", "aac"}, ErrNoVideo.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := os.Open(encode(t, c.file, c.arguments...))
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if _, err := Open(r); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestBrokenFilesEndWithAnError(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg")
	for _, name := range []string{"a.mkv", "a.mp4", "a.ts"} {
		data, err := os.ReadFile(encode(t, name, slices.Concat(h264, aac)...))
		if err != nil {
			t.Fatal(err)
		}
		for cut := 0; cut < len(data); cut += len(data)/97 + 1 {
			playAll(data[:cut])
			flipped := bytes.Clone(data)
			flipped[cut] ^= 0xFF
			playAll(flipped)
		}
	}
}

// TestBoxesWithoutEndAreAnError: each is only a header, so that a few megabytes of them are
// nested deeper than a stack can be, which would end the process.
func TestBoxesWithoutEndAreAnError(t *testing.T) {
	t.Parallel()
	const n = 4 << 20
	data := make([]byte, 0, 8*n)
	for i := range n {
		kind := "edts"
		switch i {
		case 0:
			kind = "moov"
		case 1:
			kind = "trak"
		}
		data = append(binary.BigEndian.AppendUint32(data, uint32(8*(n-i))), kind...)
	}
	if _, err := Open(bytes.NewReader(data)); !errors.Is(err, ErrBroken) {
		t.Errorf("%v", err)
	}
}

// Any box may be followed by an empty one, which is skipped.
func TestAFragmentMayHoldBoxesOfNothing(t *testing.T) {
	t.Parallel()
	if err := new(mp4).trackFragment([]byte("\x00\x00\x00\x08free"), 0); err != nil {
		t.Error(err)
	}
}

// pictures is the video track, number 1, of files that tests write themselves.
var pictures = elementOf(element.IDTrackEntry, elementOf(element.IDTrackNumber, "\x01")+
	elementOf(element.IDTrackType, "\x01")+elementOf(element.IDCodecID, "V_MPEG4/ISO/AVC")+
	elementOf(element.IDCodecPrivate, "\x01\x42\xC0\x1E\xFF\xE1\x00\x04\x67\x42\xC0\x1E\x01\x00\x04\x68\xCE\x3C\x80"))

// TestTimesAreCountedAsTheInfoBehindTheTracksSays has ticks of 0.1 ms (RFC 9559: both are before the
// first Cluster, in whatever order).
func TestTimesAreCountedAsTheInfoBehindTheTracksSays(t *testing.T) {
	t.Parallel()
	file := elementOf(element.IDEBML, "") + elementOf(element.IDSegment,
		elementOf(element.IDTracks, pictures)+
			elementOf(element.IDInfo, elementOf(element.IDTimestampScale, "\x01\x86\xA0"))+ // 100,000 ns
			elementOf(element.IDCluster, elementOf(element.IDTimestamp, "\x00")+
				elementOf(element.IDSimpleBlock, "\x81\x00\x64\x80\x00\x00\x00\x01\x65"))) // 100 ticks
	f, err := Open(strings.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	if frame, err := f.Next(); err != nil || frame.At != 10*time.Millisecond {
		t.Errorf("the frame is at %s, want 10ms: %v", frame.At, err)
	}
}

// TestLacedG711IsTimedByItsSamples has frames of 20, 40 and 20 ms in a block; all are 20 ms where the
// lacing allows only equal ones.
func TestLacedG711IsTimedByItsSamples(t *testing.T) {
	t.Parallel()
	short, long := strings.Repeat("s", 2*160), strings.Repeat("l", 2*320) // 2 channels at 8 kHz
	for name, row := range map[string]struct {
		lace   string // flags and sizes
		frames []string
		at     []time.Duration // ms
	}{
		"none":  {"\x80", []string{long}, []time.Duration{100}},
		"Xiph":  {"\x82\x02\xFF\x41\xFF\xFF\x82", []string{short, long, short}, []time.Duration{100, 120, 160}},
		"EBML":  {"\x86\x02\x41\x40\x61\x3F", []string{short, long, short}, []time.Duration{100, 120, 160}},
		"fixed": {"\x84\x02", []string{short, short, short}, []time.Duration{100, 120, 140}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sound := elementOf(element.IDTrackEntry, elementOf(element.IDTrackNumber, "\x02")+
				elementOf(element.IDTrackType, "\x02")+elementOf(element.IDCodecID, "A_MS/ACM")+
				elementOf(element.IDCodecPrivate, "\x07\x00")+elementOf(element.IDAudio, elementOf(element.IDChannels, "\x02"))) // µ-law
			file := elementOf(element.IDEBML, "") + elementOf(element.IDSegment, elementOf(element.IDTracks, pictures+sound)+
				elementOf(element.IDCluster, elementOf(element.IDTimestamp, "\x00")+
					elementOf(element.IDSimpleBlock, "\x82\x00\x64"+row.lace+strings.Join(row.frames, ""))))
			f, err := Open(strings.NewReader(file))
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range row.frames {
				got, err := f.Next()
				if err != nil || string(got.Data) != want || got.At != row.at[i]*time.Millisecond {
					t.Errorf("frame %d has %d bytes at %s, want %d at %d ms: %v", i, len(got.Data), got.At, len(want), row.at[i], err)
				}
			}
			if _, err := f.Next(); !errors.Is(err, io.EOF) {
				t.Errorf("after the last: %v", err)
			}
		})
	}
}

// elementOf returns an element of Matroska with a size field of two bytes.
func elementOf(id uint32, content string) string {
	b := binary.BigEndian.AppendUint32(nil, id)
	return string(bytes.TrimLeft(b, "\x00")) + string(binary.BigEndian.AppendUint16(nil, 0x4000|uint16(len(content)))) + content
}

// playAll reads a file to its end.
func playAll(data []byte) {
	f, err := Open(bytes.NewReader(data))
	for range 1000 {
		if err != nil {
			return
		}
		_, err = f.Next()
	}
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte("\x1a\x45\xdf\xa3\x80"))
	f.Add([]byte("\x00\x00\x00\x08ftyp"))
	if _, err := exec.LookPath("ffmpeg"); err == nil {
		for _, name := range []string{"a.mkv", "a.mp4", "a.ts"} {
			data, err := os.ReadFile(encode(f, name, "-frames:v", "2", "-t", "0.1", "-s", "32x32",
				"-bsf:v", "filter_units=remove_types=6", "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac"))
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(_ *testing.T, data []byte) { playAll(data) })
}
