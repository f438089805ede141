package timeline

import "time"

const (
	// strayLimit is how far a timestamp may run ahead of what the time that passed allows, before it counts as a
	// stray one, or as the first after a jump.
	strayLimit = 500 * time.Millisecond
	// wildUnits is how many implausible timestamps in a row, of which none goes with another, are a pace
	// that no camera should have.
	wildUnits = 8
)

// strays are access units whose timestamps go with none before.
type strays struct {
	row     int // so many in a row
	raw     uint32
	arrival time.Duration // of the last of them
	at      time.Duration // its producer time, from origin
}

// agree reports whether the next one, so long after the last by its timestamp and by arrival, goes with it.
func (s *strays) agree(step, passed time.Duration) bool {
	return s.row > 0 && step >= -ReorderLimit && step <= passed+strayLimit/2
}

// chain adds timestamps up, believed or not.
type chain struct {
	raw   uint32        // of the access unit before
	media time.Duration // by the camera's clock, were all of them right
}
