package simulate

import (
	"sync/atomic"
	"time"
	"unsafe"
)

// clock is the hub's wall clock, which may be set, and the monotonic one that is never set. Times in a bubble of synctest have no monotonic
// reading, so it makes one.
type clock struct {
	ahead atomic.Int64 // ns by which the wall clock is ahead of the true time
	worst atomic.Int64 // the most that it ever was off, in ns
	near  atomic.Int64 // the same, but for where it was far off
}

// reading is how package time holds a time with both parts: a flag, 33 bits of seconds since 1885 and 30 of nanoseconds; then the
// monotonic reading, and the zone.
type reading struct {
	wall uint64
	ext  int64
	zone *time.Location
}

// since1885 is what is added to the seconds since 1970.
const since1885 = 2_682_288_000

// epoch has a monotonic reading of 0, so that time.Since says what the present one is.
var epoch = timeOf(time.Unix(0, 0), 0)

func timeOf(wall time.Time, monotonic time.Duration) (t time.Time) {
	r := reading{wall: 1<<63 | uint64(wall.Unix()+since1885)<<30 | uint64(wall.Nanosecond()), ext: int64(monotonic), zone: time.Local}
	*(*reading)(unsafe.Pointer(&t)) = r
	return t
}

// now is what the hub's clock shows, with a monotonic reading.
func (c *clock) now() time.Time {
	return timeOf(time.Now().Add(time.Duration(c.ahead.Load())), time.Since(epoch))
}

// step sets the wall clock.
func (c *clock) step(by time.Duration) {
	off := time.Duration(c.ahead.Add(int64(by))).Abs()
	c.worst.Store(max(c.worst.Load(), int64(off)))
	if off < far {
		c.near.Store(max(c.near.Load(), int64(off)))
	}
}

// far is how far a clock has to be off so that nobody may believe it: no hub is off for so long.
const far = 60 * 24 * time.Hour

// off is by how much the clock is, or was at most, from the true time.
func (c *clock) off() time.Duration { return time.Duration(c.ahead.Load()) }
