package accessunit

import (
	"errors"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/supervise"
)

// CodeCamera is the code of what keeps a source from being played, or ends it: one source has one sentence.
const CodeCamera = "camera"

// ErrPlayed is the error of a source that was played to its end: it has no more.
var ErrPlayed = errors.New("the file is played")

// Retry says when a source may be played again.
type Retry uint8

const (
	RetryUsual     Retry = iota // after the usual pause, and at once where the session brought video
	RetrySlowly                 // after a pause that grows: what ended the session would only come again
	RetryStale                  // frames of an earlier session came, which may have to end first
	RetryRefused                // the password was refused, and cameras lock accounts
	RetryFromStart              // what was recorded would come again
)

// SessionEnd is the error of a source whose session ended. It unwraps to its Fault.
type SessionEnd struct {
	Fault *health.Fault // for people; its cause is for the log
	Retry Retry
	NoURL bool // there was no session, as nobody could say where the source is
}

// Error implements error.
func (e *SessionEnd) Error() string { return e.Fault.Error() }

// Unwrap returns the Fault.
func (e *SessionEnd) Unwrap() error { return e.Fault }

// InternalFault says that an error of ours ended the session with a host.
func InternalFault(host string, cause error) *health.Fault {
	return health.SystemFault(supervise.Code, cause,
		"An internal error ended the session with the camera at %s; the session is restarted. Please report it with the log.", host)
}
