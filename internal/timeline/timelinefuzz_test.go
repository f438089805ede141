package timeline

import (
	"encoding/binary"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/kvs-edge/kvs-edge-agent/internal/testtools/simcam"
)

// attack has access units arrive with the timestamps and delays in data: per unit 32 bits of timestamp step and
// 16 bits of ms. In any case times must stay near arrival, and be multiples of a ms.
func attack(t *testing.T, data []byte) {
	tl := New(90000, time.Time{})
	raw, arrival := uint32(4_294_900_000), time.Duration(0)
	for len(data) >= 6 {
		raw += binary.LittleEndian.Uint32(data)
		arrival += time.Duration(binary.LittleEndian.Uint16(data[4:])) * time.Millisecond
		data = data[6:]
		at, _ := tl.Assign(raw, noon.Add(arrival))
		// constantUnits units of one timestamp are a ms apart.
		if ahead := at.Sub(noon.Add(arrival)); ahead > ReorderLimit {
			t.Fatalf("%s after the start, times are %s ahead", arrival, ahead)
		}
		// Only a stall of the network lets times lag further, and only until it ends.
		if behind := noon.Add(arrival).Sub(at); behind > behindLimit+2*ReorderLimit+tl.stall.credit {
			t.Fatalf("%s after the start, times are %s behind, with a stall of %s", arrival, behind, tl.stall.credit)
		}
		if at.Nanosecond()%int(time.Millisecond) != 0 {
			t.Fatalf("%s", at)
		}
	}
}

func FuzzTimeline(f *testing.F) {
	unit := func(step uint32, ms uint16) []byte {
		return binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint32(nil, step), ms)
	}
	repeat := func(n int, units ...[]byte) (data []byte) {
		for range n {
			for _, u := range units {
				data = append(data, u...)
			}
		}
		return data
	}
	f.Add(repeat(100, unit(3600, 40)))
	f.Add(repeat(100, unit(1_341_000, 40)))                                                   // jumps of 14.9 s
	f.Add(repeat(50, unit(3600, 40), unit(1_620_000_000, 40), unit(1<<31+1_054_570_848, 40))) // stray ones
	f.Add(repeat(100, unit(0, 40)))
	f.Add(repeat(100, unit(3600, 0)))
	f.Add(repeat(100, unit(10800, 40), unit(math.MaxUint32-7199, 40), unit(3600, 40)))
	f.Add(append(repeat(100, unit(3600, 40)), repeat(100, unit(40, 40))...))
	f.Fuzz(attack)
}

// TestTimelineProperties draws cameras: whatever the factor of their clocks from 0.01 to 100, how fast they send and what the
// network does, the recorded duration is true within a second, and no frame is lost from sight.
func TestTimelineProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		camera := simcam.Camera{
			FPS:  rapid.Float64Range(2, 60).Draw(t, "fps"),
			Late: simcam.Jitter(time.Duration(rapid.IntRange(0, 100).Draw(t, "jitter")) * time.Millisecond),
		}
		camera.Reorder = camera.FPS >= 8 && rapid.Bool().Draw(t, "B-frames") // else reordering alone takes a second
		exponent := rapid.Float64Range(-2, 2).Draw(t, "factor")
		camera.Factor = simcam.Steady(math.Pow(10, exponent))
		if change := rapid.IntRange(0, 3).Draw(t, "change"); change == 0 {
			later := rapid.Float64Range(-2, 2).Draw(t, "later")
			camera.Factor = simcam.From(40*time.Second, math.Pow(10, exponent), math.Pow(10, later))
		}
		if stray := rapid.IntRange(0, 3).Draw(t, "stray"); stray == 0 {
			every, hours := rapid.IntRange(20, 200).Draw(t, "every"), rapid.SampledFrom([]int{-5, -1, 1, 11}).Draw(t, "hours")
			camera.Stamp = simcam.EveryN(every, time.Duration(hours)*time.Hour)
		}
		tl := New(90000, time.Time{})
		units := camera.Frames(90 * time.Second)
		play(&tl, units)
		first := units[0]
		for i, u := range units {
			most := 1100 * time.Millisecond
			if camera.Reorder { // a wrong gain adds reordering errors
				most += 3 * time.Duration(float64(time.Second)/camera.FPS)
			}
			if off := (u.Producer - first.Producer) - (u.Sent - first.Sent); off.Abs() > most {
				t.Fatalf("frame %d: the span is %s off, of %s", i, off, u.Sent)
			}
			if ahead := u.Producer - u.Arrival; ahead > ReorderLimit {
				t.Fatalf("frame %d: %s ahead of its arrival", i, ahead)
			}
		}
	})
}

// TestDistancesProperty draws ordinary cameras.
func TestDistancesProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		camera := simcam.Camera{
			FPS:     rapid.Float64Range(8, 60).Draw(t, "fps"),
			Reorder: rapid.Bool().Draw(t, "B-frames"),
			Factor:  simcam.Steady(1 + rapid.Float64Range(-0.001, 0.001).Draw(t, "drift")),
		}
		burst := time.Duration(rapid.IntRange(0, 4000).Draw(t, "burst")) * time.Millisecond
		stall := time.Duration(rapid.IntRange(0, 8000).Draw(t, "stall")) * time.Millisecond
		jitter := time.Duration(rapid.IntRange(0, 60).Draw(t, "jitter")) * time.Millisecond
		camera.Late = simcam.Sum(simcam.Sum(simcam.BurstAt(0, burst), simcam.StallsOf(stall, time.Minute)), simcam.Jitter(jitter))
		tl := New(90000, time.Time{})
		units := camera.Frames(3 * time.Minute)
		play(&tl, units)
		for i := 1; i < len(units); i++ {
			d := (units[i].Producer - units[i-1].Producer) - (units[i].Media - units[i-1].Media)
			if d.Abs() > time.Millisecond+20*time.Microsecond {
				t.Fatalf("frame %d: the distance differs by %s", i, d)
			}
		}
		last := units[len(units)-1]
		if off := last.Producer - last.Sent; off.Abs() > 300*time.Millisecond {
			t.Fatalf("the last frame is %s off", off)
		}
	})
}
