package recorder

import (
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/fakecam"
	"github.com/kvs-edge/kvs-edge-agent/internal/fragment"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// gopFilm sends GOPs to a segmenter, 25 frames a second.
type gopFilm struct {
	*segmenterRig
	at     time.Duration // of the next frame
	open   bool          // GOPs begin with I B B, shown as B B I, and without an IDR picture
	frames int
}

// gop sends one.
func (f *gopFilm) gop(length time.Duration) {
	const recovery = "\x06\x06\x01\x84\x80"
	for n, at := 0, f.at; at < f.at+length; n, at = n+1, at+tick {
		switch {
		case n == 0 && f.open && f.frames > 0:
			f.frame(at+2*tick, at, recovery, idrLike)
		case n == 0 && f.open:
			f.frame(at+2*tick, at, idr)
		case n == 0:
			f.frame(at, at, idr)
		case n < 3 && f.open && f.at == 0:
			continue // nothing is shown before the first keyframe
		case n < 3 && f.open:
			f.frame(at-tick, at, slice1)
		default:
			f.frame(at, at, slice1)
		}
		f.frames++
	}
	f.at += length
}

// expectFragments checks that nothing is missing, and that each fragment begins with a keyframe and has a length that KVS takes. It returns
// their lengths, from start to start, without the last one.
func (f *gopFilm) expectFragments() (lengths []time.Duration) {
	f.t.Helper()
	list, blocks := f.fragments()
	n := 0
	for i, of := range blocks {
		n += len(of)
		if !list[i].Keyframe || !of[0].Keyframe {
			f.t.Errorf("fragment %d does not begin with a keyframe", i)
		}
	}
	if n != f.frames {
		f.t.Errorf("%d frames are recorded, want %d", n, f.frames)
	}
	for i := range list[1:] {
		length := list[i+1].Start - list[i].Start
		if list[i+1].Start < list[i].Start {
			continue // of another segment
		}
		if lengths = append(lengths, length); length < fragment.Least || length > kvslimit.MaxFragment {
			f.t.Errorf("fragment %d lasts %s", i, length)
		}
	}
	return lengths
}

func meanOf(list []time.Duration) (sum time.Duration) {
	for _, d := range list {
		sum += d
	}
	return sum / time.Duration(max(1, len(list)))
}

// later is the target of streams that are not live.
var later = fragment.Length{}.Target(fragment.Later)

func TestFragmentLengths(t *testing.T) {
	t.Parallel()
	const s, ms = time.Second, time.Millisecond
	for name, row := range map[string]struct {
		gops       []time.Duration
		open       bool
		auto, live time.Duration // the length of fragments; 0: they differ
	}{
		"0.5 s":                    {gops: []time.Duration{520 * ms}, auto: 9880 * ms, live: 1040 * ms},
		"1 s":                      {gops: []time.Duration{s}, auto: 9 * s, live: s},
		"1 s, open GOPs":           {gops: []time.Duration{s}, open: true, auto: 9 * s, live: s},
		"1 s, with jitter":         {gops: []time.Duration{960 * ms, 1040 * ms, s, 1040 * ms, 960 * ms}},
		"a short and a long one":   {gops: []time.Duration{880 * ms, 18960 * ms}, live: 19840 * ms},
		"1 s and 9 s":              {gops: []time.Duration{s, 9 * s}},
		"30 half seconds, a 15 s":  {gops: append(slices.Repeat([]time.Duration{480 * ms}, 30), 15*s)},
		"4 s":                      {gops: []time.Duration{4 * s}, auto: 8 * s, live: 4 * s},
		"5 s":                      {gops: []time.Duration{5 * s}, auto: 5 * s, live: 5 * s},
		"9.6 s":                    {gops: []time.Duration{9600 * ms}, auto: 9600 * ms, live: 9600 * ms},
		"9.9 s":                    {gops: []time.Duration{9920 * ms}, auto: 9920 * ms, live: 9920 * ms},
		"10.1 s":                   {gops: []time.Duration{10120 * ms}, auto: 10120 * ms, live: 10120 * ms},
		"18 s":                     {gops: []time.Duration{18 * s}, auto: 18 * s, live: 18 * s},
		"two kinds":                {gops: []time.Duration{2 * s, 400 * ms, 3 * s}},
		"a long one":               {gops: append(slices.Repeat([]time.Duration{s}, 70), 18*s)},
		"long ones of an open GOP": {gops: append(slices.Repeat([]time.Duration{2 * s}, 40), 14*s), open: true},
	} {
		for mode, want := range map[string]time.Duration{"auto": row.auto, "live": row.live} {
			t.Run(name+"/"+mode, func(t *testing.T) {
				t.Parallel()
				f := gopFilm{segmenterRig: newSegmenterRig(t), open: row.open}
				if mode == "auto" {
					f.o.FragmentTarget = func() time.Duration { return later }
				}
				for i := 0; f.at < 3*time.Minute || i < len(row.gops)+2; i++ {
					f.gop(row.gops[i%len(row.gops)])
				}
				lengths := f.expectFragments()
				for i, got := range lengths {
					if off := (got - want).Abs(); want > 0 && off > 3*tick { // the first keyframe of open GOPs is shown later
						t.Errorf("fragment %d lasts %s, want %s", i, got, want)
					}
				}
				mean := meanOf(lengths)
				short := mode == "auto" && mean < 8500*time.Millisecond || mode == "live" && mean > 1100*time.Millisecond
				if short && (name == "1 s" || name == "1 s, with jitter") {
					t.Errorf("fragments last %s on average", mean)
				}
			})
		}
	}
}

// TestFragmentsOfRandomGOPs begin with a keyframe, however a camera chooses its GOPs.
func TestFragmentsOfRandomGOPs(t *testing.T) {
	t.Parallel()
	for seed := range uint64(24) {
		random := rand.New(rand.NewPCG(seed, 11))
		f := gopFilm{segmenterRig: newSegmenterRig(t), open: seed%2 == 1}
		target := []time.Duration{later, 19 * time.Second, 5 * time.Second}[seed%3]
		f.o.FragmentTarget = func() time.Duration { return target }
		for range 60 {
			length := time.Duration(25+random.IntN(50)) * tick
			if random.IntN(10) == 0 {
				length = time.Duration(25+random.IntN(440)) * tick
			}
			f.gop(length)
		}
		f.expectFragments()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// TestALengthIsChangedAtTheNextKeyframe without another segment, and without a lost frame.
func TestALengthIsChangedAtTheNextKeyframe(t *testing.T) {
	t.Parallel()
	f := gopFilm{segmenterRig: newSegmenterRig(t)}
	target := later
	f.o.FragmentTarget = func() time.Duration { return target }
	for range 12 {
		f.gop(time.Second)
	}
	target = fragment.Shortest
	for range 3 {
		f.gop(time.Second)
	}
	target = 5 * time.Second
	for range 11 {
		f.gop(time.Second)
	}
	s := func(n int) time.Duration { return time.Duration(n) * time.Second }
	if got, want := f.expectFragments(), []time.Duration{s(9), s(3), s(1), s(1), s(5), s(5)}; !slices.Equal(got[:len(want)], want) {
		t.Errorf("fragments last %s, want %s", got, want)
	}
	if n := len(f.store.Segments("door", time.Time{}, time.Time{})); n != 1 {
		t.Errorf("%d segments", n)
	}
}

// TestStepsOfTheClockInLongFragments neither lose frames nor make fragments that KVS refuses.
func TestStepsOfTheClockInLongFragments(t *testing.T) {
	t.Parallel()
	for name, step := range map[string]time.Duration{"forward": time.Hour, "back": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := gopFilm{segmenterRig: newSegmenterRig(t)}
			f.o.FragmentTarget = func() time.Duration { return later }
			for range 24 {
				f.gop(time.Second)
			}
			now := f.at + step
			for range 24 * 25 { // the camera's timestamps continue
				nal := slice1
				if f.frames%25 == 0 {
					nal = idr
				}
				f.frame(f.at, now, nal)
				f.at, now, f.frames = f.at+tick, now+tick, f.frames+1
			}
			f.expectFragments()
		})
	}
}

// TestAMovedGOPHasCues as every keyframe has.
func TestAMovedGOPHasCues(t *testing.T) {
	t.Parallel()
	f := gopFilm{segmenterRig: newSegmenterRig(t)}
	f.o.FragmentTarget = func() time.Duration { return later }
	for range 8 {
		f.gop(time.Second)
	}
	f.gop(16 * time.Second)
	f.gop(time.Second)
	f.expectFragments()
	for _, info := range f.store.Segments("door", time.Time{}, time.Time{}) {
		r, err := f.store.OpenSegment(info.Key)
		if err != nil {
			t.Fatal(err)
		}
		m, err := mkv.Open(r, info.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := m.Verify(true); err != nil || len(v.Damaged) > 0 || len(v.Fragments) != 3 {
			t.Errorf("%d fragments, damaged: %+v, %v", len(v.Fragments), v.Damaged, err)
		}
		_ = r.Close()
	}
}

// TestFragmentsOfACamera has cameras whose time passes ten times as fast as ours.
func TestFragmentsOfACamera(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		target      time.Duration
		least, most time.Duration // of the mean
		audio       string
	}{
		"auto":            {later, 8500 * time.Millisecond, 9900 * time.Millisecond, ""},
		"auto with sound": {later, 8500 * time.Millisecond, 9900 * time.Millisecond, fakecam.AudioMuLaw},
		"live":            {fragment.Shortest, time.Second, 1100 * time.Millisecond, ""},
		"5s":              {5100 * time.Millisecond, 4900 * time.Millisecond, 5100 * time.Millisecond, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := lapse{step: tick, camera: tick}
			camera := startCamera(t, fakecam.Options{FPS: 250, Audio: row.audio, Oddities: fakecam.Oddities{Wire: l.wire}})
			r := record(t, camera, camera.URL(), l.change, func(o *Options) {
				o.SegmentDuration = time.Hour
				o.FragmentTarget = func() time.Duration { return row.target }
			})
			r.awaitFrames(65 * 25)
			r.settle()
			r.expectAll()
			var lengths []time.Duration
			r.eachRecording(func(_ segment.Info, _ *mkv.Reader, fragments []mkv.Fragment) {
				for i := range fragments[1:] {
					lengths = append(lengths, fragments[i+1].Start-fragments[i].Start)
					if !fragments[i].Keyframe {
						t.Errorf("fragment %d does not begin with a keyframe", i)
					}
				}
			})
			if mean := meanOf(lengths); mean < row.least || mean > row.most {
				t.Errorf("fragments last %s on average, want %s to %s: %s", mean, row.least, row.most, lengths)
			}
			r.mustMux()
			at := []string{"-v", "error", "-read_intervals", "5.5%+#1", "-select_streams", "v", "-show_entries", "packet=pts_time", "-of", "csv=p=0"}
			path := r.store.Path(r.recordings()[0].Key)
			if out, err := exec.Command("ffprobe", append(at, path)...).Output(); err != nil || !strings.HasPrefix(string(out), "5.") {
				t.Errorf("a player that seeks to 5.5 s reads from %q on, %v; want the keyframe before", out, err)
			}
		})
	}
}

// TestLiveFragmentsOfOtherClocks last a second, although the times of a camera with a keyframe a second are slewed to the hub's clock, and
// its frames arrive late at random.
func TestLiveFragmentsOfOtherClocks(t *testing.T) {
	t.Parallel()
	for _, ppm := range []int{-20_000, -2_000, -200, -20, 0, 20, 200, 2_000, 20_000} {
		f := gopFilm{segmenterRig: newSegmenterRig(t)}
		random := rand.New(rand.NewPCG(uint64(ppm+1_000_000), 13))
		for n := range 25 * 300 {
			nal := slice1
			if n%25 == 0 {
				nal = idr
			}
			at := time.Duration(n) * tick
			late := time.Duration(random.IntN(80)) * time.Millisecond
			if random.IntN(500) == 0 {
				late += time.Duration(random.IntN(900)) * time.Millisecond
			}
			f.frame(at, at+at/1_000_000*time.Duration(ppm)+late, nal)
			f.frames++
		}
		lengths := f.expectFragments()
		if mean := meanOf(lengths); mean < 970*time.Millisecond || mean > 1100*time.Millisecond {
			t.Errorf("%d ppm: fragments last %s on average", ppm, mean)
		}
	}
}
