package retention

import (
	"slices"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
)

// The codes of the conditions.
const (
	codeLow      = "disk-low"
	codeLost     = "deleted-before-upload"
	codeClock    = "clock"
	codeLosses   = "losses"
	codePolicies = "policies"
	// CodeReserve is for a reserve that is too large for the disk.
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

// pauseScope returns the scope of a reason to pause. A stream may have several reasons at once.
func pauseScope(code string) health.Scope { return health.Scope("pause/" + code) }

// pauses has the reasons why streams may not record. There may be several; the store reports the latest.
type pauses struct {
	o        *Options
	byStream map[string][]*health.Fault
}

// add stops the recording of a stream with its present segment.
func (p *pauses) add(stream string, why *health.Fault) {
	p.o.Store.Pause(stream, why)
	if p.o.Health.Component(stream, health.JobRetention).Report(pauseScope(why.Code), health.Failed, why) {
		logevent.Condition(p.o.Log, why, zap.String("stream", stream))
	}
	p.byStream[stream] = append(without(p.byStream[stream], why.Code), why)
}

// end ends a pause for that reason.
func (p *pauses) end(stream, code string) {
	before := p.byStream[stream]
	left := without(before, code)
	if len(left) == len(before) {
		return
	}
	p.o.Health.Component(stream, health.JobRetention).OK(pauseScope(code))
	if len(left) > 0 {
		p.byStream[stream] = left
		p.o.Store.Pause(stream, left[len(left)-1])
		return
	}
	delete(p.byStream, stream)
	p.o.Store.Resume(stream)
	logevent.RecordingAllowed.Log(p.o.Log, zap.String("stream", stream))
}

func without(faults []*health.Fault, code string) []*health.Fault {
	return slices.DeleteFunc(slices.Clone(faults), func(f *health.Fault) bool { return f.Code == code })
}
