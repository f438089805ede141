package sequence_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit/sequence"
)

// noon is when packets arrive.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// counted lists n numbers, by a step.
func counted(from, step, n int) string {
	var list []string
	for i := range n {
		list = append(list, strconv.Itoa(int(uint16(from+i*step))))
	}
	return strings.Join(list, " ")
}

// TestNumbers is the table of how cameras count. The input is the numbers of packets; a=N is a packet of another track, and N*
// a duplicate of the previous packet. The output is the distance of each number from the previous one: + for 1, and a
// dot for a packet without content.
func TestNumbers(t *testing.T) {
	t.Parallel()
	plus := func(n int) string { return strings.TrimSpace(strings.Repeat("+ ", n)) }
	for name, c := range map[string]struct{ come, want string }{
		"by one":                          {counted(65530, 1, 20), plus(19)},
		"with losses":                     {"1 2 3 6 7 9", "+ + 3 + 2"},
		"a loss at once":                  {"1 3 4 5 6", "2 + + +"},
		"overtaken":                       {"1 3 2 4", "2 -1 2"},
		"twice":                           {"1 2 2* 3 3* 4", "+ + +"},
		"long ago":                        {counted(1, 1, 200) + " 100* 201", plus(200)},
		"not at all":                      {"7 7 7 7 7 7", plus(5)},
		"pictures":                        {"7 7 7 8 8 9 9 9", plus(7)},
		"pictures, each with one":         {"7 8 9 9 10 11 11", plus(6)},
		"by two":                          {counted(10, 2, 30), plus(29)},
		"by two, with a loss":             {counted(10, 2, 15) + " " + counted(44, 2, 10), plus(14) + " 3 " + plus(9)},
		"backwards":                       {counted(10, -1, 30), plus(29)},
		"by 5000":                         {counted(10, 5000, 30), plus(29)},
		"by two from some time on":        {counted(1, 1, 20) + " " + counted(22, 2, 30), plus(19) + strings.Repeat(" 2", 15) + " " + plus(15)},
		"by two, and then by one":         {counted(10, 2, 20) + " 49 50 51", plus(19) + " 8192 + +"},
		"restart, far away":               {"1 2 3 30000 30001", "+ + 29997 +"},
		"restart, a little back":          {counted(1, 1, 30) + " 10 11 12", plus(29) + " 8192 + +"},
		"with all tracks":                 {"1 2 a=3 4 5 a=6 a=7 8", "+ .+ + + .+ .+ +"},
		"with all tracks, and a loss":     {"1 2 a=3 5 6 a=7 8 a=9 10", "+ .+ 2 + .+ + .+ +"},
		"in turn with the other":          {interleaved(40), strings.TrimSpace(strings.Repeat(".+ + ", 39))},
		"in turn with the other, then on": {interleaved(40) + " 79 80", strings.TrimSpace(strings.Repeat(".+ + ", 39)) + " + +"},
		"with all tracks, out of order":   {"1 2 4 a=3 5", "+ 2 .-1 2"},
		"each on its own, from 0":         {"0 a=0 1 2 a=1 a=2 4 5 a=3 7", "+ + 2 + 2"},
		"each on its own, another ahead":  {"a=50 a=51 a=52 48 49 50 52 53", "+ + 2 +"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			var before uint16
			first := true
			n := sequence.NewNumbers(func(p sequence.Packet, _ time.Time) {
				text := ""
				if len(p.Payload) == 0 {
					text = "."
				}
				switch distance := int16(p.Sequence - before); {
				case first:
				case distance == 1:
					got = append(got, text+"+")
				default:
					got = append(got, text+strconv.Itoa(int(distance)))
				}
				first, before = false, p.Sequence
			})
			push(n, c.come)
			n.Flush()
			if text := strings.Join(got, " "); text != c.want {
				t.Errorf("%s:\n%s, want\n%s", c.come, text, c.want)
			}
		})
	}
}

// interleaved lists packets that share a count with another track's, in turn.
func interleaved(n int) string {
	var list []string
	for i := range n {
		if i > 0 {
			list = append(list, fmt.Sprintf("a=%d", 2*i-1))
		}
		list = append(list, strconv.Itoa(2*i))
	}
	return strings.Join(list, " ")
}

// push pushes packets as the tables write them.
func push(n *sequence.Numbers, words string) {
	sent := make(map[int]sequence.Packet)
	for i, word := range strings.Fields(words) {
		if other, is := strings.CutPrefix(word, "a="); is {
			number, _ := strconv.Atoi(other)
			n.Elsewhere(uint16(number), noon)
			continue
		}
		again := strings.HasSuffix(word, "*")
		number, _ := strconv.Atoi(strings.TrimSuffix(word, "*"))
		p := sequence.Packet{Sequence: uint16(number), Timestamp: uint32(i), Payload: []byte(fmt.Sprintf("packet %d", i))}
		if again {
			p = sent[number]
		}
		sent[number] = p
		n.Push(p, noon)
	}
}

// TestTrack is the table of SSRCs. A packet is written as the letter of its SSRC, its number and, after a colon, its
// timestamp; a number by itself is a pause in milliseconds.
func TestTrack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		come, want string
		dropped    int64
	}{
		"one":                             {"a1:1 a2:1 a3:2", "a1 a2 a3", 0},
		"another that continues":          {"a1:1 a2:1 b3:2 b4:2", "a1 a2 b3 b4", 0},
		"each picture another":            {"a1:1 b2:2 c3:3 d4:4", "a1 b2 c3 d4", 0},
		"late of the previous one":        {"a1:1 a3:1 b4:2 a2:1 b5:2", "a1 a3 b4 a2 b5", 0},
		"another that restarts":           {"a1:1 a2:1 b900:7 b901:7 b902:8", "a1 a2 | b900 b901 b902", 0},
		"and the session ends":            {"a1:1 a2:1 b900:7 b901:7", "a1 a2 | b900 b901", 0},
		"two in turn":                     {"a1:1 b900:7 a2:1 b901:7 a3:2 b902:8 a4:2", "a1 a2 a3 a4", 3},
		"two, a picture each":             {"a1:1 a2:1 b900:7 b901:7 a3:2 a4:2 b902:8 b903:8 a5:3", "a1 a2 a3 a4 a5", 4},
		"two, and the first ends":         {"a1:1 b900:7 a2:1 b901:7 2000 b902:8 b903:8", "a1 a2 | b901 b902 b903", 1},
		"two, the second is faster":       {"a1:1 b900:7 b901:8 a2:2 b902:9 a3:3 b903:10", "a1 | b900 b901 b902 b903", 2},
		"two, pictures in turn by twos":   {"a1:1 b900:7 b901:8 a2:2 a3:3 b902:9 b903:10 a4:4", "a1 | b900 b901 | a2 a3 a4", 2},
		"three":                           {"a1:1 b900:7 c300:5 a2:1 c301:5 b901:7 a3:2", "a1 a2 a3", 4},
		"a stray one":                     {"a1:1 a2:1 b900:7 a3:2 a4:2", "a1 a2 a3 a4", 1},
		"late, when another restarts":     {"a1:1 a3:1 b900:7 a2:1 b901:7 b902:8", "a1 a3 a2 | b900 b901 b902", 0},
		"two, and the session ends":       {"a1:1 b900:7 a2:1 b901:7", "a1 a2", 2},
		"a pause before the next":         {"a1:1 1500 b900:7", "a1 | b900", 0},
		"a foreign one that had followed": {"a1:1 b900:7 a2:1 b3:2 a3:2", "a1 a2 a3", 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			track := sequence.NewTrack(func(p sequence.Packet, _ time.Time) {
				got = append(got, fmt.Sprintf("%c%d", rune(p.SSRC), p.Sequence))
			}, func(uint16) { got = append(got, "|") })
			now := noon
			for i, word := range strings.Fields(c.come) {
				if pause, err := strconv.Atoi(word); err == nil {
					now = now.Add(time.Duration(pause) * time.Millisecond)
					continue
				}
				number, stamp, _ := strings.Cut(word[1:], ":")
				n, _ := strconv.Atoi(number)
				at, _ := strconv.Atoi(stamp)
				track.Push(sequence.Packet{SSRC: uint32(word[0]), Sequence: uint16(n), Timestamp: uint32(at), Payload: []byte{byte(i)}}, now)
			}
			track.Flush()
			if want := strings.Fields(c.want); !slices.Equal(got, want) || track.Dropped() != c.dropped {
				t.Errorf("%q and %d dropped, want %q and %d", got, track.Dropped(), want, c.dropped)
			}
		})
	}
}

// TestNumbersAllocateNothing: a packet of a camera that counts by one allocates no memory.
func TestNumbersAllocateNothing(t *testing.T) {
	track := sequence.NewTrack(func(sequence.Packet, time.Time) {}, func(uint16) {})
	p := sequence.Packet{Payload: make([]byte, 1400)}
	if n := testing.AllocsPerRun(1000, func() {
		track.Push(p, noon)
		p.Sequence++
		p.Timestamp++
	}); n > 0 {
		t.Errorf("%.1f allocations per packet", n)
	}
}

func BenchmarkTrack(b *testing.B) {
	track := sequence.NewTrack(func(sequence.Packet, time.Time) {}, func(uint16) {})
	p := sequence.Packet{Payload: make([]byte, 1400)}
	b.ReportAllocs()
	for b.Loop() {
		track.Push(p, noon)
		p.Sequence++
	}
}

// FuzzTrack checks that each packet is emitted once at most, and only packets that arrived.
func FuzzTrack(f *testing.F) {
	f.Add([]byte("\x01\x00\x01\x00\x01\x00\x02\x00\x82\x01"))
	f.Add([]byte("\x00\x00\x00\x00\x00\x00\x05\x00\x05\x01\x41\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		handed := make(map[string]int)
		content := 0
		track := sequence.NewTrack(func(p sequence.Packet, _ time.Time) {
			if len(p.Payload) > 0 {
				handed[string(p.Payload)]++
				content++
			}
		}, func(uint16) {})
		now, number, pushed := noon, uint16(0), 0
		for i := 0; i+1 < len(data); i += 2 {
			number += uint16(int8(data[i]))
			switch flags := data[i+1]; {
			case flags&0xC0 == 0xC0:
				track.Elsewhere(number, now)
			case flags&0x80 != 0:
				track.Pass(uint32(flags&3), number, now)
			default:
				pushed++
				p := sequence.Packet{Sequence: number, SSRC: uint32(flags & 3), Timestamp: uint32(flags >> 2 & 7)}
				p.Payload = fmt.Appendf(nil, "packet %d", i)
				track.Push(p, now)
			}
			now = now.Add(time.Duration(data[i+1]) * time.Millisecond)
		}
		track.Flush()
		for payload, n := range handed {
			if n > 1 {
				t.Errorf("%s was emitted %d times", payload, n)
			}
		}
		if content > pushed || int64(content) < int64(pushed)-track.Dropped() {
			t.Errorf("%d of %d are emitted, and %d dropped", content, pushed, track.Dropped())
		}
	})
}
