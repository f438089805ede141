package iotconfig

import (
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

func refusedCode(stream string) string { return codeRefused + "/" + stream }
func applyCode(stream string) string   { return codeApply + "/" + stream }

func refusedScope(stream string) health.Scope { return health.Scope(refusedCode(stream)) }
func applyScope(stream string) health.Scope   { return health.Scope(applyCode(stream)) }

// endRefusals ends the refusals of streams that have no configuration for this hub any longer.
func (s *Source) endRefusals(listed map[string]bool, began time.Time) {
	for name, at := range s.refused {
		if !listed[name] && s.desired.streams[name] == nil && began.After(at) {
			s.acceptable(name)
		}
	}
}

// acceptable ends the refusal of a stream's configuration.
func (s *Source) acceptable(name string) {
	delete(s.refused, name)
	s.o.Health.OK(refusedScope(name))
}

// raise sets the condition of a scope and logs it when it is new.
func (s *Source) raise(scope health.Scope, severity health.Severity, f *health.Fault) {
	if s.o.Health.Report(scope, severity, f) {
		s.logCondition(f)
	}
}

// event shows a message that was not followed, until one is or a listing shows that nothing was missed. Each
// message is an occurrence of its own.
func (s *Source) event(severity health.Severity, f *health.Fault) {
	s.o.Health.OK(scopeMessage)
	s.o.Health.Note(scopeMessage, severity, f, eventShown)
	s.logCondition(f)
}

func (s *Source) logCondition(f *health.Fault) {
	s.o.Log.Warn("configuration condition raised", zap.String("code", f.Code), zap.Error(f), zap.NamedError("cause", f.Err))
}
