package deleteafter

import (
	"errors"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/audit"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
)

// The codes of the conditions.
const (
	codeImpossible = "deleted-without-audit"
	codeWaiting    = "waits-for-audit"
	codeLost       = "missing-in-cloud"
	codeDamaged    = "unreadable-not-audited"
)

// The scopes.
const (
	scopeImpossible health.Scope = "audit"
	scopeLost       health.Scope = "missing"
	scopeDamaged    health.Scope = "unreadable"
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

// waiting says why audits fail: in the words of the cause, as the sentence of an audit is for somebody who asked for one.
func waiting(stream string, err error) *health.Fault {
	why := err.Error()
	if fault := new(health.Fault); errors.As(err, &fault) && fault.Code == audit.CodeCloud && fault.Err != nil {
		why = fault.Err.Error()
	}
	return health.SystemFault(codeWaiting, err, "Recordings of stream %s stay on the hub after their upload, as they cannot be audited now: "+
		"%s. It is tried again each minute.", stream, strings.TrimSuffix(why, "."))
}

func (a *Audits) report(stream string, scope health.Scope, fault *health.Fault) {
	if a.o.Health.Component(stream, health.JobRetention).Report(scope, health.Degraded, fault) {
		logevent.Condition(a.o.Log, fault, zap.String("stream", stream))
	}
}

// reportStaying reports the segments that stay on the hub, or that there are none.
func (a *Audits) reportStaying(name string, s *stream) {
	var count [damaged + 1]int
	a.mu.Lock()
	for _, p := range s.segments {
		count[p.stays]++
	}
	a.mu.Unlock()
	part := a.o.Health.Component(name, health.JobRetention)
	if n := count[lost]; n == 0 {
		part.OK(scopeLost)
	} else {
		a.report(name, scopeLost, health.SystemFault(codeLost, nil, "%s of stream %s %s on the hub until %s age or size, as an audit did "+
			"not find all of %s in the cloud, also after it was sent again: `kvs-edge-agent audit` says what is missing.",
			humanize.Count(n, "recording"), name, plural(n, "stays", "stay"), plural(n, "its", "their"), plural(n, "it", "them")))
	}
	if n := count[damaged]; n == 0 {
		part.OK(scopeDamaged)
	} else {
		a.report(name, scopeDamaged, health.SystemFault(codeDamaged, nil, "%s of stream %s %s on the hub until %s age or size, as %s cannot "+
			"be read, so no audit can say whether the cloud has all of %s: `kvs-edge-agent verify` says which.",
			humanize.Count(n, "recording"), name, plural(n, "stays", "stay"), plural(n, "its", "their"), plural(n, "it", "they"),
			plural(n, "it", "them")))
	}
}

func plural(n int, one, more string) string {
	if n == 1 {
		return one
	}
	return more
}

// end ends the conditions of a stream that waits for no audit.
func (a *Audits) end(stream string) {
	part := a.o.Health.Component(stream, health.JobRetention)
	for _, scope := range []health.Scope{scopeImpossible, scopeLost, scopeDamaged} {
		part.OK(scope)
	}
}

func logMissing(log *zap.Logger, stream string, fragments int, bytes int64) {
	logevent.MissingResent.Log(log, zap.String("stream", stream), zap.Int("fragments", fragments), zap.Int64("bytes", bytes))
}
