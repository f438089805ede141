package recorder

import (
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
)

// cannotRecord reports that recording is paused, and why.
func cannotRecord(o *Options, err error) {
	fault := health.FaultOf(err, codeStore)
	o.Health.SetState(statePaused)
	if why := fault.Recode(conditionOf(fault), fault.Text); o.Health.Report(health.ScopeRecord, health.Failed, why) {
		logevent.Condition(o.Log, why)
	}
}

// conditionOf keeps the recorder's own codes and reports all those of the store under one code.
func conditionOf(f *health.Fault) string {
	if f.Code == codeUnreadable {
		return f.Code
	}
	return codeStore
}
