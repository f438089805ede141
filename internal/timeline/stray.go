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
	back    bool          // it lies before the previous one, of a camera that does not reorder
}

// follows reports whether an access unit rather follows one that went back than the last plausible one, given the distances of its
// timestamp from both: then the camera's clock was set back by little more than a frame.
func (s *strays) follows(fromIt, fromBelieved, frame time.Duration) bool {
	return s.back && s.row == 1 && (fromIt-frame).Abs() < (fromBelieved-2*frame).Abs()
}

// agree reports whether the next one agrees with it, given the distances of their timestamps and arrivals.
func (s *strays) agree(step, passed time.Duration) bool {
	return s.row > 0 && step >= -ReorderLimit && step <= passed+strayLimit/2
}

// unordered reports whether a timestamp goes back that does so in no order which the camera has shown.
func (t *Timeline) unordered(step, arrival time.Duration) bool {
	return step < 0 && arrival >= orderKnown && !t.order.allows(t.believed.media+step)
}

// setBack reports whether a timestamp shows that the camera's clock was set back, or is a stray one. By less than a frame it may be
// neither: timestamps may jitter.
func (t *Timeline) setBack(step, arrival time.Duration) bool {
	return t.unordered(step, arrival) && t.pace.scale(step) <= -t.frame
}

// chain sums up timestamps, plausible or not.
type chain struct {
	raw   uint32        // of the previous access unit
	media time.Duration // by the camera's clock, if all of them were right
}
