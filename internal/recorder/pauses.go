package recorder

import "time"

// healthyFrames is how many frames a session must have brought for the next attempt to follow at once.
const healthyFrames = 50

// Pauses are the pauses between sessions. Fields that are zero have the value of DefaultPauses.
type Pauses struct {
	// Refused is the pause after the camera has refused the password: cameras lock accounts.
	Refused time.Duration
	// Stale is how long a camera keeps a session that was not torn down.
	Stale time.Duration
	// Healthy is the pause after a session that brought video: a camera needs a moment to release its resources.
	Healthy time.Duration
	// Seal is how long a segment stays open after its camera has disappeared.
	Seal time.Duration
}

// DefaultPauses returns the pauses of the agent. Stale is from RFC 2326, section 12.37.
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
