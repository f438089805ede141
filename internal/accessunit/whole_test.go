package accessunit_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
)

// habit is how a camera of TestPicturesAreWholeOrLost packetises pictures.
type habit struct {
	slices            int
	times, marks      int // one of the constants below
	sets, sizes, lose int // interval of parameter sets in pictures, largest payload, one in lose packets is lost; 0: none
	cut               int // the session ends after this many packets of the last picture; 0: after all
}

const (
	oneTime, timePerSlice, timePerPacket, timePerPair = 0, 1, 2, 3
	lastMarked, noneMarked, slicesMarked, allMarked   = 0, 1, 2, 3
)

// wholePicture returns a picture of slices that all contain its number.
func wholePicture(random *rand.Rand, h habit, number int) (nals [][]byte) {
	if h.sets > 0 && number%h.sets == 0 {
		nals = append(nals, fmt.Appendf(nil, "\x67set %d", number))
	}
	first := []byte{0x9a, 0x40, 0x60, 0x20, 0x28, 0x30, 0x38, 0x10} // first_mb_in_slice 0 to 7
	for s := range h.slices {
		nal := append([]byte{0x41, first[s]}, fmt.Sprintf("picture %d slice %d ", number, s)...)
		nals = append(nals, append(nal, bytes.Repeat([]byte{0xAB}, random.IntN(60))...))
	}
	return nals
}

// TestPicturesAreWholeOrLost has cameras of all habits lose packets, and checks that a picture arrives as it was sent or not at
// all, that those that arrive are in order, and that no more are counted as lost than were.
func TestPicturesAreWholeOrLost(t *testing.T) {
	t.Parallel()
	for _, slices := range []int{1, 2, 3, 8} {
		for times := oneTime; times <= timePerPair; times++ {
			for marks := lastMarked; marks <= allMarked; marks++ {
				for _, end := range []struct{ lose, cut int }{{0, 0}, {100, 0}, {12, 0}, {0, 1}, {0, 2}} {
					h := habit{slices: slices, times: times, marks: marks, sets: 5, sizes: 30, lose: end.lose, cut: end.cut}
					t.Run(fmt.Sprintf("%+v", h), func(t *testing.T) {
						t.Parallel()
						for seed := range uint64(3) {
							sendWholePictures(t, h, seed)
						}
					})
				}
			}
		}
	}
}

func sendWholePictures(t *testing.T, h habit, seed uint64) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, seed))
	sent := make(map[string]int)
	sink := new(heard)
	feed := accessunit.NewFeed(accessunit.H264, accessunit.MaxBytes, sink)
	const first = 65_000
	sequence := uint16(first)
	const pictures = 200
	send := func(timestamp uint32, marker bool, payload []byte) {
		if h.lose == 0 || random.IntN(h.lose) > 0 || sequence == first { // before it no loss can be noticed
			_ = feed.Push(accessunit.Packet{Sequence: sequence, Timestamp: timestamp, Marker: marker, Payload: payload}, noon)
		}
		sequence++
	}
	for number := range pictures {
		nals := wholePicture(random, h, number)
		sent[string(bytes.Join(nals, []byte("|")))] = number
		timestamp, came := uint32(number*3600), 0
		for i, nal := range nals {
			fragments := cut(nal, h.sizes)
			for j, f := range fragments {
				if came++; h.cut > 0 && number == pictures-1 && came > h.cut {
					break
				}
				last := j == len(fragments)-1
				marked := last && (h.marks == slicesMarked || h.marks == lastMarked && i == len(nals)-1) || h.marks == allMarked
				send(timestamp, marked, f)
				if h.times == timePerPacket {
					timestamp++
				}
			}
			if h.times == timePerSlice && nal[0] == 0x41 || h.times == timePerPair && i%2 == 1 {
				timestamp++
			}
		}
	}
	feed.Flush()
	before := -1
	for _, unit := range sink.units {
		number, whole := sent[unit]
		if !whole || number <= before {
			t.Fatalf("seed %d: %q after picture %d", seed, unit, before)
		}
		before = number
	}
	if total := int64(len(sink.units)) + sink.lost; total > pictures+1 || h.lose == 0 && h.cut == 0 && total != pictures ||
		h.cut > 0 && total < pictures-1 {
		t.Errorf("seed %d: %d pictures came and %d were lost, of %d", seed, len(sink.units), sink.lost, pictures)
	}
}

// cut returns the payloads of a NAL unit.
func cut(nal []byte, size int) (list [][]byte) {
	if len(nal) <= size {
		return [][]byte{nal}
	}
	flags := byte(0x80)
	for body := nal[1:]; len(body) > 0; flags = 0 {
		n := min(size, len(body))
		if n == len(body) {
			flags |= 0x40
		}
		list = append(list, append([]byte{nal[0]&0xe0 | 28, flags | nal[0]&0x1f}, body[:n]...))
		body = body[n:]
	}
	return list
}
