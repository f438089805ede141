package mpegts_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/mpegts"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// collected is the contents of a stream.
type collected struct {
	tracks  []mpegts.Tracks
	video   []byte  // Annex B
	times   []int64 // of access units
	torn    int
	missing int
	audio   [][]byte
	heard   []int64
}

func (c *collected) Tracks(t mpegts.Tracks) { c.tracks = append(c.tracks, t) }

func (c *collected) AccessUnit(u mpegts.AccessUnit) {
	c.missing += u.Missing
	if u.Torn {
		c.torn++
		return
	}
	c.times = append(c.times, u.At)
	for _, nal := range u.NALUs {
		c.video = append(append(c.video, 0, 0, 1), nal...)
	}
}

func (c *collected) AudioFrame(data []byte, at int64) {
	c.audio, c.heard = append(c.audio, bytes.Clone(data)), append(c.heard, at)
}

func (c *collected) last() mpegts.Tracks {
	if len(c.tracks) == 0 {
		return mpegts.Tracks{}
	}
	return c.tracks[len(c.tracks)-1]
}

// read reads a stream in chunks of a size.
func read(t testing.TB, stream []byte, size int) *collected {
	t.Helper()
	c := &collected{}
	d := mpegts.NewDemuxer(c, 16<<20)
	for chunk := range slices.Chunk(stream, size) {
		if err := d.Write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	d.End()
	return c
}

// encode has ffmpeg make a stream of two seconds.
func encode(t testing.TB, arguments ...string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.ts")
	run(t, slices.Concat([]string{"ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=2",
		"-f", "lavfi", "-i", "sine=frequency=500:duration=2", "-pix_fmt", "yuv420p"}, arguments, []string{path})...)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func run(t testing.TB, command ...string) []byte {
	t.Helper()
	out, err := exec.Command(command[0], command[1:]...).Output()
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	return out
}

var (
	h264  = []string{"-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "10"}
	h264B = []string{"-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-g", "25"}
	h265  = []string{"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error:keyint=25:bframes=2"}
	aac   = []string{"-c:a", "aac", "-ar", "16000", "-ac", "1"}
)

// TestStreamsHoldWhatFFmpegReads compares each access unit, each frame of the audio and their times.
func TestStreamsHoldWhatFFmpegReads(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg", "ffprobe")
	for name, row := range map[string]struct {
		arguments []string
		codec     string
		audio     bool
		stride    int
	}{
		"H.264":            {slices.Concat(h264, aac), mpegts.H264, true, 188},
		"B-frames":         {slices.Concat(h264B, aac), mpegts.H264, true, 188},
		"H.265":            {slices.Concat(h265, aac), mpegts.H265, true, 188},
		"LATM":             {slices.Concat(h264, aac, []string{"-mpegts_flags", "latm"}), mpegts.H264, true, 188},
		"stereo":           {slices.Concat(h264, []string{"-c:a", "aac", "-ar", "48000", "-ac", "2"}), mpegts.H264, true, 188},
		"MP2":              {slices.Concat(h264, []string{"-c:a", "mp2"}), mpegts.H264, true, 188},
		"AC-3":             {slices.Concat(h264, []string{"-c:a", "ac3"}), mpegts.H264, true, 188},
		"Opus":             {slices.Concat(h264, []string{"-c:a", "libopus", "-ar", "48000"}), mpegts.H264, true, 188},
		"no audio":         {slices.Concat(h264, []string{"-an"}), mpegts.H264, false, 188},
		"constant rate":    {slices.Concat(h264B, aac, []string{"-muxrate", "3M"}), mpegts.H264, true, 188},
		"lengths":          {slices.Concat(h264B, aac, []string{"-omit_video_pes_length", "0"}), mpegts.H264, true, 188},
		"many slices":      {slices.Concat(h264B, aac, []string{"-slices", "8"}), mpegts.H264, true, 188},
		"times that wrap":  {slices.Concat(h264B, aac, []string{"-output_ts_offset", "95442"}), mpegts.H264, true, 188},
		"M2TS":             {slices.Concat(h264B, aac, []string{"-mpegts_m2ts_mode", "1"}), mpegts.H264, true, 192},
		"tables once":      {slices.Concat(h264B, aac, []string{"-pat_period", "100"}), mpegts.H264, true, 188},
		"other PIDs":       {slices.Concat(h264, aac, []string{"-mpegts_start_pid", "0x1f00"}), mpegts.H264, true, 188},
		"one frame a PES":  {slices.Concat(h264, aac, []string{"-pes_payload_size", "0"}), mpegts.H264, true, 188},
		"initial gap":      {slices.Concat(h264B, aac, []string{"-mpegts_flags", "initial_discontinuity"}), mpegts.H264, true, 188},
		"PAT before a PES": {slices.Concat(h264B, aac, []string{"-mpegts_flags", "pat_pmt_at_frames"}), mpegts.H264, true, 188},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stream := encode(t, row.arguments...)
			for _, size := range []int{1, 188, 7 * row.stride, 1000} {
				got := read(t, stream, size)
				if got.torn != 0 || got.missing != 0 {
					t.Errorf("in chunks of %d: %d access units are torn, %d packets missing", size, got.torn, got.missing)
				}
				if tracks := got.last(); tracks.Video != row.codec || (tracks.Audio != nil) != row.audio || !tracks.Settled {
					t.Errorf("the tracks are %+v", tracks)
				}
				if size == 1000 {
					sameAsFFmpeg(t, stream, got, row.audio)
				}
			}
		})
	}
}

// sameAsFFmpeg compares what was read from a stream with what ffmpeg reads.
func sameAsFFmpeg(t *testing.T, stream []byte, got *collected, audio bool) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.ts")
	if err := os.WriteFile(path, stream, 0o600); err != nil {
		t.Fatal(err)
	}
	if want := packetTimes(t, path, "v"); !slices.Equal(got.times, want) {
		t.Errorf("the times are\n%v, want\n%v", got.times, want)
	}
	format := map[string]string{mpegts.H264: "h264", mpegts.H265: "hevc"}[got.last().Video]
	raw := filepath.Join(t.TempDir(), "own")
	if err := os.WriteFile(raw, got.video, 0o600); err != nil {
		t.Fatal(err)
	}
	pictures := func(arguments ...string) string {
		return string(run(t, slices.Concat([]string{"ffmpeg", "-v", "error"}, arguments, []string{"-map", "0:v", "-fps_mode", "passthrough",
			"-f", "md5", "-"})...))
	}
	if own, want := pictures("-f", format, "-i", raw), pictures("-i", path); own != want {
		t.Errorf("the pictures are %s, want %s", own, want)
	}
	if !audio {
		return
	}
	want := packetTimes(t, path, "a")
	if len(got.heard) != len(want) {
		t.Fatalf("%d frames of audio, want %d\n%v\n%v", len(got.heard), len(want), got.heard, want)
	}
	for i, at := range got.heard {
		if d := at - want[i]; d < -2 || d > 2 {
			t.Fatalf("frame %d of the audio is at %d, want %d", i, at, want[i])
		}
	}
}

// packetTimes returns the times that ffprobe reads, with the wrap.
func packetTimes(t *testing.T, path, stream string) (list []int64) {
	t.Helper()
	out := run(t, "ffprobe", "-v", "error", "-correct_ts_overflow", "0", "-select_streams", stream, "-show_entries", "packet=pts",
		"-of", "csv=p=0", path)
	for line := range strings.Lines(string(out)) {
		if line = strings.Trim(line, " ,\n"); line == "" {
			continue
		}
		n, err := strconv.ParseInt(line, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, n&(1<<33-1))
	}
	return list
}
