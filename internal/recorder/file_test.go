package recorder

import (
	"context"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/clip"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// makeFile has ffmpeg make a media file in a directory, of a duration in seconds.
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
		o.Source = &clipSource{Options: clip.Options{URL: cameraOf(o).URL, Directory: dir}}
		o.SegmentDuration = time.Second
	}
}

// clipSource is a media file whose options a test changes before it is recorded.
type clipSource struct {
	clip.Options
	Source // nil
}

// files returns the paths of the recording, oldest first.
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
		// As fast as possible, and without a clock: at its own pace a busy machine would fall behind,
		// and restart.
		now := time.Now()
		o.Now = func() time.Time { return now }
		o.Source.(*clipSource).Wait = func(ctx context.Context, _ time.Time) error {
			if waits.Add(1) > passes*(25+1) { // one before each picture, one at the end
				<-ctx.Done()
			}
			return ctx.Err()
		}
	})
	r.await("all passes", func() bool { return r.handed.Load() >= passes*25 })
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

// A file that is played has no clock of its own: when the hub's clock is set, its recording follows it.
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
	if len(infos) != 2 || !infos[0].ClockUnset || infos[0].ClockOffset == 0 || infos[1].ClockUnset ||
		infos[1].End.Sub(now).Abs() > 5*time.Second {
		t.Fatalf("at %s: %+v", now, infos)
	}
	var pictures []string
	for _, path := range r.files() {
		pictures = append(pictures, frameSums(t, path)...)
	}
	const reordered = 3 // the last pictures may refer to missing ones that are shown before them
	for i, sum := range pictures[:len(pictures)-reordered] {
		if sum != want[i%len(want)] {
			t.Fatalf("picture %d of %d is not the file's", i, len(pictures))
		}
	}
}

// The clock may be set when no more frames arrive: because a window closes, or the source has ended.
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
