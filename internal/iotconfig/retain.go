package iotconfig

import (
	"errors"
	"time"
)

// retainedEnds is how many connections in a row must end in a way that a missing iot:RetainPublish explains
// before the hub connects without it. AWS IoT does not say why it ends a connection.
const retainedEnds = 2

// errRetainAgain ends a connection without retained messages, to try one with them.
var errRetainAgain = errors.New("retained messages are tried again")

// retaining decides whether agent/status and the last will are retained. AWS IoT ends the connection of a
// client that publishes a retained message, or has a retained will, without the right
// iot:RetainPublish, which the policy of AWS's guide lacks: the hub then does without both.
// Used by the goroutine of the connection only.
type retaining struct {
	off   bool          // connect without will, and publish nothing retained
	ends  int           // connections in a row that a missing right explains
	known bool          // a connection without retained messages came up where those with them did not
	pause time.Duration // until they are tried again; doubles
	again time.Time     // when they are tried again, while off
}

// noteEnd takes in how a connection ended before it was up: whether a missing right explains it.
func (r *retaining) noteEnd(explained bool, t timing) {
	switch {
	case r.off && !r.known:
		*r = retaining{} // it was not the right
	case r.off || !explained:
	default:
		if r.ends++; r.ends >= retainedEnds {
			r.off = true
			r.pause = min(max(2*r.pause, t.retainRetry), t.retainRetryMost)
			r.again = time.Now().Add(r.pause)
		}
	}
}

// retry has the next connection try retained messages once.
func (r *retaining) retry() { r.off, r.ends = false, retainedEnds-1 }

// due fires when a connection without retained messages shall end to try them; never for one with them.
func (r *retaining) due() <-chan time.Time {
	if !r.off {
		return nil
	}
	return time.After(time.Until(r.again))
}
