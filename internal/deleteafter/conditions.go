package deleteafter

import (
	"slices"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/audit"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
)

// The codes of the conditions.
const (
	codeImpossible = "deleted-without-audit"
	codeLost       = "missing-in-cloud"
)

// The scopes.
const (
	scopeImpossible health.Scope = "audit"
	scopeLost       health.Scope = "missing"
)

// impossible reports whether a fault of an audit is one that waiting does not end.
func impossible(code string) bool {
	return slices.Contains([]string{audit.CodeDenied, audit.CodeNothing, audit.CodeReceipts, audit.CodeUnknown}, code)
}

func withoutAudit(stream string, why *health.Fault) *health.Fault {
	return health.UserFault(codeImpossible, why, "Recordings of stream %s are deleted after their upload without an audit, as none is "+
		"possible: %s", stream, why.Text)
}

func afterExpiry(stream string) *health.Fault {
	return health.UserFault(codeImpossible, nil, "Recordings of stream %s are deleted after their upload without an audit, as the cloud "+
		"need not have them any more: its DataRetentionInHours is over, less an hour.", stream)
}

func (a *Audits) report(stream string, scope health.Scope, fault *health.Fault) {
	if a.o.Health.Component(stream, health.JobRetention).Report(scope, health.Degraded, fault) {
		logevent.Condition(a.o.Log, fault, zap.String("stream", stream))
	}
}

// reportLost reports the segments that stay on the hub, or that there are none.
func (a *Audits) reportLost(name string, s *stream) {
	lost := 0
	a.mu.Lock()
	for _, p := range s.segments {
		if p.lost {
			lost++
		}
	}
	a.mu.Unlock()
	if lost == 0 {
		a.o.Health.Component(name, health.JobRetention).OK(scopeLost)
		return
	}
	a.report(name, scopeLost, health.SystemFault(codeLost, nil, "%s of stream %s stay on the hub until their age or size, as an audit did "+
		"not find all of them in the cloud, also after they were sent again: `kvs-edge-agent audit` says what is missing.",
		humanize.Count(lost, "recording"), name))
}

// end ends the conditions of a stream that waits for no audit.
func (a *Audits) end(stream string) {
	part := a.o.Health.Component(stream, health.JobRetention)
	part.OK(scopeImpossible)
	part.OK(scopeLost)
}

func logMissing(log *zap.Logger, stream string, fragments int, bytes int64) {
	logevent.MissingResent.Log(log, zap.String("stream", stream), zap.Int("fragments", fragments), zap.Int64("bytes", bytes))
}
