package recorder

import (
	"errors"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// scopeNext is the creation of the next segment, while the present one can still be written: it ends with the present one (seal).
const scopeNext health.Scope = "next-segment"

const (
	// longestStay is how much longer than configured a segment may grow while no next one can be created.
	longestStay = time.Hour
	// largestStay is how many times larger it may grow than configured.
	largestStay = 2
)

// goesOn reports whether recording continues in the open segment as no other can be created, and reports the condition.
// The next keyframe tries again. Fragments obey the limits of the service in any case; only the size of the
// segment is exceeded: how much a damaged disk would take, and how much is deleted at once.
func (r *recording) goesOn(producer time.Time, err error) bool {
	limit := r.o.MaxSegmentBytes()
	if !retries(err) || errors.Is(err, segment.ErrDiskGone) ||
		producer.Sub(r.segment.start) > r.o.SegmentDuration+longestStay || limit > 0 && r.writer.Bytes() > largestStay*limit {
		return false
	}
	fault := health.FaultOf(err, codeStore)
	grows := fault.Recode(codeStore, "No new segment can be started, so the current one keeps growing. "+fault.Text)
	if r.o.Health.Report(scopeNext, health.Degraded, grows) {
		logevent.Condition(r.o.Log, grows)
	}
	return true
}

// retries reports whether the same segment may be created a moment later: the disk failed, or the process lacked
// a resource.
func retries(err error) bool {
	return !errors.Is(err, segment.ErrPaused) && !errors.Is(err, segment.ErrOverlap) && !errors.Is(err, segment.ErrClosed)
}
