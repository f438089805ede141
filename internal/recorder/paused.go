package recorder

import (
	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// cannotRecord reports that recording is paused, and why.
func cannotRecord(o *Options, err error) {
	fault := health.FaultOf(err, codeStore)
	o.Health.SetState(statePaused)
	if o.Health.Report(health.ScopeRecord, health.Failed, fault.Recode(conditionOf(fault), fault.Text)) {
		o.Log.Error("cannot record", zap.String("code", conditionOf(fault)), zap.Error(fault), zap.NamedError("cause", fault.Err))
	}
}

// conditionOf keeps the recorder's own codes and reports all those of the store under one code.
func conditionOf(f *health.Fault) string {
	if f.Code == codeUnreadable {
		return f.Code
	}
	return codeStore
}
