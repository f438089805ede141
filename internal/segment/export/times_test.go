package export

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/audio"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/mp4"
	"github.com/kvs-edge/kvs-edge-agent/internal/mp4/sample"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/testtools"
)

// TestEachSampleOfAStreamEndsWhereTheNextOneBegins, also the last one of a fragment and of a segment, and where leading pictures of the
// next one are presented before its keyframe. ffprobe reads the stream.
func TestEachSampleOfAStreamEndsWhereTheNextOneBegins(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffmpeg", "ffprobe")
	for name, args := range map[string]string{
		"H.264, closed GOPs": h264 + " -bf 0" + aac,
		"H.264, open GOPs":   h264 + " -bf 3 -x264-params open-gop=1" + aac,
		"H.265, open GOPs":   h265 + ":bframes=3:open-gop=1" + aac,
		"mu-law":             h264 + " -bf 3 -map 1:a -c:a pcm_mulaw -ar 8000 -ac 1",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, t.TempDir())
			path := encoded(t, 2, args)
			for i := range 2 { // two segments, with less than a gap between them
				recordFile(t, s, begin.Add(time.Duration(i)*2200*time.Millisecond), path)
			}
			_, stream, _, _ := exports(t, s)
			durations := videoDurations(t, stream)
			var times [][2]int // pts, dts
			for line := range strings.Lines(run(t, "ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "packet=pts,dts", "-of",
				"csv=p=0", stream)) {
				var row [2]int
				if _, err := fmt.Sscanf(line, "%d,%d", &row[0], &row[1]); err != nil {
					t.Fatalf("%q: %v", line, err)
				}
				times = append(times, row)
			}
			if len(times) != 100 || len(durations) != 100 {
				t.Fatalf("%d pictures with %d durations", len(times), len(durations))
			}
			for i, now := range times[:len(times)-1] {
				if next := times[i+1]; now[1]+durations[i] != next[1] {
					t.Errorf("picture %d is decoded from %d ms for %d ms, the next one at %d ms", i, now[1], durations[i], next[1])
				}
				if now[0] < now[1] {
					t.Errorf("picture %d is presented at %d ms and decoded at %d ms", i, now[0], now[1])
				}
			}
		})
	}
}

// videoDurations lists how long the samples of video last, as the runs of a stream say it; ffprobe has only their mean.
func videoDurations(t *testing.T, path string) (list []int) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const video = "trun\x01\x00\x0f\x01" // with an offset, and durations, sizes, flags and composition times
	for {
		_, rest, found := strings.Cut(string(data), video)
		if !found {
			return list
		}
		data = []byte(rest)
		for i := range int(binary.BigEndian.Uint32(data)) {
			list = append(list, int(binary.BigEndian.Uint32(data[8+16*i:])))
		}
	}
}

// deepFirst records a segment that begins in the middle of an open GOP: the pictures behind the first keyframe are presented up to 120 ms
// before it, and only these are reordered.
func deepFirst(t *testing.T, s *segment.Store, start time.Time) {
	t.Helper()
	w := create(t, s, start, track)
	picture := func(at time.Duration, keyframe bool) {
		t.Helper()
		if err := w.WriteFrame(1, at, keyframe, [][]byte{{0x65, 1, 2, 3}}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		from := 200*time.Millisecond + time.Duration(i)*time.Second
		if err := w.BeginFragment(from, true); err != nil {
			t.Fatal(err)
		}
		picture(from, true)
		if i == 0 {
			for n := range 3 {
				picture(from-time.Duration(3-n)*frameInterval, false)
			}
		}
		for n := 1; n < 25; n++ {
			picture(from+time.Duration(n)*frameInterval, false)
		}
	}
	seal(t, w)
}

// TestAnExportThatBeginsWithLeadingPictures has none that is presented before it is decoded, and the time of its first picture.
func TestAnExportThatBeginsWithLeadingPictures(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffprobe")
	s := open(t, t.TempDir())
	deepFirst(t, s, begin)
	_, stream, file, result := exports(t, s)
	if want := begin.Add(200 * time.Millisecond); !result.From.Equal(want) {
		t.Errorf("it is from %s, want %s", result.From, want)
	}
	const first = 80 * time.Millisecond // the first picture, since begin
	for _, path := range []string{stream, file} {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if want := begin.Add(first).Format("2006-01-02T15:04:05.000Z"); !strings.Contains(string(data), want) {
			t.Errorf("%s does not say that it begins at %s", filepath.Base(path), want)
		}
		for line := range strings.Lines(run(t, "ffprobe", "-v", "error", "-show_entries", "packet=pts,dts", "-of", "csv=p=0", path)) {
			var pts, dts int
			if _, err := fmt.Sscanf(line, "%d,%d", &pts, &dts); err != nil || pts < dts {
				t.Errorf("%s: a picture is presented at %s", filepath.Base(path), line)
			}
		}
	}
	// The keyframe is decoded at 80 ms, and the first picture at 120 ms.
	m := newFragmented("door", newSlowReader(t, 1<<30))
	plan(t, s, m)
	if got := m.describe(begin, 0).Tracks[0].Delay; got != 40 {
		t.Errorf("samples are %d ms later, want 40", got)
	}
}

// plan has a container plan all segments of the stream door.
func plan(t *testing.T, s *segment.Store, m *fragmented) {
	t.Helper()
	for _, info := range s.Segments("door", time.Time{}, time.Time{}) {
		r, err := s.OpenSegment(info.Key)
		if err != nil {
			t.Fatal(err)
		}
		list, _, err := r.Fragments()
		if err = errors.Join(err, m.plan(r, list), r.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

var muLaw = audio.Format{Codec: audio.MuLaw, Rate: 8000, Channels: 1}

// withAudio records a segment of a second with two frames of audio, which begins so long after begin.
func withAudio(t *testing.T, s *segment.Store, after time.Duration, sound bool) {
	t.Helper()
	tracks := []mkv.Track{track}
	if sound {
		tracks = append(tracks, muLaw.Track(2))
	}
	w, err := s.Create("door", mkv.Header{Start: begin.Add(after), Title: "door", Tracks: tracks})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.BeginFragment(0, true); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		at := time.Duration(i) * 500 * time.Millisecond
		err := w.WriteFrame(1, at, i == 0, [][]byte{{0x65, 1, 2, 3}})
		if sound {
			err = errors.Join(err, w.WriteFrame(2, at, true, [][]byte{make([]byte, 160)}))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	seal(t, w)
}

// TestAudioThatPausesForMonths does not keep anything from being exported: its track counts in larger units, and its times stay.
func TestAudioThatPausesForMonths(t *testing.T) {
	t.Parallel()
	testtools.Need(t, "ffprobe")
	const day = 24 * time.Hour
	for _, c := range []struct {
		pause time.Duration
		base  string
	}{{day, "1/8000"}, {20 * day, "1/1000"}, {60 * day, "1/100"}, {300 * day, "1/10"}} {
		s := open(t, t.TempDir())
		withAudio(t, s, 0, true)
		for at := 20 * day; at < c.pause; at += 20 * day {
			withAudio(t, s, at, false)
		}
		withAudio(t, s, c.pause, true)
		_, stream, _, _ := exports(t, s)
		if base := run(t, "ffprobe", "-v", "error", "-select_streams", "a", "-show_entries", "stream=time_base", "-of", "csv=p=0",
			stream); strings.TrimSpace(base) != c.base {
			t.Errorf("after a pause of %s the audio counts in %s, want %s", c.pause, base, c.base)
		}
		times := packetTimes(t, stream, "a")
		if got := times[len(times)-2] - times[0]; (got - c.pause).Abs() > 100*time.Millisecond {
			t.Errorf("the pause takes %s, want %s", got, c.pause)
		}
	}
}

// TestTheFirstPassReadsNoMedia: what G.711 needs follows from the sizes of its frames.
func TestTheFirstPassReadsNoMedia(t *testing.T) {
	t.Parallel()
	for _, f := range []audio.Format{muLaw, {Codec: audio.ALaw, Rate: 16000, Channels: 2}} {
		got, err := sample.NewTrack(mp4.Track{}, f.Track(2)).Samples(nil, mkv.Place{Size: 320})
		if want := 320 / f.Channels; err != nil || got != want {
			t.Errorf("%v: %d samples, %v; want %d", f, got, err, want)
		}
	}
}

// TestNoFrameForMP4 is an error before anything is written.
func TestNoFrameForMP4(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	addSegment(t, s, begin)
	out := newSlowReader(t, 1<<30)
	m := newFragmented("door", out)
	r, err := s.OpenSegment(s.Segments("door", time.Time{}, time.Time{})[0].Key)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	list, _, err := r.Fragments()
	m.learn(r.Header().Tracks)
	m.tracks[0].Kind = mkv.Audio // no track is found for the frames
	if err = errors.Join(err, m.begin(r, list[0], begin), m.add(r, list[0], 0)); err != nil {
		t.Fatal(err)
	}
	err = m.end(new(Result))
	var fault *health.Fault
	if !errors.As(err, &fault) || fault.Code != Code || out.written > 0 ||
		!strings.Contains(fault.Text, "hold no frame that players play in MP4") {
		t.Errorf("%v; %d bytes", err, out.written)
	}
}

// flip changes a bit of a fragment's media in its file.
func flip(t *testing.T, path string, at int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	var b [1]byte
	_, err = f.ReadAt(b[:], at)
	b[0] ^= 0x10
	_, writeErr := f.WriteAt(b[:], at)
	if err = errors.Join(err, writeErr, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestADamagedFragmentIsSaidOfMatroska, in which it is as it is on the disk; those that follow each other are said as one.
func TestADamagedFragmentIsSaidOfMatroska(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		damaged []int
		want    [][2]int // the first and the last fragment of each
	}{{nil, nil}, {[]int{1}, [][2]int{{1, 1}}}, {[]int{0, 1}, [][2]int{{0, 1}}}, {[]int{0, 2}, [][2]int{{0, 0}, {2, 2}}}} {
		s := open(t, t.TempDir())
		key := addSegment(t, s, begin)
		r, err := s.OpenSegment(key)
		if err != nil {
			t.Fatal(err)
		}
		list, _, err := r.Fragments()
		if err = errors.Join(err, r.Close()); err != nil {
			t.Fatal(err)
		}
		for _, i := range row.damaged {
			flip(t, s.Path(key), list[i].Offset+list[i].Size/2)
		}
		result, err := Run(t.Context(), s, Options{Stream: "door"}, newSlowReader(t, 1<<30))
		var want []Damage
		for _, span := range row.want {
			want = append(want, Damage{begin.Add(list[span[0]].Start), begin.Add(list[span[1]].Last), s.Path(key)})
		}
		if err != nil || result.Fragments != 3 || len(result.Damaged) > 0 || len(result.Changed) != len(want) {
			t.Fatalf("%v: %+v %v", row.damaged, result, err)
		}
		for i, d := range result.Changed {
			if !d.From.Equal(want[i].From) || !d.To.Equal(want[i].To) || d.Path != want[i].Path {
				t.Errorf("%v: %+v, want %+v", row.damaged, d, want[i])
			}
		}
	}
}

// TestADamagedFragmentIsNotInMP4, and it is said: a bit of its media changed on the disk.
func TestADamagedFragmentIsNotInMP4(t *testing.T) {
	t.Parallel()
	for _, damaged := range [][]int{{0}, {1}, {2}, {0, 1}, {0, 1, 2}} {
		s := open(t, t.TempDir())
		key := addSegment(t, s, begin)
		r, err := s.OpenSegment(key)
		if err != nil {
			t.Fatal(err)
		}
		list, _, err := r.Fragments()
		if err = errors.Join(err, r.Close()); err != nil {
			t.Fatal(err)
		}
		for _, i := range damaged {
			flip(t, s.Path(key), list[i].Offset+list[i].Size/2)
		}
		out := newSlowReader(t, 1<<30)
		result, err := Run(t.Context(), s, Options{Stream: "door", Format: MP4}, out)
		if len(damaged) == 3 {
			if err == nil || !strings.Contains(err.Error(), "are damaged and cannot be read") || out.written > 0 {
				t.Errorf("all: %v; %d bytes", err, out.written)
			}
			continue
		}
		if err != nil || result.Fragments != 3-len(damaged) || len(result.Damaged) != len(damaged) || len(result.Gaps) > 0 {
			t.Errorf("%v: %+v %v", damaged, result, err)
			continue
		}
		for n, d := range result.Damaged {
			i := damaged[n]
			if from := begin.Add(list[i].Start); !d.From.Equal(from) || d.Path != s.Path(key) {
				t.Errorf("%v: %+v, want it from %s", damaged, d, from)
			}
		}
		data, err := os.ReadFile(out.Name())
		if err != nil || slices.Contains(damaged, 0) == !result.From.After(begin) {
			t.Errorf("%v: it begins at %s; %v", damaged, result.From, err)
		}
		if n := strings.Count(string(data), "moof"); n != 3-len(damaged) {
			t.Errorf("%v: %d fragments are in the file", damaged, n)
		}
	}
}

// TestTheTracksOfAHeader: the boxes that a reader needs to seek in it, of which this package computes the numbers.
func TestTheTracksOfAHeader(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	deepFirst(t, s, begin)
	out := newSlowReader(t, 1<<30)
	if _, err := Run(t.Context(), s, Options{Stream: "door", Format: MP4}, out); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Index(string(data), "mehd")
	if length := binary.BigEndian.Uint64(data[at+8:]); length != 3081 { // from 80 ms to 3,160 ms, and its last millisecond
		t.Errorf("it is %d ms long", length)
	}
}
