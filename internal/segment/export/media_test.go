package export

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/mediafile"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/mp4"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// encoded is a media file that ffmpeg writes: a test picture, and a tone when the arguments have a codec for it.
func encoded(t *testing.T, seconds int, args string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "in.mkv")
	all := append([]string{"-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25:duration=" + strconv.Itoa(seconds),
		"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=" + strconv.Itoa(seconds), "-map", "0:v"}, strings.Fields(args)...)
	run(t, "ffmpeg", append(all, "-y", path)...)
	return path
}

// run runs a program and returns what it prints.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v %s", name, args, err, stderr.String())
	}
	return string(out)
}

// recordFile records a media file as a segment that begins at a time, a fragment for each GOP.
func recordFile(t *testing.T, s *segment.Store, start time.Time, path string) segment.Key {
	t.Helper()
	in, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	f, err := mediafile.Open(in)
	if err != nil {
		t.Fatal(err)
	}
	codec := accessunit.H264
	if f.Video.Codec == mediafile.H265 {
		codec = accessunit.H265
	}
	inspector := accessunit.NewInspector(codec, f.Video.Sets)
	var w *segment.Writer
	for {
		frame, err := f.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil && frame.Audio && w != nil && len(f.Audio.Track(2).CodecID) > 0 {
			err = w.WriteFrame(2, frame.At, true, [][]byte{frame.Data})
		}
		if err == nil && !frame.Audio {
			contents := inspector.Inspect(frame.NALUs)
			if w == nil {
				w = beginFile(t, s, start, inspector.Sets, f)
			}
			if contents.Keyframe() {
				err = w.BeginFragment(frame.At.Truncate(time.Millisecond), true)
			}
			var kept [][]byte
			for _, nal := range frame.NALUs {
				if inspector.Keeps(nal, inspector.Sets) {
					kept = append(kept, nal)
				}
			}
			err = errors.Join(err, w.WriteFrame(1, frame.At, contents.Keyframe(), kept))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	seal(t, w)
	return w.Key()
}

func beginFile(t *testing.T, s *segment.Store, start time.Time, sets accessunit.ParameterSets, f *mediafile.File) *segment.Writer {
	t.Helper()
	video, ok := sets.Track()
	if !ok {
		t.Fatal("there are no parameter sets")
	}
	tracks := []mkv.Track{video}
	if f.Audio != nil {
		tracks = append(tracks, f.Audio.Track(2))
	}
	w, err := s.Create("door", mkv.Header{Start: start, Title: "door", Tracks: tracks})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// exports writes what a store has of the stream door as Matroska, as a stream of MP4 and as a file of MP4.
func exports(t *testing.T, s *segment.Store) (matroska, stream, file string, result Result) {
	t.Helper()
	dir := t.TempDir()
	create := func(name string) *os.File {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		return f
	}
	m, st, f := create("out.mkv"), create("stream.mp4"), create("out.mp4")
	_, err := Run(t.Context(), s, Options{Stream: "door"}, m)
	if err != nil && !errors.Is(err, ErrFormat) {
		t.Fatal(err)
	}
	if _, err = Run(t.Context(), s, Options{Stream: "door", Format: MP4}, st); err != nil {
		t.Fatal(err)
	}
	var index int64
	out := &lateFile{open: func() (*mp4.File, error) { return mp4.NewFile(f, index) }}
	result, err = Run(t.Context(), s, Options{Stream: "door", Format: MP4, Planned: func(p Plan) { index = p.IndexBytes }}, out)
	if err == nil {
		_, err = out.Finish(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return m.Name(), st.Name(), f.Name(), result
}

// lateFile is opened with the first byte.
type lateFile struct {
	open func() (*mp4.File, error)
	*mp4.File
}

func (f *lateFile) Write(p []byte) (n int, err error) {
	if f.File == nil {
		if f.File, err = f.open(); err != nil {
			return 0, err
		}
	}
	return f.File.Write(p)
}

func (*lateFile) WriteAt([]byte, int64) (int, error) { return 0, errors.ErrUnsupported }

const (
	h264 = "-c:v libx264 -preset veryfast -pix_fmt yuv420p -g 10 -keyint_min 10 -sc_threshold 0"
	h265 = "-c:v libx265 -preset veryfast -pix_fmt yuv420p -x265-params keyint=10:min-keyint=10:scenecut=0:log-level=error"
	aac  = " -map 1:a -c:a aac"
)

// hashes lists the frames of a file as ffmpeg decodes them, with their hashes and without what the container adds.
func hashes(t *testing.T, path, stream string) (list []string) {
	t.Helper()
	out := run(t, "ffmpeg", "-v", "error", "-i", path, "-map", stream, "-fps_mode", "passthrough", "-autoscale", "0", "-f", "framemd5", "-")
	for line := range strings.Lines(out) {
		if fields := strings.Split(line, ","); !strings.HasPrefix(line, "#") && len(fields) == 6 {
			list = append(list, strings.TrimSpace(fields[5]))
		}
	}
	return list
}
