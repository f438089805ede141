package timeline

import "time"

const (
	// ReorderLimit is how far presentation times may go back between access units in decode order.
	ReorderLimit = 1500 * time.Millisecond
	// MaxAhead is how far times may be ahead of a trusted clock: beyond it a new epoch starts.
	MaxAhead = 1500 * time.Millisecond
	// aheadLimit and behindLimit are how far times may run ahead of arrival and lag behind it, whatever
	// the camera's timestamps say. Both leave a margin within the second to which a recorded duration is true, and the
	// first also within MaxAhead.
	aheadLimit  = 500 * time.Millisecond
	behindLimit = 750 * time.Millisecond
	// sessionStall is how long a session with a camera may bring nothing before it is ended: no stall of the network within a
	// session is longer.
	sessionStall = 10 * time.Second
	// frameGuess is a frame's duration when it is unknown.
	frameGuess = 40 * time.Millisecond
)

// clockRate is the number of RTP ticks of a track in a second.
type clockRate int64

func (r clockRate) duration(ticks int64) time.Duration {
	// Seconds and the rest separately, so that years of ticks do not overflow.
	per := int64(r)
	return time.Duration(ticks/per)*time.Second + time.Duration(ticks%per)*time.Second/time.Duration(per)
}
