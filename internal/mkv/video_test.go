package mkv

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// sample is a short real H.264 video: its access units in decode order and its parameter sets.
type sample struct {
	units    [][][]byte
	sps, pps []byte
	width    int
	height   int
}

const sampleFrame = 40 * time.Millisecond // 25 fps

var sampleStart = time.Date(2026, 3, 4, 5, 6, 7, 890_000_000, time.UTC)

// encodeSample makes a video with ffmpeg's test picture: a GOP a second, no B-frames.
func encodeSample(t testing.TB, seconds int) sample {
	t.Helper()
	testtools.Need(t, "ffmpeg", "ffprobe", "mkvinfo")
	cmd := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", fmt.Sprintf("testsrc2=size=320x240:rate=25:duration=%d", seconds),
		"-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "25", "-bf", "0",
		"-x264-params", "aud=1:slices=1", "-f", "h264", "-")
	annexB, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	s := sample{width: 320, height: 240}
	var unit [][]byte
	for _, nalu := range splitAnnexB(annexB) {
		switch h264.NALUType(nalu[0] & 0x1F) {
		case h264.NALUTypeAccessUnitDelimiter:
			if len(unit) > 0 {
				s.units = append(s.units, unit)
			}
			unit = nil
			continue
		case h264.NALUTypeSPS:
			s.sps = nalu
		case h264.NALUTypePPS:
			s.pps = nalu
		}
		unit = append(unit, nalu)
	}
	s.units = append(s.units, unit)
	return s
}

func splitAnnexB(data []byte) [][]byte {
	var nalus [][]byte
	for _, part := range bytes.Split(data, []byte{0, 0, 1}) {
		if part = bytes.TrimRight(part, "\x00"); len(part) > 0 {
			nalus = append(nalus, part)
		}
	}
	return nalus
}

func (s sample) header() Header {
	private := []byte{1, s.sps[1], s.sps[2], s.sps[3], 0xFF, 0xE1, byte(len(s.sps) >> 8), byte(len(s.sps))}
	private = append(private, s.sps...)
	private = append(private, 1, byte(len(s.pps)>>8), byte(len(s.pps)))
	private = append(private, s.pps...)
	return Header{Start: sampleStart, Title: "front-door", Tracks: []Track{
		{Number: 1, Kind: Video, CodecID: CodecAVC, CodecPrivate: private, Name: "video", Width: s.width, Height: s.height},
	}}
}

func isKeyframe(unit [][]byte) bool {
	for _, nalu := range unit {
		if h264.NALUType(nalu[0]&0x1F) == h264.NALUTypeIDR {
			return true
		}
	}
	return false
}

// write writes the whole sample, a fragment a GOP, and leaves the writer open.
func (s sample) write(t testing.TB, f File, o WriterOptions) *Writer {
	t.Helper()
	w, err := NewWriter(f, s.header(), o)
	if err != nil {
		t.Fatal(err)
	}
	for i, unit := range s.units {
		at := time.Duration(i) * sampleFrame
		if isKeyframe(unit) {
			if err := w.BeginFragment(at, true); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.WriteFrame(1, at, isKeyframe(unit), unit); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func create(t testing.TB) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "segment.mkv"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// mustBeClean fails when a tool that nobody here wrote finds anything to say about the file.
func mustBeClean(t testing.TB, path string) {
	t.Helper()
	output, err := exec.Command("ffprobe", "-v", "warning", "-count_frames", "-show_streams", path).CombinedOutput()
	if err != nil {
		t.Errorf("ffprobe: %v\n%s", err, output)
	}
	for line := range strings.Lines(string(output)) {
		if strings.HasPrefix(line, "[matroska") || strings.HasPrefix(line, "[h264") {
			t.Errorf("ffprobe warns: %s", line)
		}
	}
	output, err = exec.Command("mkvinfo", "-v", "-v", path).CombinedOutput()
	if err != nil || bytes.Contains(bytes.ToLower(output), []byte("warning")) || bytes.Contains(output, []byte("Error")) {
		t.Errorf("mkvinfo: %v\n%s", err, output)
	}
}

// frameSums decodes a file to the MD5 sums of its pictures.
func frameSums(t testing.TB, args ...string) []string {
	t.Helper()
	args = append(append([]string{"-v", "error"}, args...), "-map", "0:v", "-fps_mode", "passthrough", "-f", "framemd5", "-")
	cmd := exec.Command("ffmpeg", args...)
	var problems bytes.Buffer
	cmd.Stderr = &problems
	output, err := cmd.Output()
	if err != nil || problems.Len() > 0 {
		t.Errorf("ffmpeg %v: %v\n%s", args, err, problems.String())
	}
	var sums []string
	for line := range strings.Lines(string(output)) {
		if fields := strings.Split(strings.TrimSpace(line), ","); !strings.HasPrefix(line, "#") && len(fields) == 6 {
			sums = append(sums, strings.TrimSpace(fields[5]))
		}
	}
	return sums
}

// annexB returns the sample as a raw stream for decoders.
func (s sample) annexB(t testing.TB) string {
	t.Helper()
	var b bytes.Buffer
	for _, unit := range s.units {
		for _, nalu := range unit {
			b.Write([]byte{0, 0, 0, 1})
			b.Write(nalu)
		}
	}
	path := filepath.Join(t.TempDir(), "source.h264")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
