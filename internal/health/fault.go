package health

import (
	"errors"
	"fmt"
)

// Class says who can mend a failure. The values are those of JobStatus in the KVS API
// (LastRecorderStatus.RecorderStatus, LastUploaderStatus.UploaderStatus).
type Class string

// The classes of a job's status.
const (
	Success     Class = "SUCCESS"
	UserError   Class = "USER_ERROR"
	SystemError Class = "SYSTEM_ERROR"
)

// Fault is an error that a person will read: one sentence that says what failed and what to do.
type Fault struct {
	Class Class
	// Code names the kind of failure in a few words for machines: "camera-unreachable".
	Code string
	// Text is the sentence. It holds no secret.
	Text string
	// Err is the cause, or nil.
	Err error
}

// UserFault returns a failure that a person must mend by changing a setting, a secret or a device.
func UserFault(code string, cause error, format string, args ...any) *Fault {
	return &Fault{Class: UserError, Code: code, Text: fmt.Sprintf(format, args...), Err: cause}
}

// SystemFault returns a failure that may pass by itself: network, service, disk.
func SystemFault(code string, cause error, format string, args ...any) *Fault {
	return &Fault{Class: SystemError, Code: code, Text: fmt.Sprintf(format, args...), Err: cause}
}

// Error gives the sentence. The cause is for errors.Is and errors.As: it may hold text from outside.
func (f *Fault) Error() string { return f.Text }

// Unwrap gives the cause.
func (f *Fault) Unwrap() error { return f.Err }

// FaultOf finds the Fault in err, or makes a system fault with the given code of any other error.
// It returns nil for nil.
func FaultOf(err error, code string) *Fault {
	if err == nil {
		return nil
	}
	var f *Fault
	if errors.As(err, &f) {
		return f
	}
	return &Fault{Class: SystemError, Code: code, Text: err.Error(), Err: err}
}
