package timeline

import (
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/simcam"
)

// BenchmarkAssign has an ordinary camera over a network with jitter: a frame's time must not allocate.
func BenchmarkAssign(b *testing.B) {
	late := simcam.Jitter(40 * time.Millisecond)
	t := New(90000, time.Time{})
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		at := time.Duration(i) * tick
		t.Assign(uint32(at*9/100_000), noon.Add(at+late(i, at)))
		i++
	}
}

func TestAssignAllocatesNothing(t *testing.T) {
	late := simcam.Jitter(40 * time.Millisecond)
	tl, i := New(90000, time.Time{}), 0
	if n := testing.AllocsPerRun(10_000, func() {
		at := time.Duration(i) * tick
		tl.Assign(uint32(at*9/100_000), noon.Add(at+late(i, at)))
		i++
	}); n != 0 {
		t.Errorf("%v allocations for each frame", n)
	}
}
