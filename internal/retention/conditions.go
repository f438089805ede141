package retention

import (
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// The codes of the conditions.
const (
	codeFull     = "limit-reached"
	codeLow      = "disk-low"
	codeLost     = "deleted-before-upload"
	codeClock    = "clock"
	codeLosses   = "losses"
	codePolicies = "policies"
	// CodeReserve is that of a reserve that does not fit the disk.
	CodeReserve = "reserve-too-large"
	codeFilled  = "disk-filled"
	codeHeld    = "recordings-held"
	codeBarren  = "disk-not-freed"
)

// The scopes.
const (
	scopeLost     health.Scope = "losses"
	scopeKeep     health.Scope = "keep" // writing the file of losses
	scopePolicies health.Scope = "policies"
	scopeClock    health.Scope = "clock"
	scopeReserve  health.Scope = "reserve"
	scopeFilled   health.Scope = "filled"
	scopeHeld     health.Scope = "held"
	scopeBarren   health.Scope = "barren"
)

// pauseScope is that of a reason to pause. A stream may have several reasons at once.
func pauseScope(code string) health.Scope { return health.Scope("pause/" + code) }
