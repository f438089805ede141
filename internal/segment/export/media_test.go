package export

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mp4"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/filmed"
)

// encoded is a media file that ffmpeg writes, see there.
func encoded(t *testing.T, seconds int, args string) string {
	t.Helper()
	return filmed.Encode(t, seconds, args)
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	return filmed.Run(t, name, args...)
}

// recordFile records a media file as a segment that begins at a time, a fragment for each GOP.
func recordFile(t *testing.T, s *segment.Store, start time.Time, path string) segment.Key {
	t.Helper()
	return filmed.Read(t, path).Record(t, s, "door", start, 1)
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
