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
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/mpegts"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// remux has mkvmerge rewrite a file.
func remux(arguments ...string) func(*testing.T, string) string {
	return func(t *testing.T, path string) string {
		t.Helper()
		to := filepath.Join(filepath.Dir(path), "remuxed.mkv")
		if out, err := exec.Command("mkvmerge", slices.Concat([]string{"-o", to}, arguments, []string{path})...).CombinedOutput(); err != nil {
			t.Fatalf("mkvmerge: %v %s", err, out)
		}
		return to
	}
}

// withTimes returns a transport stream with the arrival times of camcorders.
func withTimes(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for i := 0; i+mpegts.PacketSize <= len(data); i += mpegts.PacketSize {
		all = append(binary.BigEndian.AppendUint32(all, uint32(i)), data[i:i+mpegts.PacketSize]...)
	}
	if err := os.WriteFile(path, all, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Unusual files of other programs, which ffmpeg plays.
func TestOddFilesAreReadWhole(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg", "mkvmerge")
	cover := []string{"-filter_complex", "[0:v]split[a][b];[a]trim=end_frame=1[c]", "-map", "[c]", "-map", "[b]", "-map", "1:a",
		"-c:v:0", "mjpeg", "-pix_fmt:v:0", "yuvj420p", "-c:v:1", "libx264", "-c:a", "aac"}
	for name, row := range map[string]struct {
		file      string
		arguments [][]string
		change    func(*testing.T, string) string
		audio     bool
	}{
		"MP4, a picture first":            {"a.mp4", [][]string{cover}, nil, true},
		"MP4, a cover first":              {"a.mp4", [][]string{cover, {"-disposition:v:0", "attached_pic"}}, nil, true},
		"MOV, a picture first":            {"a.mov", [][]string{cover}, nil, true},
		"MKV, a picture first":            {"a.mkv", [][]string{cover}, nil, true},
		"MOV, PCM of version 0":           {"a.mov", [][]string{h264B, {"-c:a", "pcm_s16le"}}, nil, true},
		"MOV, PCM of version 1":           {"a.mov", [][]string{h264B, {"-c:a", "pcm_s24le", "-ac", "2"}}, nil, true},
		"MOV, PCM of version 2":           {"a.mov", [][]string{h264B, {"-c:a", "pcm_f64le", "-ar", "96000", "-ac", "6"}}, nil, true},
		"MOV, A-law":                      {"a.mov", [][]string{h264B, {"-c:a", "pcm_alaw"}}, nil, true},
		"MOV, time codes":                 {"a.mov", [][]string{h264B, aac, {"-timecode", "01:00:00:00"}}, nil, true},
		"MOV, fragmented":                 {"a.mov", [][]string{h264B, aac, {"-movflags", "frag_keyframe"}}, nil, true},
		"MOV, avc3":                       {"a.mp4", [][]string{h264B, aac, {"-tag:v", "avc3"}}, nil, true},
		"MKV, headers stripped":           {"a.mkv", [][]string{h264B, aac}, remux("--compression", "0:analyze_header_removal"), true},
		"AVI's names in MKV, start codes": {"a.avi", [][]string{h264, aac}, remux("--engage", "allow_avc_in_vfw_mode"), true},
		"M2TS":                            {"a.ts", [][]string{h264B, aac}, withTimes, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := encode(t, row.file, slices.Concat(row.arguments...)...)
			if row.change != nil {
				path = row.change(t, path)
			}
			f := open(t, path)
			pictures, sound := count(t, f)
			if f.Video.Codec != H264 || pictures != 50 || (sound > 0) != row.audio {
				t.Errorf("%s, %d pictures and %d frames of audio", f.Video.Codec, pictures, sound)
			}
		})
	}
}

// count reads a file to its end.
func count(t *testing.T, f *File) (pictures, sound int) {
	t.Helper()
	for {
		frame, err := f.Next()
		if errors.Is(err, io.EOF) {
			return pictures, sound
		}
		if err != nil {
			t.Fatal(err)
		}
		if frame.Audio {
			sound++
			continue
		}
		if pictures++; len(frame.NALUs) == 0 || len(frame.NALUs[0]) == 0 || frame.NALUs[0][0]&0x80 != 0 {
			t.Errorf("picture %d is %x", pictures, frame.NALUs)
		}
	}
}

func TestStartCodes(t *testing.T) {
	t.Parallel()
	for data, want := range map[string][]string{
		"": nil, "abc": nil, "\x00\x00\x01": nil,
		"\x00\x00\x01ab": {"ab"}, "\x00\x00\x00\x01ab\x00\x00\x01c": {"ab", "c"}, "\x00\x00\x01a\x00\x00\x00\x00\x01\x00\x00\x01b": {"a", "b"},
	} {
		got := splitStartCodes(nil, []byte(data))
		if !slices.EqualFunc(got, want, func(a []byte, b string) bool { return bytes.Equal(a, []byte(b)) }) {
			t.Errorf("%q: %q, want %q", data, got, want)
		}
	}
	// Whatever the description says.
	got, err := splitUnits(nil, []byte("\x00\x00\x00\x01abc\x00\x00\x00\x01d"), 4)
	if err != nil || len(got) != 2 {
		t.Errorf("%q %v", got, err)
	}
}
