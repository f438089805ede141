package recorder

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// makeFile has ffmpeg make a file of so many seconds in a directory.
func makeFile(t *testing.T, dir, name, seconds string, arguments ...string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	arguments = slices.Concat([]string{"-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=" + seconds,
		"-f", "lavfi", "-i", "sine=frequency=500:duration=" + seconds}, arguments, []string{path})
	if out, err := exec.Command("ffmpeg", arguments...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v %s", err, out)
	}
	return path
}

func fromFile(dir string) func(*Options) {
	return func(o *Options) {
		o.File, o.MediaDirectory = true, dir
		o.SegmentDuration = time.Second
	}
}

// files are those of the recording, oldest first.
func (r *rig) files() (paths []string) {
	r.t.Helper()
	for _, info := range r.recordings() {
		found, err := filepath.Glob(filepath.Join(r.dir, r.stream, info.StartTime().Format("20060102T150405.000Z")+"*.mkv"))
		if err != nil || len(found) != 1 {
			r.t.Fatal(found, err)
		}
		paths = append(paths, found[0])
	}
	return paths
}

func TestFilesArePlayedWhole(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg", "ffprobe", "mkvinfo")
	aac := []string{"-c:a", "aac", "-ar", "16000", "-ac", "1"}
	for _, c := range []struct {
		name, file string
		arguments  []string
		audio      bool
	}{
		{"MKV", "a.mkv", slices.Concat(x264("-bf", "0", "-g", "10"), aac), true},
		{"MP4 with B-frames", "a.mp4", slices.Concat(x264("-bf", "2", "-g", "15"), aac), true},
		{"MP4 in fragments", "a.mp4", slices.Concat(x264("-bf", "2", "-g", "15"), aac, []string{"-movflags", "frag_keyframe+empty_moov"}), true},
		{"MPEG-TS", "a.ts", slices.Concat(x264("-bf", "2", "-g", "15"), aac), true},
		{"H.265 in MP4", "a.mp4", slices.Concat(x265("keyint=25:bframes=2:open-gop=0"), []string{"-an"}), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			source := makeFile(t, dir, c.file, "3", c.arguments...)
			want := frameSums(t, source)
			began := time.Now()
			r := record(t, nil, "file://"+source, fromFile(dir))
			r.await("the end of the file", func() bool { return r.part.Snapshot().State == statePlayed })
			if took := time.Since(began); took < 2900*time.Millisecond {
				t.Errorf("3 s were played in %s", took)
			}
			if n, lost := r.number(health.FramesRecorded), r.number(health.FramesLost); n != int64(len(want)) || lost != 0 {
				t.Errorf("%d frames are recorded, %d lost, of %d", n, lost, len(want))
			}
			r.finish()
			var got, sounds []string
			for _, path := range r.files() {
				mustBeStrict(t, path)
				got = append(got, cleanPictures(t, path)...)
				if c.audio {
					sounds = append(sounds, packetSums(t, path)...)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%d pictures are not the %d of the source", len(got), len(want))
			}
			if c.audio && c.file != "a.ts" { // whose packets have headers of their own
				expectSounds(t, sounds, packetSums(t, source))
			}
		})
	}
}

func TestALoopedFileIsPlayedAgainWithoutAHole(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg")
	dir := t.TempDir()
	source := makeFile(t, dir, "a.mp4", "1", append(x264("-bf", "2", "-g", "10"), "-an")...)
	want := frameSums(t, source)
	const passes = 4
	var waits atomic.Int64
	r := record(t, nil, "file:///a.mp4?loop=true", fromFile(dir), func(o *Options) {
		// As fast as it can be, and in no time: at its own pace a busy machine would fall behind,
		// and begin anew.
		now := time.Now()
		o.Now = func() time.Time { return now }
		o.pace = func(ctx context.Context, _ time.Time) error {
			if waits.Add(1) > passes*(25+1) { // one before each picture, one at the end
				<-ctx.Done()
			}
			return ctx.Err()
		}
	})
	r.await("so many passes", func() bool { return r.handed.Load() >= passes*25 })
	r.finish()
	var got []string
	for _, path := range r.files() {
		got = append(got, frameSums(t, path)...)
	}
	for i, sum := range got {
		if sum != want[i%len(want)] {
			t.Fatalf("picture %d is not the file's", i)
		}
	}
	infos := r.recordings()
	span := r.store.LastEnd("door").Sub(infos[0].StartTime())
	if d := span - time.Duration(len(got)-1)*40*time.Millisecond; d.Abs() > 100*time.Millisecond {
		t.Errorf("%d pictures take %s", len(got), span)
	}
	if n := r.number(health.FramesLost) + r.number(health.Gaps); n != 0 {
		t.Errorf("%d frames lost or gaps", n)
	}
}

// A file that is played has no clock of its own: its recording follows the hub's when that is set.
func TestAPlayedFileFollowsTheClockOfTheHub(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg")
	dir := t.TempDir()
	source := makeFile(t, dir, "a.mp4", "1", append(x264("-bf", "2", "-g", "10"), "-c:a", "aac", "-ar", "16000", "-ac", "1")...)
	want := frameSums(t, source)
	var offset atomic.Int64
	offset.Store(int64(-time.Since(time.Unix(0, 0))))
	r := record(t, nil, "file:///a.mp4?loop=true", fromFile(dir), func(o *Options) {
		o.SegmentDuration = time.Hour
		o.Now = func() time.Time { return testtools.Stepped(time.Now(), time.Duration(offset.Load())) }
	})
	r.awaitFrames(30)
	offset.Store(0)
	r.awaitCondition("The hub's clock was not set until")
	r.awaitFrames(80)
	now := time.Now()
	r.finish()
	infos := r.recordings()
	if len(infos) != 2 || !infos[0].ClockUnset || infos[0].ClockOffset == 0 || infos[1].ClockUnset || infos[1].End.Sub(now).Abs() > 5*time.Second {
		t.Fatalf("at %s: %+v", now, infos)
	}
	pictures := 0
	for _, path := range r.files() {
		for _, sum := range frameSums(t, path) {
			if sum != want[pictures%len(want)] {
				t.Fatalf("picture %d is not the file's", pictures)
			}
			pictures++
		}
	}
}

// The clock may be set when no more frames come: a window closes with that, or the source is at its end.
func TestTheEndOfARecordingPlacesItInTime(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg")
	dir := t.TempDir()
	makeFile(t, dir, "a.mp4", "1", append(x264("-bf", "0", "-g", "10"), "-an")...)
	var offset atomic.Int64
	ahead := time.Since(time.Unix(0, 0))
	offset.Store(int64(-ahead))
	r := record(t, nil, "file:///a.mp4", fromFile(dir), func(o *Options) {
		o.Now = func() time.Time { return testtools.Stepped(time.Now(), time.Duration(offset.Load())) }
	})
	r.await("the end of the file", func() bool { return r.part.Snapshot().State == statePlayed })
	offset.Store(0)
	r.finish()
	if infos := r.recordings(); len(infos) != 1 || !infos[0].ClockUnset || (infos[0].ClockOffset-ahead).Abs() > time.Second {
		t.Errorf("%+v is not %s ahead", infos, ahead)
	}
	if conditions := r.part.Snapshot().Conditions; len(conditions) != 0 {
		t.Errorf("a recorder that is stopped says %+v", conditions)
	}
}

func TestAFileThatCannotBePlayedIsNamed(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg")
	dir, outside := t.TempDir(), t.TempDir()
	secretFile := makeFile(t, outside, "private.mkv", "1", append(x264(), "-an")...)
	for link, target := range map[string]string{"link.mkv": secretFile, "up": outside} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	inside := makeFile(t, dir, "inside.mkv", "1", append(x264(), "-an")...)
	if err := os.Symlink("inside.mkv", filepath.Join(dir, "good.mkv")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "text.mp4"), []byte("this is no film"), 0o600); err != nil {
		t.Fatal(err)
	}
	makeFile(t, dir, "vp8.mkv", "1", "-c:v", "libvpx", "-an")
	whole, err := os.ReadFile(inside)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "head.mkv"), whole[:20], 0o600); err != nil {
		t.Fatal(err)
	}
	if err := exec.Command("mkfifo", filepath.Join(dir, "pipe.mkv")).Run(); err != nil {
		t.Fatal(err)
	}
	for url, says := range map[string]string{
		"file:///missing.mkv":            "There is no media file missing.mkv",
		"file:///link.mkv":               "must lie in",
		"file:///up/private.mkv":         "must lie in",
		"file:///../private.mkv":         "must lie in",
		"file://" + secretFile:           "no media file private.mkv",
		"file:///text.mp4":               "neither MP4 nor Matroska",
		"file:///vp8.mkv":                "V_VP8",
		"file:///head.mkv":               "has no video",
		"file:///pipe.mkv":               "is not a file",
		"file:///":                       "file:///door.mp4",
		"rtsp://user:hunter2@10.0.0.1/x": "FILE_URI",
		"file:///inside.mkv?loop=often":  "loop",
		"file:///good.mkv":               "",
	} {
		_, err := Look(t.Context(), secret.New(url), Options{File: true, MediaDirectory: dir})
		switch fault := health.FaultOf(err, ""); {
		case says == "" && err != nil:
			t.Errorf("%s: %v", url, err)
		case says != "" && (err == nil || fault.Class != health.UserError || !strings.Contains(fault.Text, says) || strings.Contains(err.Error(), "hunter2")):
			t.Errorf("%s: %v", url, err)
		}
	}
	seen, err := Look(t.Context(), secret.New("file:///inside.mkv"), Options{File: true, MediaDirectory: dir})
	if err != nil || seen.Codec != "H.264" || seen.Width != 320 || seen.FPS < 20 {
		t.Errorf("%+v %v", seen, err)
	}
	_, err = Look(t.Context(), secret.New("file:///inside.mkv"), Options{})
	if err == nil || !strings.Contains(err.Error(), "RTSP_URI") {
		t.Errorf("a file for a camera: %v", err)
	}
}
