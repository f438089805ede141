package timeline

import "time"

const (
	// strayLimit is how far a timestamp may be ahead of the time that passed before it counts as a
	// stray one, or as the first after a jump.
	strayLimit = 500 * time.Millisecond
	// wildUnits is how many consecutive implausible timestamps, no two of which agree, are a pace
	// that no camera should have.
	wildUnits = 8
)

// strays are access units whose timestamps do not agree with earlier ones.
type strays struct {
	row     int // how many in a row
	raw     uint32
	arrival time.Duration // of the last of them
	at      time.Duration // its producer time, from origin
}

// agree reports whether the next one agrees with it, given the distances of their timestamps and arrivals.
func (s *strays) agree(step, passed time.Duration) bool {
	return s.row > 0 && step >= -ReorderLimit && step <= passed+strayLimit/2
}

// chain sums up timestamps, plausible or not.
type chain struct {
	raw   uint32        // of the previous access unit
	media time.Duration // by the camera's clock, if all of them were right
}
