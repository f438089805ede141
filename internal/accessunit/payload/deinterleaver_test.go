package payload_test

import (
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit/payload"
)

// TestDeinterleaver is the table of NAL units as they arrive, by their numbers, and of the order in which they are emitted. S is
// one that does not count towards depth, ! a hole, and - one without a number.
func TestDeinterleaver(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		depth      int
		come, want string
		left       int
	}{
		"in order":                 {2, "1 2 3 4", "1 2 3 4", 0},
		"one early":                {2, "1 3 2 4", "1 2 3 4", 0},
		"in threes":                {2, "2 0 1 5 3 4", "0 1 2 3 4 5", 0},
		"numbers wrap":             {2, "65534 0 65535 1", "65534 65535 0 1", 0},
		"deeper than announced":    {1, "1 5 4 3 2", "1 4 3 2 5", 0},
		"what does not count":      {1, "S1 S3 2 4 S5 6", "1 2 3 4 5 6", 0},
		"the end is missing":       {3, "0 1 2 3 5 6", "0 1 2 3", 2},
		"numbers do not follow":    {2, "2 4 6 8 12 14", "2 4 6 8 12 14", 0},
		"a hole":                   {1, "1 2 ! 4 5 6 7 8", "1 2? 4? 5? 6 7 8", 0},
		"without numbers":          {2, "- - 5 -", "0 0 5 5", 0},
		"a fragment without start": {2, "1 m 2", "1 2", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			d := payload.NewDeinterleaver(c.depth, 1, func(nal []byte) bool { return nal[0] == 'v' }, func(u payload.Unit) {
				text := string(u.NAL[1:])
				if u.Suspect {
					text += "?"
				}
				got = append(got, text)
			})
			for i, word := range strings.Fields(c.come) {
				p := payload.Part{Header: [2]byte{'v'}, Start: true, End: true}
				digits, other := strings.CutPrefix(word, "S")
				if other {
					p.Header[0] = 's'
				}
				n, err := strconv.Atoi(digits)
				p.Numbered, p.DON, p.Data = err == nil, uint16(n), []byte(strconv.Itoa(n))
				switch word {
				case "!":
					d.Hole()
					continue
				case "-":
					p.Data = []byte(map[bool]string{true: "5", false: "0"}[i > 2])
				case "m":
					p.Start = false
					if d.Push(p, uint32(n), time.Time{}) {
						t.Error("it was accepted")
					}
					continue
				}
				d.Push(p, uint32(n), time.Time{})
			}
			left := d.Flush()
			if want := strings.Fields(c.want); !slices.Equal(got, want) || left != c.left {
				t.Errorf("%q and %d left, want %q and %d", got, left, want, c.left)
			}
			if d.Bytes() != 0 {
				t.Errorf("%d bytes are kept", d.Bytes())
			}
		})
	}
}

// TestMemoryOfTheDeinterleaverIsBounded has large NAL units, and small ones in their buffers.
func TestMemoryOfTheDeinterleaverIsBounded(t *testing.T) {
	d := payload.NewDeinterleaver(200, 1, func([]byte) bool { return true }, func(payload.Unit) {})
	don := uint16(0)
	push := func(size int) {
		d.Push(payload.Part{Start: true, End: true, Numbered: true, DON: don, Data: make([]byte, size)}, 0, time.Time{})
		don++
	}
	memory := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := memory()
	for range 4 {
		for range 250 {
			push(200 << 10) // which is freed
		}
		for range 250 {
			push(100)
		}
	}
	for range 250 {
		push(1 << 20)
	}
	for range 250 {
		push(100)
	}
	if took := memory() - before; took > 6<<20 {
		t.Errorf("%d NAL units of 100 bytes take %d bytes", 200, took)
	}
	runtime.KeepAlive(d)
}
