package mkv

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/iotest"
	"time"
)

var aac = Track{Number: 2, Kind: Audio, CodecID: CodecAAC, CodecPrivate: []byte{0x11, 0x90}, SampleRate: 48000, Channels: 2}

// seen is a frame as it is read back.
type seen struct {
	track    uint8
	time     time.Duration
	keyframe bool
	data     string
}

func framesOf(t *testing.T, r io.ReaderAt, size int64, f Fragment) []seen {
	t.Helper()
	reader := Reader{scan: scanner{r: r, size: size}}
	var list []seen
	for b, err := range reader.Blocks(f) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, seen{b.Track, b.Time, b.Keyframe, string(b.Data)})
	}
	return list
}

// film writes one fragment with a keyframe at each of those times, given in ms, and pictures every 40 ms.
// With leading, two pictures that are shown before a keyframe come behind it.
func film(t *testing.T, random *rand.Rand, length int, keyframes []int, sound, leading bool) (*bytes.Reader, Fragment, Header) {
	t.Helper()
	video := Track{Number: 1, Kind: Video, CodecID: CodecAVC, CodecPrivate: []byte{1}, Width: 640, Height: 480}
	h := Header{Start: sampleStart, Title: "door", Tracks: []Track{video}}
	if sound {
		h.Tracks = append(h.Tracks, aac)
	}
	file := create(t)
	w, err := NewWriter(file, h, WriterOptions{})
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(err)
	must(w.BeginFragment(5*time.Second, true))
	frame := func(track uint8, at int, key bool) {
		data := make([]byte, 1+random.IntN(300))
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		must(w.WriteFrame(track, 5*time.Second+time.Duration(at)*time.Millisecond, key, [][]byte{data}))
	}
	for at := 0; at < length; at += 40 {
		key := slices.Contains(keyframes, at)
		if late := at - 60; sound && late >= 0 {
			frame(2, late, true) // comes later than the pictures of its time
		}
		if leading && key && at > 0 {
			frame(1, at+80, true)
			frame(1, at, false)
			frame(1, at+40, false)
			at += 80
			continue
		}
		frame(1, at, key)
	}
	must(w.Close())
	data := make([]byte, w.Size())
	if _, err := file.ReadAt(data, 0); err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(data), w.Fragments()[0], h
}

func all(Track) bool { return true }

func TestPartsTogetherAreTheFragment(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for n := range 200 {
		var keyframes []int
		length := 1000 + 40*random.IntN(400)
		for at := 0; at < length; at += 40 * (1 + random.IntN(60)) {
			keyframes = append(keyframes, at)
		}
		sound, leading := n%3 > 0, n%2 > 0
		t.Run(fmt.Sprintf("%d ms, keyframes %v, sound %v, leading %v", length, keyframes, sound, leading), func(t *testing.T) {
			r, f, h := film(t, random, length, keyframes, sound, leading)
			selection := Select(h, all)
			if sound && n%5 == 0 {
				selection = Select(h, onlyVideo)
			}
			checkParts(t, r, f, selection)
		})
	}
}

func checkParts(t *testing.T, r *bytes.Reader, f Fragment, selection Selection) {
	t.Helper()
	parts, err := Parts(r, f, selection, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	want := slices.DeleteFunc(framesOf(t, r, r.Size(), f), func(s seen) bool { return !selection.kept[s.track] })
	var got []seen
	var cut Cut
	before := time.Duration(-1)
	for i, p := range parts {
		if err := cut.LoadPart(r, f, selection, p); err != nil {
			t.Fatal(err)
		}
		data := make([]byte, ClusterHeadSize)
		PutClusterHead(data, p.Size, p.Start.Milliseconds())
		media, err := io.ReadAll(iotest.OneByteReader(&cut))
		if err != nil || int64(len(media)) != cut.Size() || p.Size != ClusterHeadSize+cut.Size() {
			t.Fatalf("part %d has %d bytes, Size says %d, the part %d: %v", i, len(media), cut.Size(), p.Size, err)
		}
		data = append(data, media...)
		frames := framesOf(t, bytes.NewReader(data), int64(len(data)), Fragment{Size: int64(len(data)), Start: p.Start})
		video := slices.IndexFunc(frames, func(s seen) bool { return s.track == 1 })
		if video < 0 || !frames[video].keyframe {
			t.Errorf("part %d does not begin with a keyframe", i)
		}
		last := time.Duration(0)
		for _, s := range frames {
			if s.time <= before || i > 0 && s.time < p.Start {
				t.Errorf("part %d from %v has a frame at %v, the part before ends at %v", i, p.Start, s.time, before)
			}
			last = max(last, s.time)
		}
		if last != p.Last {
			t.Errorf("part %d ends at %v, Last says %v", i, last, p.Last)
		}
		if i > 0 && p.Start-parts[i-1].Start < time.Second {
			t.Errorf("part %d begins %v after the previous one", i, p.Start-parts[i-1].Start)
		}
		before = last
		got = append(got, frames...)
	}
	byTrack := func(a, b seen) int { return int(a.track) - int(b.track) }
	slices.SortStableFunc(got, byTrack)
	slices.SortStableFunc(want, byTrack)
	if !slices.Equal(got, want) {
		t.Errorf("%d frames, want the %d of the fragment as they are", len(got), len(want))
	}
}

func TestWhereAFragmentIsSplit(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	for name, row := range map[string]struct {
		length    int
		keyframes []int
		want      []int
	}{
		"one keyframe":       {10_000, []int{0}, []int{0}},
		"every second":       {5000, []int{0, 1000, 2000, 3000, 4000}, []int{0, 1000, 2000, 3000, 4000}},
		"half seconds":       {3000, []int{0, 520, 1040, 1560, 2080, 2600}, []int{0, 1040}},
		"the last too short": {2960, []int{0, 1000, 2000}, []int{0, 1000}},
		"too short":          {1920, []int{0, 960}, []int{0}},
	} {
		r, f, h := film(t, random, row.length, row.keyframes, true, false)
		parts, err := Parts(r, f, Select(h, all), time.Second)
		var got []int
		for _, p := range parts {
			got = append(got, int((p.Start-f.Start)/time.Millisecond))
		}
		if err != nil || !slices.Equal(got, row.want) {
			t.Errorf("%s: parts at %v, want %v: %v", name, got, row.want, err)
		}
	}
}

// A part without sound would be refused by the service where the session has a track of it.
func TestAPartHasAFrameOfEveryTrack(t *testing.T) {
	t.Parallel()
	h := Header{Tracks: []Track{{Number: 1, Kind: Video}, {Number: 2, Kind: Audio}}}
	at := func(b []byte, ms int16) []byte {
		binary.BigEndian.PutUint16(b[6:], uint16(ms))
		return b
	}
	for name, row := range map[string]struct {
		sound []int16
		want  int
	}{
		"in all":        {[]int16{100, 2100, 4100}, 3},
		"not the first": {[]int16{2100, 4100}, 2},
		"not in one":    {[]int16{100, 4100}, 2},
		"not the last":  {[]int16{100, 2100}, 2},
		"in one":        {[]int16{4100}, 1},
		"in none":       {nil, 1},
	} {
		var children [][]byte
		for ms := int16(0); ms < 6000; ms += 100 {
			children = append(children, at(append(appendBlockHead(nil, 1, 0, ms%2000 == 0, 1), 'v'), ms))
			if slices.Contains(row.sound, ms) {
				children = append(children, at(simple(2, "a"), ms))
			}
		}
		data, f := cluster(children...)
		f.Last, f.Frames = 5900*time.Millisecond, 60
		parts, err := Parts(bytes.NewReader(data), f, Select(h, all), time.Second)
		if err != nil || len(parts) != row.want {
			t.Errorf("%s: %d parts, want %d: %v", name, len(parts), row.want, err)
		}
	}
}
