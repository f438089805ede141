// Package rules owns what is done about each error of uploading: a table, which docs/upload-errors.md shows too. It
// must not know what was sent, nor carry anything out.
package rules

import (
	"cmp"
	"fmt"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// Action is what the uploader does about an error.
type Action uint8

// The actions. Whatever repeats without a fragment getting through in between is retried more and
// more slowly.
const (
	RetryNow       Action = iota + 1 // a new session at once
	BackOff                          // a new session after a pause
	NewEndpoint                      // ask for the data endpoint again, then as BackOff
	NewCredentials                   // ask for credentials again, then as BackOff
	Refuse                           // the fragment stays on the hub; go on with the next
	AskUser                          // a person must act: try again every few minutes, for ever
)

var actionTexts = map[Action]string{
	RetryNow:       "new session at once",
	BackOff:        "new session after a pause",
	NewEndpoint:    "new data endpoint, after a pause",
	NewCredentials: "new credentials, after a pause",
	Refuse:         "skip the fragment, keep it on the hub, count it",
	AskUser:        "report it, try again every 1 to 5 min",
}

// String says it as the documentation does.
func (a Action) String() string { return actionTexts[a] }

// Rule is what is done about one kind of error.
type Rule struct {
	ID     int    // ErrorId of an ERROR acknowledgement, or 0
	Status int    // HTTP status, or 0
	Name   string // ErrorCode, or the exception's name; "" = any other
	Action Action
	// Cause says what is wrong, and Advice what to do about it, for people.
	Cause, Advice string
	// Fragment says that the fragment itself may be to blame: when it keeps ending sessions others are
	// sent before it. When it is an ERROR of the service, which names it while others pass, it is kept as refused.
	Fragment bool
	// Line says that the line may be to blame as well: such a fragment is never refused, but sent in parts.
	Line bool
	// Split says that the fragment's parts may be taken: it is first sent again in parts.
	Split bool
	// Renew says that the credentials may have expired: others are asked for once.
	Renew bool
	// Tags says that the fragment's tags may be to blame: it is first sent again without them.
	Tags bool
}

const anyServerError = 599 // stands for 500 to 599

// Title names the error as the documentation does.
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

// Class says who can end the error.
func (r Rule) Class() health.Class {
	if r.Action == AskUser {
		return health.UserError
	}
	return health.SystemError
}

const adviceUntagged = "It is sent again without tags."

// Untagged is the rule for an error that tags may have caused: the fragment is sent again without them.
func (r Rule) Untagged() Rule {
	r.Action, r.Advice, r.Fragment = RetryNow, adviceUntagged, false
	return r
}

// Answer is an error of uploading as it came, with its rule.
type Answer struct {
	Rule  Rule
	Given string // how the service named the error; "" when it did not
}

// Title is how the service named the error, or else as the documentation does.
func (a Answer) Title() string { return cmp.Or(a.Given, a.Rule.Title()) }
