package accessunit_test

import (
	"slices"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
)

// TestReorder has packets in the wrong order, or missing.
func TestReorder(t *testing.T) {
	t.Parallel()
	const first = 65_500 // wraps
	for name, c := range map[string]struct {
		come, want []int // from first
	}{
		"in order":                    {[]int{0, 1, 2}, []int{0, 1, 2}},
		"overtaken":                   {[]int{0, 3, 1, 2, 4}, []int{0, 1, 2, 3, 4}},
		"twice":                       {[]int{0, 0, 1, 2, 1, 3, 3}, []int{0, 1, 2, 3}},
		"twice while it waits":        {[]int{0, 2, 2, 1}, []int{0, 1, 2}},
		"missing to the end":          {[]int{0, 2, 3, 5}, []int{0, 2, 3, 5}},
		"too late":                    {append(append([]int{0}, upTo(2, 66)...), 1, 66), append(append([]int{0}, upTo(2, 66)...), 66)},
		"a long hole":                 {[]int{0, 1, 200, 201}, []int{0, 1, 200, 201}},
		"a long hole while one waits": {[]int{0, 2, 200, 201}, []int{0, 2, 200, 201}},
		"a stray":                     {[]int{0, 20_000, 1, 2}, []int{0, 1, 2}},
		"numbers restart":             {[]int{0, 1, 3, 20_000, 20_001, 20_002}, []int{0, 1, 3, 20_000, 20_001, 20_002}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []int
			r := accessunit.NewReorder(func(p accessunit.Packet, _ time.Time) { got = append(got, int(p.Sequence-first)) })
			r.Play()
			for _, n := range c.come {
				r.Push(accessunit.Packet{Sequence: uint16(first + n)}, noon)
			}
			r.Flush()
			if !slices.Equal(got, c.want) {
				t.Errorf("%d, want %d", got, c.want)
			}
		})
	}
	t.Run("patience", func(t *testing.T) {
		t.Parallel()
		const reorderPatience = 500 * time.Millisecond
		var got []time.Time
		r := accessunit.NewReorder(func(_ accessunit.Packet, at time.Time) { got = append(got, at) })
		r.Play()
		for _, n := range []uint16{0, 2, 3} {
			r.Push(accessunit.Packet{Sequence: n}, noon)
		}
		r.Expire(noon.Add(reorderPatience - 1))
		if len(got) != 1 {
			t.Errorf("%d packets are emitted already", len(got))
		}
		r.Expire(noon.Add(reorderPatience))
		if len(got) != 3 || got[2] != noon {
			t.Errorf("the emitted packets arrived at %v", got)
		}
	})
}

// TestAHubThatDoesNotRunGivesNoPacketUp has packets lie in the socket meanwhile: the missing one comes behind others.
func TestAHubThatDoesNotRunGivesNoPacketUp(t *testing.T) {
	t.Parallel()
	type come struct {
		number uint16
		at     time.Duration
	}
	for name, row := range map[string]struct {
		come []come
		want []uint16
	}{
		"a stop": {[]come{{0, 0}, {2, 0}, {3, 6 * time.Second}, {4, 6 * time.Second}, {1, 6 * time.Second}}, []uint16{0, 1, 2, 3, 4}},
		"a stop, and lost": {
			[]come{{0, 0}, {2, 0}, {3, 6 * time.Second}, {4, 6200 * time.Millisecond}, {5, 6400 * time.Millisecond}, {6, 6600 * time.Millisecond}},
			[]uint16{0, 2, 3, 4, 5, 6},
		},
		"few packets, and lost": {
			[]come{{0, 0}, {2, 300 * time.Millisecond}, {3, 600 * time.Millisecond}, {4, 900 * time.Millisecond}, {5, 1200 * time.Millisecond}},
			[]uint16{0, 2, 3, 4, 5},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []uint16
			r := accessunit.NewReorder(func(p accessunit.Packet, _ time.Time) { got = append(got, p.Sequence) })
			r.Play()
			for _, c := range row.come {
				r.Push(accessunit.Packet{Sequence: c.number}, noon.Add(c.at))
			}
			if !slices.Equal(got, row.want) {
				t.Errorf("%d, want %d", got, row.want)
			}
		})
	}
}

func upTo(from, to int) (list []int) {
	for n := from; n < to; n++ {
		list = append(list, n)
	}
	return list
}
