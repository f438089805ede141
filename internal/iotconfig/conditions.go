package iotconfig

import (
	"slices"
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

// maxStrangers bounds the streams of which something is remembered although they have no configuration for this hub.
const maxStrangers = 1000

// forgetStrangers forgets the statuses and refusals of the streams that were not heard of for the longest time, when there
// are too many without a configuration: messages may name any.
func (s *Source) forgetStrangers(but string) {
	if len(s.statuses) <= len(s.desired.streams)+maxStrangers {
		return
	}
	var strangers []string
	for name := range s.statuses {
		if s.desired.streams[name] == nil && name != but {
			strangers = append(strangers, name)
		}
	}
	slices.SortFunc(strangers, func(a, b string) int {
		return s.statuses[a].LastUpdatedTime.Compare(s.statuses[b].LastUpdatedTime.Time)
	})
	for _, name := range strangers[:max(0, len(strangers)-maxStrangers/2)] {
		delete(s.statuses, name)
		s.acceptable(name)
	}
}
