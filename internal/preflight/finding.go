package preflight

import (
	"sync/atomic"
	"time"
)

// Finding is one line of a check.
type Finding struct {
	Check  string `json:"check"` // what was checked: "settings", "clock", "camera"
	Stream string `json:"stream,omitempty"`
	OK     bool   `json:"ok"`
	Text   string `json:"text"` // what was found, or what is wrong and what to do

	right string // the action that a policy does not allow, "" for all other findings
	again string // the text where another stream has named the right already
}

// Options are what Check needs.
type Options struct {
	// Getenv looks a variable up. The SDK's own variables are read from the process's environment.
	Getenv func(string) (string, bool)
	// Names are those of all variables that are set, to find misspelt ones.
	Names []string
	// Unit is the service's when the check is to see what the service sees; nil for an agent that is started otherwise.
	Unit *Unit
	// Waiting, when set, is called with what is awaited; done is called when it came. Called by several goroutines.
	Waiting func(what string) (done func())
	// Report receives each finding as soon as it is made, on the caller's goroutine. Required.
	Report func(Finding)
	// Version of the agent, for the header User-Agent. Default: none is named.
	Version string
	// Parts counts the parts of checks that run, also those that were given up and do not end, as on a network disk that does not answer.
	// nil: nobody asks.
	Parts *atomic.Int32
	// Now is the hub's clock. Default time.Now.
	Now func() time.Time

	diskFree func(dir string) (free, total uint64, err error) // default diskFree
}
