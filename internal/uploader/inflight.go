package uploader

import (
	"math"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/pace"
	"github.com/kvs-edge/kvs-edge-agent/internal/uploader/queue"
)

const (
	// maxInFlightMedia is how much media may be in flight: that much is sent twice when the agent is killed.
	maxInFlightMedia = 5 * time.Second
	// minInFlight fragments may always be in flight: a service may acknowledge one only when the next begins.
	minInFlight = 2
)

// inflight is a fragment, or a part of one, that is being written or was sent, and is not acknowledged.
type inflight struct {
	queue.Fragment
	size    int64     // bytes of the cluster that are sent
	sent    time.Time // when its last byte was written; zero before
	omitted queue.Omitted
	tagged  bool // tags follow it
	heard   int  // the highest rank among its acknowledgements; see ranks
}

// ranks orders the acknowledgements of a fragment (API reference, PutMedia). Other kinds have no rank.
var ranks = map[kvs.EventType]int{kvs.Buffering: 1, kvs.Received: 2, kvs.Persisted: 3}

// advance records an acknowledgement, and reports whether it is progress: of a higher rank than all before. Repeated
// acknowledgements and those of a lower rank are not, as they could continue for ever.
func (f *inflight) advance(event kvs.EventType) bool {
	rank := ranks[event]
	if rank <= f.heard {
		return false
	}
	f.heard = rank
	return true
}

// flight has a session's unacknowledged fragments, oldest first.
type flight struct {
	list  []inflight
	bytes int64
}

func (f *flight) empty() bool { return len(f.list) == 0 }

func (f *flight) add(next inflight) {
	f.list = append(f.list, next)
	f.bytes += next.size
}

// find returns the index of the fragment with that timecode, or -1.
func (f *flight) find(timecode int64) int {
	return slices.IndexFunc(f.list, func(x inflight) bool { return x.At() == timecode })
}

// index returns the index of a fragment, or -1.
func (f *flight) index(of queue.Fragment) int {
	return slices.IndexFunc(f.list, func(x inflight) bool { return x.Same(of) })
}

func (f *flight) remove(i int) inflight {
	x := f.list[i]
	f.list = slices.Delete(f.list, i, i+1)
	f.bytes -= x.size
	return x
}

// has reports whether any fragment of a segment is in flight.
func (f *flight) has(key segment.Key) bool {
	return slices.ContainsFunc(f.list, func(x inflight) bool { return x.Key == key })
}

// overdue reports whether the oldest fragment has waited that long for its acknowledgement.
func (f *flight) overdue(after time.Duration, now time.Time) bool {
	at, ok := f.due(after)
	return ok && !now.Before(at)
}

// due returns when the oldest fragment will have waited that long for its acknowledgement; ok is false while it is being
// written.
func (f *flight) due(after time.Duration) (at time.Time, ok bool) {
	if f.empty() || f.list[0].sent.IsZero() {
		return time.Time{}, false
	}
	return f.list[0].sent.Add(after), true
}

// ackDelay measures how long acknowledgements take. More than maxInFlightMedia in flight only helps where they
// take so long that the upload would be slower without it. The shortest delay is kept, as anything beyond that
// is the time in the uploader's own queue.
type ackDelay struct{ shortest time.Duration } // from written to acknowledged; 0 = not known

// acknowledged measures the delay of an acknowledgement that arrived now.
func (a *ackDelay) acknowledged(f inflight, now time.Time) {
	if f.sent.IsZero() {
		return // it arrived while the fragment's last bytes were still being written
	}
	if delay := max(now.Sub(f.sent), time.Microsecond); a.shortest == 0 || delay < a.shortest {
		a.shortest = delay
	}
}

// admits reports whether next may be sent too: at most that many fragments may be in flight and, where they are more
// than minInFlight, at most that many bytes.
func (a *ackDelay) admits(f *flight, next queue.Fragment, fragments int, bytes int64) bool {
	switch n := len(f.list); {
	case n == 0:
		return true
	case n >= fragments, n >= minInFlight && f.bytes+next.Bytes() > bytes:
		return false
	case n < max(minInFlight, int(math.Ceil(a.shortest.Seconds()*pace.FragmentsPerSecond))):
		return true
	}
	media := next.End() - next.At()
	for i := range f.list {
		x, after := &f.list[i].Fragment, &next
		if i+1 < len(f.list) {
			after = &f.list[i+1].Fragment
		}
		// Where nothing was recorded between two fragments, nothing is in flight either.
		media += min(after.At()-x.At(), x.End()-x.At()+time.Second.Milliseconds())
	}
	return media <= maxInFlightMedia.Milliseconds()
}
