package export

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

const gst = "gst-launch-1.0"

// TestMP4HasTheFramesOfMatroska, as ffmpeg decodes them, and at the same times; and mkvmerge and GStreamer read it.
func TestMP4HasTheFramesOfMatroska(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg", "ffprobe", "mkvmerge", gst)
	for _, c := range []struct {
		name, args string
		tags       string // of the sample entries
		leftOut    []string
	}{
		{"H.264", h264 + " -bf 0", "avc1", nil},
		{"H.264 with B-frames and AAC", h264 + " -bf 3" + aac, "avc1 mp4a", nil},
		{"H.264 with open GOPs", h264 + " -bf 3 -x264-params open-gop=1" + aac, "avc1 mp4a", nil},
		{"H.264, every frame a keyframe", "-c:v libx264 -preset veryfast -g 1" + aac, "avc1 mp4a", nil},
		{"H.265 with B-frames and AAC", h265 + ":bframes=3" + aac, "hvc1 mp4a", nil},
		{"H.265 with open GOPs", h265 + ":bframes=3:open-gop=1", "hvc1", nil},
		{"AAC at 16 kHz", h264 + aac + " -ar 16000 -ac 1", "avc1 mp4a", nil},
		{"AAC at 44.1 kHz", h264 + aac + " -ar 44100 -ac 2", "avc1 mp4a", nil},
		{"Opus", h264 + " -map 1:a -c:a libopus", "avc1 Opus", nil},
		{"MP3", h264 + " -map 1:a -c:a libmp3lame", "avc1 mp4a", nil},
		{"A-law", h264 + " -map 1:a -c:a pcm_alaw -ar 8000 -ac 1", "avc1 alaw", nil},
		{"mu-law", h264 + " -map 1:a -c:a pcm_mulaw -ar 8000 -ac 1", "avc1 ulaw", nil},
		{"LPCM", h264 + " -map 1:a -c:a pcm_s16le", "avc1", []string{"LPCM"}},
		{"AC-3", h264 + " -map 1:a -c:a ac3", "avc1", []string{"AC-3"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := open(t, t.TempDir())
			recordFile(t, s, begin, encoded(t, 1, c.args))
			matroska, stream, file, result := exports(t, s)
			if diff := cmp.Diff(c.leftOut, result.LeftOut); diff != "" {
				t.Errorf("left out (-want +got):\n%s", diff)
			}
			for _, path := range []string{stream, file} {
				samePackets(t, path, matroska, len(strings.Fields(c.tags)))
				if got := strings.Fields(run(t, "ffprobe", "-v", "error", "-show_entries", "stream=codec_tag_string", "-of", "csv=p=0",
					path)); strings.Join(got, " ") != c.tags {
					t.Errorf("%s has %s, want %s", filepath.Base(path), got, c.tags)
				}
				others(t, path, len(strings.Fields(c.tags)))
			}
		})
	}
}

// samePackets compares the decoded frames and the times of a file with those of another one.
func samePackets(t *testing.T, path, other string, streams int) {
	t.Helper()
	for i, kind := range []string{"v", "a"}[:streams] {
		want := hashes(t, other, "0:"+kind)
		if diff := cmp.Diff(want, hashes(t, path, "0:"+kind)); diff != "" || len(want) == 0 {
			t.Errorf("frames of %s in %s (-want +got):\n%s", kind, filepath.Base(path), diff)
		}
		within := []time.Duration{0, time.Second / 100}[i] + time.Millisecond
		wantTimes, times := packetTimes(t, other, kind), packetTimes(t, path, kind)
		if len(wantTimes) != len(times) {
			t.Fatalf("%s of %s: %d packets, want %d", kind, filepath.Base(path), len(times), len(wantTimes))
		}
		zero, wantZero := packetTimes(t, path, "v")[0], packetTimes(t, other, "v")[0]
		for i, at := range times {
			if off := (at - zero) - (wantTimes[i] - wantZero); off.Abs() > within {
				t.Errorf("%s of %s: packet %d is %v off", kind, filepath.Base(path), i, off)
				break
			}
		}
	}
}

// packetTimes lists when packets are presented, in the order of the file.
func packetTimes(t *testing.T, path, kind string) (list []time.Duration) {
	t.Helper()
	for line := range strings.Lines(run(t, "ffprobe", "-v", "error", "-select_streams", kind, "-show_entries", "packet=pts_time",
		"-of", "csv=p=0", path)) {
		seconds, err := strconv.ParseFloat(strings.Trim(line, ",\n"), 64)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		list = append(list, time.Duration(seconds*float64(time.Second)))
	}
	return list
}

// others has mkvmerge and GStreamer read a file.
func others(t *testing.T, path string, tracks int) {
	t.Helper()
	var read struct {
		Container        struct{ Recognized, Supported bool }
		Tracks           []struct{ Type string }
		Errors, Warnings []string
	}
	if err := json.Unmarshal([]byte(run(t, "mkvmerge", "-J", path)), &read); err != nil {
		t.Fatal(err)
	}
	if !read.Container.Recognized || !read.Container.Supported || len(read.Tracks) != tracks || len(read.Errors)+len(read.Warnings) > 0 {
		t.Errorf("mkvmerge reads %+v", read)
	}
	pipeline := "filesrc location=" + path + " ! qtdemux name=d d.video_0 ! queue max-size-time=0 ! decodebin ! fakesink sync=false"
	if tracks > 1 {
		pipeline += " d.audio_0 ! queue max-size-time=0 ! decodebin ! fakesink sync=false"
	}
	run(t, gst, append([]string{"-q"}, strings.Fields(pipeline)...)...)
}

// TestVLCReadsMP4 has it pass on the pictures of a file that it reads.
func TestVLCReadsMP4(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg", "cvlc")
	s := open(t, t.TempDir())
	for i := range 2 {
		recordFile(t, s, begin.Add(time.Duration(i)*3*time.Second), encoded(t, 2, h264+" -bf 3 -x264-params open-gop=1"+aac))
	}
	_, stream, file, _ := exports(t, s)
	for _, path := range []string{stream, file} {
		home, err := os.MkdirTemp("", "vlc") // not below that of the test, which another user may not enter
		if err == nil {
			err = os.Chmod(home, 0o777)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(home) })
		in, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = in.Close() })
		out := filepath.Join(home, "out.h264")
		cmd := exec.CommandContext(t.Context(), "cvlc", "-I", "dummy", "--no-sout-audio", "--sout", "#std{access=file,mux=dummy,dst="+out+"}",
			"fd://0", "vlc://quit")
		cmd.Stdin, cmd.Env = in, append(os.Environ(), "HOME="+home)
		if os.Getuid() == 0 { // as root it does nothing
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		}
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, said)
		}
		if diff := cmp.Diff(hashes(t, path, "0:v"), hashes(t, out, "0:v")); diff != "" {
			t.Errorf("pictures of %s (-file +VLC):\n%s", filepath.Base(path), diff)
		}
	}
}

// TestMP4HoldsAChangeOfTheVideo in one track, whose keyframes have their parameter sets.
func TestMP4HoldsAChangeOfTheVideo(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg", "ffprobe", "mkvmerge", gst)
	for _, c := range []struct{ name, encoder, tag string }{{"H.264", h264 + " -bf 2", "avc3"}, {"H.265", h265 + ":bframes=2", "hev1"}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := open(t, t.TempDir())
			var want []string
			for i, size := range []string{"320x240", "640x360", "320x240"} {
				path := encoded(t, 1, c.encoder+aac+" -s "+size)
				recordFile(t, s, begin.Add(time.Duration(i)*2*time.Second), path)
				want = append(want, hashes(t, path, "0:v")...)
			}
			_, stream, file, result := exports(t, s)
			if result.AudioTracks != 1 {
				t.Errorf("%+v", result)
			}
			for _, path := range []string{stream, file} {
				if diff := cmp.Diff(want, hashes(t, path, "0:v")); diff != "" {
					t.Errorf("%s (-want +got):\n%s", filepath.Base(path), diff)
				}
				if tag := run(t, "ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "stream=codec_tag_string", "-of", "csv=p=0",
					path); strings.TrimSpace(tag) != c.tag {
					t.Errorf("%s is %s, want %s", filepath.Base(path), tag, c.tag)
				}
				others(t, path, 2)
			}
			// Each keyframe has its sets, as a player may begin there.
			for _, at := range []string{"2.5", "4.5", "0.5"} {
				sizes := run(t, "ffprobe", "-v", "error", "-read_intervals", at+"%+#1", "-select_streams", "v", "-show_entries", "frame=width",
					"-of", "csv=p=0", file)
				if want := map[string]string{"2.5": "640", "4.5": "320", "0.5": "320"}[at]; strings.Trim(sizes, ",\n") != want {
					t.Errorf("at %s s pictures are %s wide, want %s", at, sizes, want)
				}
			}
		})
	}
}

// TestMP4KeepsGaps: what was recorded a minute later is played a minute later, also where the audio begins later.
func TestMP4KeepsGaps(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg", "ffprobe")
	s := open(t, t.TempDir())
	path := encoded(t, 1, h264+" -bf 2"+aac)
	for i := range 3 {
		recordFile(t, s, begin.Add(time.Duration(i)*time.Minute), path)
	}
	matroska, stream, file, result := exports(t, s)
	samePackets(t, stream, matroska, 2)
	samePackets(t, file, matroska, 2)
	if len(result.Gaps) != 2 {
		t.Errorf("gaps %v", result.Gaps)
	}
	if length := result.To.Sub(result.From); length < 2*time.Minute || length > 2*time.Minute+2*time.Second {
		t.Errorf("from %s to %s", result.From, result.To)
	}
}

// TestMP4HasATrackForEachFormatOfAudio, and none where there is no audio.
func TestMP4HasATrackForEachFormatOfAudio(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg", "ffprobe")
	s := open(t, t.TempDir())
	var frames []int
	for i, args := range []string{
		"", aac + " -ar 16000 -ac 1", aac + " -ar 48000 -ac 2", aac + " -ar 16000 -ac 1", " -map 1:a -c:a pcm_s16le",
	} {
		path := encoded(t, 1, h264+args)
		recordFile(t, s, begin.Add(time.Duration(i)*2*time.Second), path)
		if strings.Contains(args, "aac") {
			frames = append(frames, len(hashes(t, path, "0:a")))
		}
	}
	_, stream, file, result := exports(t, s)
	if result.AudioTracks != 2 || !slices.Equal(result.LeftOut, []string{"LPCM"}) {
		t.Errorf("%+v", result)
	}
	for _, path := range []string{stream, file} {
		got := []int{len(hashes(t, path, "0:v")), len(hashes(t, path, "0:a:0")), len(hashes(t, path, "0:a:1"))}
		if want := []int{5 * 25, frames[0] + frames[2], frames[1]}; !slices.Equal(got, want) {
			t.Errorf("%s has %v frames, want %v", filepath.Base(path), got, want)
		}
	}
	starts := strings.Fields(run(t, "ffprobe", "-v", "error", "-show_entries", "stream=start_time", "-of", "csv=p=0", file))
	for i, want := range []float64{0, 2, 4} {
		if got, err := strconv.ParseFloat(starts[i], 64); err != nil || got < want-0.1 || got > want+0.1 {
			t.Errorf("track %d begins at %v, want %v", i, starts[i], want)
		}
	}
}

// TestMP4RefusesWhatOneFileCannotHold before anything is written.
func TestMP4RefusesWhatOneFileCannotHold(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		codec string
		after time.Duration
		want  string
	}{
		{"V_MPEGH/ISO/HEVC", time.Minute, "changed its video codec at 2026-11-21T04:21:48.123Z"},
		{track.CodecID, 25 * 24 * time.Hour, "for more than 24 days before 2026-12-16"},
		{track.CodecID, 24 * 24 * time.Hour, ""},
	} {
		s := open(t, t.TempDir())
		addSegment(t, s, begin)
		other := track
		other.CodecID = c.codec
		w := create(t, s, begin.Add(c.after), other)
		writeFragment(t, w, 0)
		seal(t, w)
		out := newSlowReader(t, 1<<30)
		_, err := Run(t.Context(), s, Options{Stream: "door", Format: MP4}, out)
		if c.want == "" && err == nil {
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || out.written > 0 {
			t.Errorf("%v: %v; %d bytes", c, err, out.written)
		}
	}
}

// TestAudioThatStopsForADayCountsInMilliseconds, as its own rate would take more than 31 bits.
func TestAudioThatStopsForADayCountsInMilliseconds(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg", "ffprobe")
	s := open(t, t.TempDir())
	path := encoded(t, 1, h264+aac)
	for i := range 2 {
		recordFile(t, s, begin.Add(time.Duration(i)*24*time.Hour), path)
	}
	matroska, stream, file, _ := exports(t, s)
	samePackets(t, file, matroska, 2)
	samePackets(t, stream, matroska, 2)
	if base := run(t, "ffprobe", "-v", "error", "-select_streams", "a", "-show_entries", "stream=time_base", "-of", "csv=p=0",
		file); strings.TrimSpace(base) != "1/1000" {
		t.Errorf("the audio counts in %s", base)
	}
}

// TestMP4WithoutAKeyframe: a GOP that was too long for a fragment continues in the next one.
func TestMP4WithoutAKeyframe(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	w := create(t, s, begin, track)
	for i := range 2 {
		if err := w.BeginFragment(time.Duration(i)*time.Second, i == 0); err != nil {
			t.Fatal(err)
		}
		for n := range 25 {
			at := time.Duration(i)*time.Second + time.Duration(n)*frameInterval
			if err := w.WriteFrame(1, at, i+n == 0, [][]byte{fmt.Appendf(nil, "frame %d", n)}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.EndFragment(); err != nil {
			t.Fatal(err)
		}
	}
	seal(t, w)
	r, err := s.OpenSegment(segment.Key{Stream: "door", Start: begin.UnixMilli()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	m := newFragmented("door", newSlowReader(t, 1<<30))
	list, _, err := r.Fragments()
	if err == nil {
		err = m.plan(r, list[1:])
	}
	if err != nil {
		t.Fatal(err)
	}
	l, err := m.planned.fragment(fragmentSource{r: r, f: list[0], at: time.Hour, next: []time.Duration{list[1].Start}, find: m.find})
	if err != nil || len(l.chunks) != 2 {
		t.Fatalf("%d chunks, %v", len(l.chunks), err)
	}
	for i, c := range l.chunks {
		for n, sample := range c.Samples {
			if sample.Sync != (i+n == 0) || sample.Duration != 40 {
				t.Errorf("sample %d of chunk %d is %+v", n, i, sample)
			}
		}
	}
}
