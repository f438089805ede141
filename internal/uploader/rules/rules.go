// Package rules owns what is done about each upload error: a table, which docs/upload-errors.md shows too. It
// must not know what was sent, nor carry anything out.
package rules

import (
	"cmp"
	"fmt"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// Action is what the uploader does about an error.
type Action uint8

// The actions. An error that recurs without a fragment getting through in between is retried with growing
// pauses.
const (
	RetryNow       Action = iota + 1 // a new session at once
	BackOff                          // a new session after a pause
	NewEndpoint                      // request the data endpoint again, then as BackOff
	NewCredentials                   // request credentials again, then as BackOff
	Refuse                           // keep the fragment on the hub and continue with the next
	AskUser                          // a person must act: try again every few minutes, without end
)

var actionTexts = map[Action]string{
	RetryNow:       "new session at once",
	BackOff:        "new session after a pause",
	NewEndpoint:    "new data endpoint, after a pause",
	NewCredentials: "new credentials, after a pause",
	Refuse:         "skip the fragment, keep it on the hub, count it",
	AskUser:        "report it, try again every 1 to 5 min",
}

// String returns the text of the documentation.
func (a Action) String() string { return actionTexts[a] }

// Rule is what is done about one kind of error.
type Rule struct {
	ID     int    // ErrorId of an ERROR acknowledgement, or 0
	Status int    // HTTP status, or 0
	Name   string // ErrorCode, or the exception's name; "" = any other
	Action Action
	// Cause says what is wrong, and Advice what to do about it, for people.
	Cause, Advice string
	// Fragment is true when the fragment itself may be the cause: when it keeps ending sessions, others are
	// sent before it. When the service names it in an ERROR, repeatedly while others pass, it is kept as refused.
	Fragment bool
	// Line is true when the connection may be the cause as well: such a fragment is never refused, but sent in parts.
	Line bool
	// Split is true when the service may accept the fragment's parts: it is first sent again in parts.
	Split bool
	// Renew is true when the credentials may have expired: new ones are requested once.
	Renew bool
	// Tags is true when the fragment's tags may be the cause: it is first sent again without them.
	Tags bool
}

const anyServerError = 599 // stands for 500 to 599

// Title returns the name of the error in the documentation.
func (r Rule) Title() string {
	switch {
	case r.ID != 0:
		return fmt.Sprintf("%d %s", r.ID, r.Name)
	case r.Status == anyServerError:
		return "HTTP 5xx"
	case r.Status != 0 && r.Name != "":
		return fmt.Sprintf("HTTP %d %s", r.Status, r.Name)
	case r.Status != 0:
		return fmt.Sprintf("HTTP %d", r.Status)
	default:
		return r.Name
	}
}

// IsTooLong reports whether the service said that a fragment lasts too long.
func (r Rule) IsTooLong() bool { return r.ID == tooLong }

// IsTooShort reports whether the service said that a fragment lasts less than the least.
func (r Rule) IsTooShort() bool { return r.Name == tooShort }

// Class returns who can end the error: the user, or the system by itself.
func (r Rule) Class() health.Class {
	if r.Action == AskUser {
		return health.UserError
	}
	return health.SystemError
}

const adviceUntagged = "It is sent again without tags."

// Untagged returns the rule for an error that tags may have caused: the fragment is sent again without them.
func (r Rule) Untagged() Rule {
	r.Action, r.Advice, r.Fragment = RetryNow, adviceUntagged, false
	return r
}

// Answer is an upload error that occurred, with its rule.
type Answer struct {
	Rule  Rule
	Given string // the service's name of the error; "" when there is none
}

// Title returns the service's name of the error, or else that of the documentation.
func (a Answer) Title() string { return cmp.Or(a.Given, a.Rule.Title()) }
