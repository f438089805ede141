package agent

import (
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/freeze"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
)

// codeFrozen is raised when the hub did not run for a while.
const codeFrozen = "hub-frozen"

const scopeFrozen health.Scope = "frozen"

// frozenShown is how long a freeze is shown: it is over when it is noticed.
const frozenShown = time.Hour

// newFreezes watches whether the hub runs. What was missed meanwhile is no fault of a camera.
func newFreezes(part *health.Part, log *zap.Logger, now func() time.Duration) *freeze.Watch {
	return freeze.New(func(f freeze.Freeze) {
		until := time.Now()
		part.Note(scopeFrozen, health.Degraded, health.SystemFault(codeFrozen, nil,
			"The hub did not run for %s until %s, so that nothing was recorded but what connections held meanwhile: if it comes again, look for "+
				"suspend, a paused virtual machine, too little memory or a disk that blocks.",
			humanize.Length(f.Length), humanize.Time(until.Local())), frozenShown)
		log.Warn("the hub did not run", zap.Duration("for", f.Length), zap.Time("until", until.UTC()))
	}, now)
}
