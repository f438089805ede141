package health

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"time"
)

// Class says who can repair a failure. The values are those of JobStatus in the KVS API
// (LastRecorderStatus.RecorderStatus, LastUploaderStatus.UploaderStatus).
type Class string

// The classes of a job's status.
const (
	Success     Class = "SUCCESS"
	UserError   Class = "USER_ERROR"
	SystemError Class = "SYSTEM_ERROR"
)

// Fault is an error that a person will read: one sentence that says what failed and what to do. Make one with NewFault,
// UserFault or SystemFault: they clean and bound what texts from outside the sentence quotes.
type Fault struct {
	Class Class
	// Code names the kind of failure for machines. It is one of those in Declarations or Answers.
	Code string
	// Text is the sentence. It holds no secret, is one line of at most MaxText runes, and fit to be shown; see Clean.
	Text string
	// Err is the cause, or nil.
	Err error

	// cause is what makes one occurrence differ from another: the text without its numbers, which change while
	// the cause stays. Empty: the whole text.
	cause string
}

// UserFault returns a failure that a person must repair by changing a setting, a secret or a device.
func UserFault(code string, cause error, format string, args ...any) *Fault {
	return NewFault(UserError, code, cause, format, args...)
}

// SystemFault returns a failure that may end by itself: network, service, disk.
func SystemFault(code string, cause error, format string, args ...any) *Fault {
	return NewFault(SystemError, code, cause, format, args...)
}

// Varying is an argument of a sentence that changes while its cause stays, such as a time of now. Numbers,
// durations and times are treated as such in any case.
type Varying string

// NewFault returns a failure of a class that depends on its cause. Each argument that is a text or an error is cleaned
// and bounded by MaxPart, a Fault and the whole sentence by MaxText. A failure that a limit of the hub caused, such as that
// of open files, says so whatever the sentence.
func NewFault(class Class, code string, err error, format string, args ...any) *Fault {
	cause := make([]any, 0, len(args)+1)
	cause = append(cause, format)
	shown := make([]any, len(args))
	for i, arg := range args {
		shown[i] = cleanArg(arg)
		switch reflect.ValueOf(arg).Kind() {
		case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, // also a time.Duration
			reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Float32, reflect.Float64:
		default:
			switch arg.(type) {
			case time.Time, Varying:
			default:
				cause = append(cause, shown[i])
			}
		}
	}
	text := Clean(fmt.Sprintf(format, shown...), MaxText)
	if limit := exhaustion(err, args); limit != 0 {
		text = exhausted(text, limit)
		cause = append(cause, limit.Error())
	}
	return &Fault{Class: class, Code: code, Text: text, Err: err, cause: fmt.Sprintf("%q", cause)}
}

// Recode returns the fault with another code and sentence, but as the same occurrence.
func (f *Fault) Recode(code, text string) *Fault {
	next := f.Reword(text)
	next.Code = code
	return next
}

// Reword returns the fault with another sentence, but as the same occurrence.
func (f *Fault) Reword(text string) *Fault {
	next := *f
	next.cause = f.Identity()
	next.Text = Clean(text, MaxText)
	return &next
}

// Identity is what makes two faults different occurrences: code, class and cause, without the numbers of the sentence.
func (f *Fault) Identity() string {
	if f.cause != "" {
		return f.Code + " " + string(f.Class) + " " + f.cause
	}
	return f.Code + " " + string(f.Class) + " " + f.Text
}

// Error returns the sentence. The cause is for errors.Is and errors.As: it may hold text from outside.
func (f *Fault) Error() string { return f.Text }

// Unwrap returns the cause.
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
	text := Clean(err.Error(), MaxText)
	if limit := exhaustionOf(err); limit != 0 {
		text = exhausted(text, limit)
	}
	return &Fault{Class: SystemError, Code: code, Text: text, Err: err}
}

// cleanArg makes an argument of a sentence fit to be shown. Numbers and times stay what they are, for their verbs.
func cleanArg(arg any) any {
	switch v := arg.(type) {
	case nil, time.Time, time.Duration:
		return arg
	case Varying:
		return Varying(Clean(string(v), MaxPart))
	case *Fault:
		if v == nil {
			return arg
		}
		return Clean(v.Text, MaxText)
	case error:
		return Clean(errorText(v), MaxPart)
	}
	switch value := reflect.ValueOf(arg); value.Kind() {
	case reflect.String:
		if s, ok := arg.(interface{ String() string }); ok {
			return Clean(s.String(), MaxPart)
		}
		return Clean(value.String(), MaxPart)
	default:
		return arg // the sentence as a whole is cleaned
	}
}

// Reason is what the system says of a call or a file, without their names: the end of a sentence that has named them.
func Reason(err error) string {
	if call, ok := errors.AsType[*os.SyscallError](err); ok {
		return call.Err.Error()
	}
	if file, ok := errors.AsType[*fs.PathError](err); ok {
		return file.Err.Error()
	}
	return err.Error()
}
