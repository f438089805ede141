package edgeconfig

import (
	"fmt"
	"strconv"
	"strings"
)

// FieldFault is one thing that is wrong with an EdgeConfig.
type FieldFault struct {
	// Path of the field: "RecorderConfig.ScheduleConfig.DurationInSeconds". Empty for the whole document.
	Path string
	// Value as it was given, quoted and shortened; empty when there is none.
	Value string
	// Rule that the value breaks: "must be 60 to 3600".
	Rule string
}

// String returns the fault as one clause.
func (f FieldFault) String() string {
	path := f.Path
	if path == "" {
		path = "EdgeConfig"
	}
	if f.Value == "" {
		return path + " " + f.Rule
	}
	return path + " is " + f.Value + ": it " + f.Rule
}

// Invalid names everything that is wrong with an EdgeConfig.
type Invalid struct{ Faults []FieldFault }

// Error returns all faults as one sentence.
func (e *Invalid) Error() string {
	clauses := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		clauses[i] = f.String()
	}
	return "the edge configuration is not valid: " + strings.Join(clauses, "; ")
}

// faultList gathers faults; err turns them into an *Invalid or nil.
type faultList []FieldFault

func (l *faultList) add(path, value, format string, args ...any) {
	*l = append(*l, FieldFault{Path: path, Value: value, Rule: fmt.Sprintf(format, args...)})
}

func (l faultList) err() error {
	if len(l) == 0 {
		return nil
	}
	return &Invalid{Faults: l}
}

// maxShown bounds how much of a wrong value is repeated.
const maxShown = 80

// quote shows a value from outside: control characters escaped, length bounded.
func quote(s string) string {
	if len(s) > maxShown {
		return strconv.Quote(strings.ToValidUTF8(s[:maxShown], "")) + "… (" + strconv.Itoa(len(s)) + " bytes)"
	}
	return strconv.Quote(s)
}
