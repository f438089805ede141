package recorder

import "time"

// healthyFrames is what a session must have brought for the next try to come at once.
const healthyFrames = 50

// Pauses between sessions. Those that are zero are DefaultPauses.
type Pauses struct {
	// Refused is the pause after a password that the camera refuses: cameras lock accounts.
	Refused time.Duration
	// Stale is how long a camera keeps a session that nobody ended.
	Stale time.Duration
	// Healthy is the pause after a session that brought video: a camera needs a moment to let go of one.
	Healthy time.Duration
	// Seal is how long a segment stays open for a camera that is gone.
	Seal time.Duration
}

// DefaultPauses are those that an agent has. That of Stale is of RFC 2326, section 12.37.
func DefaultPauses() Pauses {
	return Pauses{Refused: time.Minute, Stale: time.Minute, Healthy: 100 * time.Millisecond, Seal: 10 * time.Second}
}

func (p Pauses) orDefault() Pauses {
	d := DefaultPauses()
	for _, of := range []struct {
		pause *time.Duration
		value time.Duration
	}{{&p.Refused, d.Refused}, {&p.Stale, d.Stale}, {&p.Healthy, d.Healthy}, {&p.Seal, d.Seal}} {
		if *of.pause == 0 {
			*of.pause = of.value
		}
	}
	return p
}
