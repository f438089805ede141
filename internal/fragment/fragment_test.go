package fragment_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/kvs-edge/kvs-edge-agent/internal/fragment"
	"github.com/kvs-edge/kvs-edge-agent/internal/kvslimit"
)

var start = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func TestLengths(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "auto", "auto": "auto", " AUTO ": "auto", "1s": "1s", "19s": "19s", "5000ms": "5s", "2.5s": "2.5s",
	} {
		l, err := fragment.Parse(text)
		if err != nil || l.String() != want {
			t.Errorf("%q is %s, %v; want %s", text, l, err, want)
		}
		if again, err := fragment.Parse(l.String()); err != nil || again != l {
			t.Errorf("%s is read as %s, %v", l, again, err)
		}
	}
	for _, text := range []string{"0", "999ms", "19.001s", "20s", "5", "-5s", "1m", "never", "5 s", "NaNs"} {
		if l, err := fragment.Parse(text); err == nil || err.Error() != fragment.Rule {
			t.Errorf("%q is %s, %v", text, l, err)
		}
	}
}

func TestLengthsInWords(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		text   string
		upload fragment.Upload
		want   string
	}{
		{"auto", fragment.Later, "as many GOPs as fit into 9.9 s"}, {"auto", fragment.Live, "up to the first keyframe after 1.0 s"},
		{"5s", fragment.Later, "as many GOPs as fit into 5.0 s"}, {"5s", fragment.Live, "as many GOPs as fit into 5.0 s"},
	} {
		l, err := fragment.Parse(row.text)
		if got := l.Words(row.upload); err != nil || got != row.want {
			t.Errorf("%s is %q, %v; want %q", row.text, got, err, row.want)
		}
	}
}

// gops repeats some lengths of GOPs, for that long.
func gops(total time.Duration, lengths ...time.Duration) (list []time.Duration) {
	for sum := time.Duration(0); sum < total; {
		next := lengths[len(list)%len(lengths)]
		list, sum = append(list, next), sum+next
	}
	return list
}

// recorded is a fragment as it was recorded.
type recorded struct {
	length   time.Duration
	gops     int
	frames   int
	keyframe bool // it begins with one
}

// record decides as a recorder does, with a frame every 40 ms of some size. The last fragment is left out: it has no end yet.
func record(list []time.Duration, target time.Duration, size int64) (fragments []recorded) {
	const frame = 40 * time.Millisecond
	var (
		known  fragment.GOPs
		now    = start
		began  = start
		bytes  int64 // of the stream
		before int64 // of the stream at the start of the fragment
		open   = recorded{keyframe: true}
	)
	cut := func(keyframe bool) {
		open.length = now.Sub(began)
		fragments = append(fragments, open)
		open, began, before = recorded{keyframe: keyframe, gops: 1}, now, bytes
	}
	for i, length := range list {
		at := fragment.Open{Age: now.Sub(began), Bytes: bytes - before, GOPs: open.gops}
		if known.Keyframe(now, bytes); i > 0 && known.End(at, target) {
			cut(true)
		} else {
			open.gops++
		}
		bytes, open.frames = bytes+size, open.frames+1
		end := now.Add(length)
		for now = now.Add(frame); now.Before(end); now = now.Add(frame) {
			if (fragment.Open{Age: now.Sub(began), Bytes: bytes - before, GOPs: open.gops, Frames: open.frames}).Full(size) {
				cut(false)
			}
			bytes, open.frames = bytes+size, open.frames+1
		}
		now = end
	}
	return fragments
}

func mean(list []recorded) (sum time.Duration) {
	for _, f := range list {
		sum += f.length
	}
	return sum / time.Duration(len(list))
}

func TestFragmentsHaveAsManyGOPsAsFit(t *testing.T) {
	t.Parallel()
	const s, ms = time.Second, time.Millisecond
	for _, row := range []struct {
		gops      []time.Duration
		auto      time.Duration // the length of fragments
		live      time.Duration
		fixed5    time.Duration
		longest   time.Duration // 19s
		untouched bool          // a GOP is longer than any fragment
	}{
		{gops: []time.Duration{500 * ms}, auto: 9500 * ms, live: s, fixed5: 5 * s, longest: 19 * s},
		{gops: []time.Duration{s}, auto: 9 * s, live: s, fixed5: 5 * s, longest: 19 * s},
		{gops: []time.Duration{2 * s}, auto: 8 * s, live: 2 * s, fixed5: 4 * s, longest: 18 * s},
		{gops: []time.Duration{4 * s}, auto: 8 * s, live: 4 * s, fixed5: 4 * s, longest: 16 * s},
		{gops: []time.Duration{5 * s}, auto: 5 * s, live: 5 * s, fixed5: 5 * s, longest: 15 * s},
		{gops: []time.Duration{9600 * ms}, auto: 9600 * ms, live: 9600 * ms, fixed5: 9600 * ms, longest: 9600 * ms},
		{gops: []time.Duration{9900 * ms}, auto: 9900 * ms, live: 9900 * ms, fixed5: 9900 * ms, longest: 9900 * ms},
		{gops: []time.Duration{10100 * ms}, auto: 10100 * ms, live: 10100 * ms, fixed5: 10100 * ms, longest: 10100 * ms},
		{gops: []time.Duration{18 * s}, auto: 18 * s, live: 18 * s, fixed5: 18 * s, longest: 18 * s},
	} {
		for name, want := range map[string]time.Duration{"auto": row.auto, "live": row.live, "5s": row.fixed5, "19s": row.longest} {
			upload, text := fragment.Later, name
			if name == "live" {
				upload, text = fragment.Live, "auto"
			}
			l, err := fragment.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			for i, f := range record(gops(5*time.Minute, row.gops...), l.Target(upload), 20_000) {
				if f.length != want || !f.keyframe {
					t.Errorf("GOPs of %s, %s: fragment %d lasts %s, begins with a keyframe: %v; want %s", row.gops, name, i, f.length, f.keyframe, want)
					break
				}
			}
		}
	}
}

// TestJitterCostsNoGOP has keyframes that come early or late, by up to as much as jitter says, around a second or a half.
func TestJitterCostsNoGOP(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	random := rand.New(rand.NewPCG(1, 2))
	for name, row := range map[string]struct {
		setting     string
		upload      fragment.Upload
		gop, jitter time.Duration
		least, most time.Duration // of the mean
	}{
		"auto":         {"auto", fragment.Later, 1000 * ms, 40 * ms, 8500 * ms, 9900 * ms},
		"5 s":          {"5s", fragment.Later, 1000 * ms, 15 * ms, 4900 * ms, 5100 * ms},
		"19 s":         {"19s", fragment.Later, 1000 * ms, 40 * ms, 17900 * ms, 19000 * ms},
		"live":         {"auto", fragment.Live, 1000 * ms, 40 * ms, 980 * ms, 1100 * ms},
		"live, 15 fps": {"auto", fragment.Live, 1000 * ms, 67 * ms, 980 * ms, 1100 * ms},
		"live, 2 %":    {"auto", fragment.Live, 980 * ms, 1 * ms, 970 * ms, 1100 * ms},
		"live, 0.5 s":  {"auto", fragment.Live, 500 * ms, 20 * ms, 980 * ms, 1100 * ms},
		"live, 0.92 s": {"auto", fragment.Live, 920 * ms, 1 * ms, 1800 * ms, 1900 * ms}, // so the camera is set
		"live, 0.3 s":  {"auto", fragment.Live, 300 * ms, 1 * ms, 1150 * ms, 1250 * ms},
	} {
		list := gops(10*time.Minute, row.gop)
		for i := range list {
			list[i] += time.Duration(random.Int64N(int64(2*row.jitter))) - row.jitter
		}
		l, err := fragment.Parse(row.setting)
		if err != nil {
			t.Fatal(err)
		}
		if got := mean(record(list, l.Target(row.upload), 20_000)); got < row.least || got > row.most {
			t.Errorf("%s: fragments last %s on average, want %s to %s", name, got, row.least, row.most)
		}
	}
}

// TestALongGOPAfterAShortOne is not cut: the short one cannot be a fragment by itself, and both are not longer than KVS takes.
func TestALongGOPAfterAShortOne(t *testing.T) {
	t.Parallel()
	list := gops(10*time.Minute, 880*time.Millisecond, 19*time.Second)
	for i, f := range record(list, fragment.Shortest, 20_000) {
		if !f.keyframe || f.length > kvslimit.MaxFragment {
			t.Errorf("fragment %d lasts %s, begins with a keyframe: %v", i, f.length, f.keyframe)
		}
	}
}

// TestOneLongGOPIsRemembered for a minute.
func TestOneLongGOPIsRemembered(t *testing.T) {
	t.Parallel()
	list := append(gops(30*time.Second, time.Second), 6*time.Second)
	list = append(list, gops(3*time.Minute, time.Second)...)
	at, shortened := time.Duration(0), time.Duration(0)
	for _, f := range record(list, fragment.Length{}.Target(fragment.Later), 20_000) {
		if at += f.length; at > 36*time.Second && f.length < 8*time.Second {
			shortened = at
		}
	}
	if shortened < 90*time.Second || shortened > 110*time.Second {
		t.Errorf("fragments are shorter until %s, want a minute after the GOP that ended at 36 s", shortened)
	}
}

// TestRandomGOPs holds what KVS demands, whatever a camera sends. The model cuts where a recorder would move a GOP.
func TestRandomGOPs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		longest := rapid.IntRange(1, 25_000).Draw(t, "longest")
		of := rapid.OneOf(rapid.IntRange(40, 40+longest), rapid.Just(40+longest), rapid.IntRange(900, 1100))
		ms := rapid.SliceOfN(of, 2, 200).Draw(t, "GOPs")
		list := make([]time.Duration, len(ms))
		for i := range ms {
			list[i] = time.Duration(ms[i]) * time.Millisecond
		}
		text := rapid.SampledFrom([]string{"auto", "1s", "5s", "19s"}).Draw(t, "setting")
		l, err := fragment.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		upload := rapid.SampledFrom([]fragment.Upload{fragment.Live, fragment.Later}).Draw(t, "upload")
		size := rapid.SampledFrom([]int64{200, 20_000, 400_000}).Draw(t, "size")
		for i, f := range record(list, l.Target(upload), size) {
			if f.length > kvslimit.MaxFragment || f.length < fragment.Least {
				t.Fatalf("fragment %d lasts %s", i, f.length)
			}
		}
	})
}

// TestTimesThatAreSetBack forget GOPs whose times are still to come.
func TestTimesThatAreSetBack(t *testing.T) {
	t.Parallel()
	var g fragment.GOPs
	g.Keyframe(start, 0)
	g.Keyframe(start.Add(8*time.Second), 100)
	if got := g.Longest(); got != 8*time.Second {
		t.Errorf("the longest GOP is %s", got)
	}
	g.Keyframe(start.Add(-time.Hour), 200)
	g.Keyframe(start.Add(-time.Hour), 210)
	if got := g.Longest(); got != 0 {
		t.Errorf("after a step back the longest GOP is %s", got)
	}
	g.Interrupt()
	g.Keyframe(start.Add(-2*time.Hour), 250)
	g.Keyframe(start.Add(-2*time.Hour+time.Second), 260)
	if got := g.Longest(); got != time.Second {
		t.Errorf("after an interruption and a step back the longest GOP is %s", got)
	}
	g.Interrupt()
	g.Keyframe(start.Add(time.Hour), 300)
	g.Keyframe(start.Add(time.Hour+time.Second), 400)
	if got := g.Longest(); got != time.Second {
		t.Errorf("after an interruption the longest GOP is %s", got)
	}
}

// TestDecidingAllocatesNothing at a keyframe.
func TestDecidingAllocatesNothing(t *testing.T) {
	var g fragment.GOPs
	now := start
	random := rand.New(rand.NewPCG(3, 4))
	if n := testing.AllocsPerRun(1000, func() {
		now = now.Add(time.Duration(1+random.IntN(3000)) * time.Millisecond)
		g.Keyframe(now, 1)
		_ = g.End(fragment.Open{Age: 3 * time.Second}, 9*time.Second)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// ExampleGOPs_End has a camera with a keyframe every 4 s: two GOPs fit into 9.9 s.
func ExampleGOPs_End() {
	var known fragment.GOPs
	auto := fragment.Length{}.Target(fragment.Later)
	began := start
	for i := range 6 {
		at := start.Add(time.Duration(i) * 4 * time.Second)
		known.Keyframe(at, int64(i)*1_000_000)
		if age := at.Sub(began); known.End(fragment.Open{Age: age}, auto) {
			fmt.Println("a fragment of", age)
			began = at
		}
	}
	// Output:
	// a fragment of 8s
	// a fragment of 8s
}
