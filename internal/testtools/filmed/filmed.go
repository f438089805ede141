// Package filmed records media files into stores, for tests: what ffmpeg wrote is recorded as a camera's video would be.
package filmed

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
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// Encode returns a media file that ffmpeg writes: a test picture, and a tone when the arguments have a codec for it.
func Encode(t testing.TB, seconds int, args string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "in.mkv")
	all := append([]string{"-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25:duration=" + strconv.Itoa(seconds),
		"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=" + strconv.Itoa(seconds), "-map", "0:v"}, strings.Fields(args)...)
	Run(t, "ffmpeg", append(all, "-y", path)...)
	return path
}

// Run runs a program and returns what it prints.
func Run(t testing.TB, name string, args ...string) string {
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

// Film is the content of a media file, as a recorder has it.
type Film struct {
	Tracks []mkv.Track // video first
	Frames []Frame
}

// Frame is a frame of it.
type Frame struct {
	Track    uint8
	At       time.Duration
	Keyframe bool
	Parts    [][]byte // see segment.Writer.WriteFrame
}

// Read reads a media file from its first keyframe on.
func Read(t testing.TB, path string) (film Film) {
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
	sets := accessunit.FileSets{Header: inspector.Sets}
	for {
		frame, err := f.Next()
		switch {
		case errors.Is(err, io.EOF):
			return film
		case err != nil:
			t.Fatal(err)
		case frame.Audio && len(film.Tracks) > 1:
			film.Frames = append(film.Frames, Frame{2, frame.At, true, cloned([][]byte{frame.Data})})
		case !frame.Audio:
			contents := inspector.Inspect(frame.NALUs)
			if film.Tracks == nil {
				film.Tracks = tracks(t, inspector.Sets, f)
			}
			var kept [][]byte
			for _, nal := range frame.NALUs {
				if inspector.Keeps(nal, &sets) {
					kept = append(kept, nal)
				}
			}
			film.Frames = append(film.Frames, Frame{1, frame.At, contents.Keyframe(), cloned(kept)})
		}
	}
}

func cloned(parts [][]byte) (list [][]byte) {
	for _, p := range parts {
		list = append(list, append([]byte{}, p...))
	}
	return list
}

func tracks(t testing.TB, sets accessunit.ParameterSets, f *mediafile.File) []mkv.Track {
	t.Helper()
	video, ok := sets.Track()
	if !ok {
		t.Fatal("there are no parameter sets")
	}
	if f.Audio == nil || len(f.Audio.Track(2).CodecID) == 0 {
		return []mkv.Track{video}
	}
	return []mkv.Track{video, f.Audio.Track(2)}
}

// Begin begins a segment for the film.
func (f Film) Begin(t testing.TB, s *segment.Store, stream string, start time.Time) *segment.Writer {
	t.Helper()
	w, err := s.Create(stream, mkv.Header{Start: start, Title: stream, Tracks: f.Tracks})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// Write writes frames, with a fragment for that many GOPs each, and leaves the last one open.
func Write(t testing.TB, w *segment.Writer, frames []Frame, gops int) {
	t.Helper()
	n := 0
	for _, frame := range frames {
		if frame.Track == 1 && frame.Keyframe {
			if n%gops == 0 {
				if _, err := w.EndFragment(); err != nil && !errors.Is(err, mkv.ErrNoFragment) {
					t.Fatal(err)
				}
				if err := w.BeginFragment(frame.At.Truncate(time.Millisecond), true); err != nil {
					t.Fatal(err)
				}
			}
			n++
		}
		if err := w.WriteFrame(frame.Track, frame.At, frame.Keyframe, frame.Parts); err != nil {
			t.Fatal(err)
		}
	}
}

// Record records the film as a segment that begins at a time, with a fragment for that many GOPs each.
func (f Film) Record(t testing.TB, s *segment.Store, stream string, start time.Time, gops int) segment.Key {
	t.Helper()
	w := f.Begin(t, s, stream, start)
	Write(t, w, f.Frames, gops)
	if err := w.Seal(); err != nil {
		t.Fatal(err)
	}
	return w.Key()
}
