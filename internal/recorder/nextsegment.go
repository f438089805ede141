package recorder

import (
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
)

// scopeNext is the creation of the segment that comes next, while the one before can still be recorded to.
const scopeNext health.Scope = "next-segment"

const (
	// longestStay is how much longer than it should a segment gets for want of a next one.
	longestStay = time.Hour
	// largestStay is how many times as large.
	largestStay = 2
)

// goesOn reports whether the open segment is recorded to further, as no other can be created, and says so. The
// next keyframe tries again. Fragments obey the limits of the service in any case, so that only the
// segment's own matter: how much of it a damaged disk would take, and what must be deletable at once.
func (r *recording) goesOn(producer time.Time, err error) bool {
	limit := r.o.MaxSegmentBytes()
	if !retries(err) || errors.Is(err, segment.ErrDiskGone) ||
		producer.Sub(r.segment.start) > r.o.SegmentDuration+longestStay || limit > 0 && r.writer.Bytes() > largestStay*limit {
		return false
	}
	fault := health.FaultOf(err, codeStore)
	grows := fault.Recode(codeStore, "No new segment can be started, so the current one keeps growing. "+fault.Text)
	if r.o.Health.Report(scopeNext, health.Degraded, grows) {
		r.o.Log.Error("cannot start the next segment; the current one continues", zap.String("code", grows.Code), zap.Error(fault),
			zap.NamedError("cause", fault.Err))
	}
	return true
}

// retries reports whether the same segment may be created a moment later: the disk failed, or the process lacked
// something.
func retries(err error) bool {
	return !errors.Is(err, segment.ErrPaused) && !errors.Is(err, segment.ErrOverlap) && !errors.Is(err, segment.ErrClosed)
}
