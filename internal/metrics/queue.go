package metrics

import (
	"slices"
	"sync"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/cloudwatch"
	"github.com/kvs-edge/kvs-edge-agent/internal/signal"
)

// queue holds the points that wait for CloudWatch, oldest first, at most limit of them.
type queue struct {
	limit  int
	filled signal.Signal // points came

	mu     sync.Mutex
	points []cloudwatch.Point // guarded by mu
	// sending counts the points at the front that peek returned and that are still there, so that
	// done removes no others when the oldest were dropped meanwhile.
	sending int
}

func newQueue(limit int) *queue { return &queue{limit: limit, filled: signal.New()} }

// add appends points and reports how many old ones had to go for them.
func (q *queue) add(points []cloudwatch.Point) (dropped int) {
	if len(points) == 0 {
		return 0
	}
	q.mu.Lock()
	q.points = append(q.points, points...)
	if dropped = len(q.points) - q.limit; dropped > 0 {
		q.points = slices.Delete(q.points, 0, dropped)
		q.sending = max(0, q.sending-dropped)
	}
	q.mu.Unlock()
	q.filled.Set()
	return max(0, dropped)
}

// peek copies the oldest points, which stay until done.
func (q *queue) peek(most int) []cloudwatch.Point {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sending = min(most, len(q.points))
	return slices.Clone(q.points[:q.sending])
}

// done removes what peek returned.
func (q *queue) done() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.points = slices.Delete(q.points, 0, q.sending)
	q.sending = 0
}

// discard removes the points of which hopeless is true and reports how many those were.
func (q *queue) discard(hopeless func(cloudwatch.Point) bool) (dropped int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	before := len(q.points)
	q.points = slices.DeleteFunc(q.points, hopeless)
	return before - len(q.points)
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.points)
}
