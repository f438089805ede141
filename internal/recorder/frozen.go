package recorder

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
)

// frozenGrace is how long after the hub did not run the camera is blamed for nothing that may come of it:
// what connections held, frames that did not fit into them, a camera that closed its one.
const frozenGrace = 30 * time.Second

// frozen reports whether the hub did not run a moment ago.
func (s *segmenter) frozen() bool {
	_, frozen := s.o.Frozen(frozenGrace)
	return frozen
}

// excused is what is said about the end of a session that had brought frames: when the hub did not run, that
// ended it.
func (r *Recorder) excused(end *accessunit.SessionEnd, frames int64) *health.Fault {
	length, frozen := r.o.Frozen(frozenGrace)
	if !frozen || frames == 0 || end.Fault.Code != codeCamera || !r.o.Source.Live() ||
		end.Retry == accessunit.RetryRefused || end.Retry == accessunit.RetryStale {
		return end.Fault
	}
	return health.SystemFault(codeCamera, end.Fault.Err, "The hub did not run for %s, which ended the connection to the camera: it is connected again.",
		humanize.Length(length))
}
