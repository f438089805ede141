package accessunit

import (
	"errors"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/supervise"
)

// CodeCamera is the code of conditions that prevent a source from being played, or end it: one source has one sentence.
const CodeCamera = "camera"

// ErrPlayed is the error of a source that was played to its end.
var ErrPlayed = errors.New("the file is played")

// Retry is how soon a source may be played again.
type Retry uint8

const (
	RetryUsual     Retry = iota // after the usual pause, and at once where the session brought video
	RetrySlowly                 // after a growing pause: the cause of the end would persist
	RetryStale                  // frames of an earlier session arrived, which may have to end first
	RetryRefused                // the password was refused, and cameras lock accounts
	RetryFromStart              // media already recorded would be repeated
)

// SessionEnd is the error of a source whose session ended. It unwraps to its Fault.
type SessionEnd struct {
	Fault *health.Fault // for people; its cause is for the log
	Retry Retry
	NoURL bool // there was no session, as the URL could not be determined
}

// Error implements error.
func (e *SessionEnd) Error() string { return e.Fault.Error() }

// Unwrap returns the Fault.
func (e *SessionEnd) Unwrap() error { return e.Fault }

// InternalFault reports that an internal error ended the session with a host.
func InternalFault(host string, cause error) *health.Fault {
	return health.SystemFault(supervise.Code, cause,
		"An internal error ended the session with the camera at %s; the session is restarted. Please report it with the log.", host)
}
