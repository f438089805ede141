package accessunit_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
)

// The shortest valid slices of H.264: of a picture that others reference, of one that none does, and of an IDR picture.
// The digit is the number of their first macroblock.
const (
	p0, p1, p2, p3 = "\x41\x9a", "\x41\x40", "\x41\x60", "\x41\x20" // 0, 1, 2, 3
	b0, b1         = "\x01\x9a", "\x01\x40"
	i0, i1, i2     = "\x65\x88", "\x65\x40", "\x65\x60"
)

// sendAll sends packets that are written as "timestamp[!] name", ! for a marker, and - for one that is lost.
func sendAll(w *wire, packets string, named map[string]string) {
	for line := range strings.FieldsFuncSeq(packets, func(r rune) bool { return r == ',' || r == '\n' }) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		var t uint32
		_, _ = fmt.Sscan(strings.TrimSuffix(fields[0], "!"), &t)
		send := w.send
		if fields[len(fields)-1] == "-" {
			send = w.lose
		}
		send(t, strings.HasSuffix(fields[0], "!"), named[fields[1]])
	}
}

// kinds are the packets that the tables name.
var kinds = map[string]string{
	"P0": p0 + "p0", "P1": p1 + "p1", "P2": p2 + "p2", "P3": p3 + "p3", "B0": b0 + "b0", "B1": b1 + "b1",
	"I0": i0 + "i0", "I1": i1 + "i1", "I2": i2 + "i2", "sps": sps, "pps": pps, "sei": sei, "aud": aud, "filler": filler, "none": "",
	"P0a": "\x5c\x81\x9aa long beginning", "P0b": "\x5c\x01b", "P0c": "\x5c\x41c", // fragments
	"P1a": "\x5c\x81\x40a long beginning", "P1c": "\x5c\x41c",
	"vendor": "\x7evendor",
	"avccI":  "\x00\x00\x00\x07" + sps[:1] + "a long" + "\x00\x00\x00\x04" + i0 + "i0", "avccP": "\x00\x00\x00\x04" + p0 + "p0",
}

// names replaces the bytes of access units by the names of their packets.
func names(units []string) []string {
	replace := []string{p0 + "a long beginningbc", "P0abc", p0 + "a long beginningc", "P0ac", p1 + "a long beginningc", "P1ac"}
	for _, name := range []string{"P0", "P1", "P2", "P3", "B0", "B1", "I0", "I1", "I2", "sps", "pps", "sei", "aud", "filler"} {
		replace = append(replace, kinds[name], name)
	}
	r := strings.NewReplacer(append(replace, "|", " ")...)
	var list []string
	for _, u := range units {
		list = append(list, r.Replace(u))
	}
	return list
}

// TestKindsOfPictures is the table of how cameras set the timestamps and markers of pictures, and of the access units lost.
func TestKindsOfPictures(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		packets string
		want    []string // access units
		times   []uint32 // of them, where they matter
		lost    int64
	}{
		"slices with times of their own": {"10 I0, 11 I1, 12! I2, 20 P0, 21 P1, 22! P2, 30 P0, 31 P1, 32! P2",
			[]string{"I0 I1 I2", "P0 P1 P2", "P0 P1 P2"}, []uint32{10, 20, 30}, 0},
		"the same, a marker each": {"10! I0, 11! I1, 12! I2, 20! P0, 21! P1, 22! P2",
			[]string{"I0 I1 I2", "P0 P1 P2"}, nil, 0},
		"the same, no marker": {"10 I0, 11 I1, 12 I2, 20 P0, 21 P1, 22 P2",
			[]string{"I0 I1 I2", "P0 P1 P2"}, nil, 0},
		"two slices a time": {"10 I0, 10 I1, 11! I2, 20 P0, 20 P1, 21! P2",
			[]string{"I0 I1 I2", "P0 P1 P2"}, nil, 0},
		"a time for each packet": {"10 I0, 20 P0a, 21 P0b, 22! P0c, 30! P0",
			[]string{"I0", "P0abc", "P0"}, []uint32{10, 20, 30}, 0},
		"at the beginning, too":                    {"20 P0a, 21 P0b, 22! P0c, 30! P0", []string{"P0abc", "P0"}, nil, 0},
		"a session begins among slices with times": {"11 I1, 12! I2, 20 P0, 21 P1, 22! P2", []string{"P0 P1 P2"}, nil, 0},
		"parameter sets with another time": {"8! sps, 9! pps, 10! I0, 19 sei, 20! P0, 30! P0",
			[]string{"sps pps I0", "sei P0", "P0"}, []uint32{10, 20, 30}, 0},
		"field pairs with one time": {"10 I0, 10! P0, 20 P0, 20! P0",
			[]string{"I0", "P0", "P0", "P0"}, []uint32{10, 10, 20, 20}, 0},
		"field pairs with two times": {"10! I0, 15! P0, 20! P0, 25! P0",
			[]string{"I0", "P0", "P0", "P0"}, []uint32{10, 15, 20, 25}, 0},
		"field pairs of slices, no marker": {"10 I0, 10 I1, 15 P0, 15 P1, 20 P0, 20 P1",
			[]string{"I0 I1", "P0 P1", "P0 P1"}, nil, 0},
		"a slice is lost among times": {"10 I0, 11! I1, 20 P0, 21! P1, 30 P0 -, 31! P1, 40 P0, 41! P1, 50 sps, 50 I0, 51! I1",
			[]string{"I0 I1", "P0 P1", "P0 P1", "sps I0 I1"}, nil, 1},
		"a slice in the middle is lost": {"10 I0, 11 I1, 12! I2, 20 P0, 21 P1 -, 22! P2, 30 sps, 30 I0, 31 I1, 32! I2",
			[]string{"I0 I1 I2", "sps I0 I1 I2"}, nil, 1},
		"the camera leaves out a first slice": {"10 P0, 10! P1, 20! P1, 30 P0, 30! P1", []string{"P0 P1", "P0 P1"}, nil, 1},
		"and refers to nothing":               {"10 P0, 10! P1, 20! B1, 30 P0, 30! P1", []string{"P0 P1", "P0 P1"}, nil, 1},
		"a filler with a time of its own": {"10! I0, 15! filler, 20! P0, 25! filler, 30! P0",
			[]string{"I0 filler", "P0 filler", "P0"}, []uint32{10, 20, 30}, 0},
		"packets of types that are not defined": {"10! I0, 20 vendor, 20 P0a, 20 vendor, 20 P0b, 20! P0c, 21 vendor, 30! P0",
			[]string{"I0", "P0abc", "P0"}, nil, 0},
		"empty packets, with a marker": {"10! I0, 10! none, 20 none, 20! P0, 20 none, 30! P0",
			[]string{"I0", "P0", "P0"}, nil, 0},
		"one of several slices is torn":  {"10! I0, 20 P0, 20 P1a, 30! P0", []string{"I0", "P0"}, nil, 1},
		"lengths instead of start codes": {"10! avccI, 20! avccP, 30! avccP", []string{"ga long I0", "P0", "P0"}, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire(accessunit.H264)
			sendAll(w, c.packets, kinds)
			w.feed.Flush()
			if got := names(w.heard.units); !slices.Equal(got, c.want) || w.heard.lost != c.lost {
				t.Errorf("%q and %d lost, want\n%q and %d", got, w.heard.lost, c.want, c.lost)
			}
			if c.times != nil && !slices.Equal(w.heard.times, c.times) {
				t.Errorf("times %d, want %d", w.heard.times, c.times)
			}
		})
	}
}

// TestNumbersThatJump has sequence numbers continue elsewhere between pictures, where the time shows that none is missing, and where
// it does not. A parameter set in front marks the start of a picture.
func TestNumbersThatJump(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		at    int // picture before which they jump
		jump  uint16
		pause uint32 // ticks that pass besides
		half  bool   // it is in the middle of a picture
		lost  int64
	}{
		"far":                          {40, 20_000, 0, false, 0},
		"back":                         {40, 65_036, 0, false, 0},
		"by some":                      {40, 20, 0, false, 0},
		"by one":                       {40, 1, 0, false, 0},
		"before a rate is known":       {3, 20_000, 0, false, 0},
		"while time passes":            {40, 20, 30, false, 3},
		"far, while much time passes":  {40, 20_000, 3000, false, 0},
		"in the middle of a picture":   {40, 20_000, 0, true, 1},
		"somewhat, within the picture": {40, 20, 0, true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire(accessunit.H264)
			now := uint32(0)
			for i := range 60 {
				now += 10
				if i == c.at {
					now += c.pause
				}
				w.send(now, false, kinds["sps"])
				if i == c.at && c.half {
					w.send(now, false, kinds["P0"])
					w.next += c.jump
					w.send(now, true, kinds["P1"])
					continue
				}
				w.send(now, true, kinds["P0"])
				if i == c.at-1 && !c.half {
					w.next += c.jump
				}
			}
			w.feed.Flush()
			if w.heard.lost != c.lost {
				t.Errorf("%d lost, want %d", w.heard.lost, c.lost)
			}
		})
	}
}

// TestInterleaved sends pictures in an order other than decoding order.
func TestInterleaved(t *testing.T) {
	t.Parallel()
	stapB := func(don byte, nal string) string {
		return "\x79\x00" + string(don) + "\x00" + string(byte(len(nal))) + nal
	}
	w := newWire(accessunit.InterleavedH264(2))
	w.send(10, false, "\x79\x00\x00\x00\x04"+sps+"\x00\x04"+pps)
	w.send(30, false, stapB(4, p0+"p0"))
	w.send(10, false, "\x7d\x85\x00\x02\x88i")
	w.send(20, false, stapB(3, p0+"p0"))
	w.send(10, true, "\x7c\x450") // the end of the FU-B's NAL unit? It is of another one, and left out
	w.feed.Flush()
	if len(w.heard.units) != 0 {
		t.Errorf("%q without a complete keyframe", w.heard.units)
	}
	w = newWire(accessunit.InterleavedH264(2))
	w.send(10, false, "\x79\x00\x00\x00\x04"+sps+"\x00\x04"+pps)
	w.send(30, false, stapB(4, p0+"p0"))
	w.send(10, false, "\x7d\x85\x00\x02\x88i")
	w.send(10, false, "\x7c\x450")
	w.send(20, false, stapB(3, p0+"p0"))
	w.send(50, false, stapB(6, p0+"p0"))
	w.send(40, false, stapB(5, p0+"p0"))
	w.feed.Flush()
	if got := names(w.heard.units); !slices.Equal(got, []string{"sps pps I0", "P0", "P0", "P0", "P0"}) || w.heard.lost != 0 {
		t.Errorf("%q and %d lost", got, w.heard.lost)
	}
	if !slices.Equal(w.heard.times, []uint32{10, 20, 30, 40, 50}) {
		t.Errorf("times %d", w.heard.times)
	}
}
