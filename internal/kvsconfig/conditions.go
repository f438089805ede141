package kvsconfig

import (
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
)

// The codes of the conditions.
const (
	codeState   = "config-state"   // the last good set on disk
	codeRefused = "config-refused" // with the stream's name after a slash
	codeMessage = "config-message" // a message that cannot be followed
	codeApply   = "config-apply"   // with the stream's name after a slash
	codeList    = "control-plane"
	codeHub     = "hub-arn"
)

// The scopes.
const (
	scopeState health.Scope = "state" // the last good set on disk
	scopeHub   health.Scope = "hub"   // whose configurations those on disk are
)

// eventShown is how long an event is shown that nothing ends.
const eventShown = 24 * time.Hour

func refusedCode(stream string) string { return codeRefused + "/" + stream }
func applyCode(stream string) string   { return codeApply + "/" + stream }

func refusedScope(stream string) health.Scope { return health.Scope(refusedCode(stream)) }
func applyScope(stream string) health.Scope   { return health.Scope(applyCode(stream)) }

// conditions are those that Syncer and lister raise.
type conditions struct {
	health  *health.Component
	log     *zap.Logger
	refused map[string]time.Time // streams whose new configuration is refused, and since when
}

func newConditions(part *health.Component, log *zap.Logger) *conditions {
	return &conditions{health: part, log: log, refused: make(map[string]time.Time)}
}

// refuse says that the new configuration of a stream is refused.
func (c *conditions) refuse(stream string, now time.Time, f *health.Fault) {
	c.refused[stream] = now
	c.raise(refusedScope(stream), health.Degraded, f)
}

// acceptable ends the refusal of a stream's configuration.
func (c *conditions) acceptable(stream string) {
	delete(c.refused, stream)
	c.health.OK(refusedScope(stream))
}

// endRefusals ends the refusals from before a listing began of streams for which gone holds: they have no configuration
// for this hub any longer.
func (c *conditions) endRefusals(began time.Time, gone func(stream string) bool) {
	for name, at := range c.refused {
		if gone(name) && began.After(at) {
			c.acceptable(name)
		}
	}
}

// raise sets the condition of a scope and logs it when it is new.
func (c *conditions) raise(scope health.Scope, severity health.Severity, f *health.Fault) {
	if c.health.Report(scope, severity, f) {
		c.logFault(f)
	}
}

// event shows a message that was not followed, until one is or a listing shows that nothing was missed. Each
// message is an occurrence of its own.
func (c *conditions) event(severity health.Severity, f *health.Fault) {
	c.health.OK(health.ScopeMessage)
	c.health.Note(health.ScopeMessage, severity, f, eventShown)
	c.logFault(f)
}

func (c *conditions) logFault(f *health.Fault) {
	logevent.Condition(c.log, f)
}
