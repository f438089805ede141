package writeback

import (
	"context"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awserr"
	cloud "github.com/kvs-edge/kvs-edge-agent/internal/cloud/sitewise"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// How long the values of a property wait after a refusal that will not end by itself soon.
const (
	holdAfterConflict = time.Minute
	holdAfterRefusal  = 5 * time.Minute
	holdAfterInvalid  = time.Hour
)

// send sends values, up to cloud.MaxWrites in a call, until all are sent or a call fails. It reports whether what is to be noted before
// could be.
func (w *Writer) send(ctx context.Context, queue []want) bool {
	if !w.try(queue) {
		return false
	}
	round := &round{Writer: w, refused: make(map[string]*health.Fault), accepted: make(map[string]bool)}
	for first := true; len(queue) > 0; first = false {
		if !first && w.pace(ctx) != nil {
			break
		}
		n := min(len(queue), cloud.MaxWrites)
		if !round.put(ctx, queue[:n]) {
			break
		}
		queue = slices.DeleteFunc(queue[n:], func(q want) bool { return w.o.Now().Before(q.s.hold) })
		w.setWaiting(queue)
	}
	round.conclude()
	return true
}

// try notes which points SiteWise will have perhaps, before it has them. Where that fails it has none of them.
func (w *Writer) try(queue []want) bool {
	var fresh []*point
	for _, q := range queue {
		if q.beat != nil {
			continue
		}
		if p := q.s.find(q.start); !p.tried {
			p.tried, p.dirty = true, true
			fresh = append(fresh, p)
		}
	}
	if len(fresh) == 0 || w.note() {
		return true
	}
	for _, p := range fresh {
		p.tried, p.dirty = false, false
	}
	return false
}

// note writes the journal.
func (w *Writer) note() bool {
	w.notedAt = w.o.Now()
	if err := w.save(); err != nil {
		w.report(scopeState, health.Degraded, health.SystemFault(CodeState, err, "What AWS IoT SiteWise has of the hub's video cannot be "+
			"noted on the disk, and rows that are new wait for it: %v. Check the disk of the state directory.", err))
		return false
	}
	w.ok(scopeState)
	return true
}

// round is what one pass sends.
type round struct {
	*Writer
	refused  map[string]*health.Fault // the last refusal of each stream
	accepted map[string]bool          // streams of which something was accepted
}

// put sends values in one call. It reports whether others may be sent. A call that SiteWise refuses as a whole is sent again
// value by value, to find out which one is wrong.
func (r *round) put(ctx context.Context, queue []want) bool {
	values := make([]cloud.Entry, len(queue))
	for i, q := range queue {
		values[i] = q.value()
	}
	refusals, err := r.o.Put.Put(ctx, values)
	if ctx.Err() != nil {
		return false
	}
	if err != nil {
		answer := meaningOf(err)
		if !isWrongRequest(answer) {
			r.fail(err)
			return false
		}
		if len(queue) > 1 {
			return r.putEach(ctx, queue)
		}
		refusals = []cloud.Refusal{{Code: invalidRequest, Message: answer.Message}} // of the only value
	}
	var busy *cloud.Refusal
	left := make(map[int]bool)
	for i, why := range refusals {
		if why.Entry < 0 || why.Entry >= len(queue) {
			continue
		}
		if left[why.Entry] = true; isBusy(why) {
			busy = &refusals[i]
			continue
		}
		r.refuse(queue[why.Entry], why)
	}
	for i, q := range queue {
		if !left[i] {
			r.accept(q)
		}
	}
	if busy != nil {
		r.delay(r.failures.Next())
		r.Writer.report(scopeCall, health.Info, busyFault(*busy))
		return false
	}
	r.failures.Reset()
	r.retry = time.Time{}
	r.ok(scopeCall)
	return true
}

// putEach sends values in a call each.
func (r *round) putEach(ctx context.Context, queue []want) bool {
	for i := range queue {
		if r.pace(ctx) != nil || !r.put(ctx, queue[i:i+1]) {
			return false
		}
	}
	return true
}

// isWrongRequest reports whether one of the values makes SiteWise refuse a request.
func isWrongRequest(e awserr.Error) bool {
	switch e.Kind {
	case awserr.Unusable, awserr.Invalid, awserr.Malformed, awserr.NotFound:
		return e.Status != 0 || e.Name != ""
	}
	return false
}

// accept notes that SiteWise has a value.
func (r *round) accept(q want) {
	r.accepted[q.stream] = true
	r.setStatus(func(s *Status) { s.Written = r.o.Now() })
	if q.beat == nil {
		p := q.s.find(q.start)
		p.sent, p.dirty, p.since = q.end, true, time.Time{}
	}
}

// refuse does what a refusal asks for.
func (r *round) refuse(q want, why cloud.Refusal) {
	switch why.Code {
	case conflicting: // another value of it is being written
		q.s.hold = r.o.Now().Add(holdAfterConflict)
		return
	case invalidRequest:
		q.s.hold = r.o.Now().Add(holdAfterInvalid)
	default:
		q.s.hold = r.o.Now().Add(holdAfterRefusal)
	}
	r.refused[q.stream] = refusalFault(q, why, r.o.Now())
}

// fail notes that a call failed.
func (r *round) fail(err error) {
	wait := r.failures.Next()
	fault, severity, least := callFault(err)
	r.delay(max(wait, least))
	r.Writer.report(scopeCall, severity, fault)
}

func (w *Writer) delay(d time.Duration) { w.retry = w.o.Now().Add(d) }

// conclude reports what was refused, and ends what was before where all was accepted.
func (r *round) conclude() {
	for stream, fault := range r.refused {
		r.Writer.report(scopeOf(scopeRefused, stream), health.Degraded, fault)
	}
	for stream := range r.accepted {
		if r.refused[stream] == nil && !r.held(stream) {
			r.ok(scopeOf(scopeRefused, stream))
		}
	}
}
