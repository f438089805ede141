package streams

import (
	"math"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// Key identifies a segment: segments of an epoch never start at the same time. An epoch is a time line of its own: a new one
// began where the times of a stream had to go back.
type Key struct {
	Stream string
	Epoch  uint32 // 0 for the first
	Start  int64  // producer time of the first frame, Unix ms
}

// Compare is negative when k was recorded before other, a segment of the same stream, and positive
// when it was after.
func (k Key) Compare(other Key) int { return k.ID().Compare(other.ID()) }

// Before returns a key that precedes all segments of a stream.
func Before(stream string) Key { return Key{Stream: stream, Start: math.MinInt64} }

// ID returns the key among the segments of its stream.
func (k Key) ID() layout.ID { return layout.ID{Epoch: k.Epoch, Start: k.Start} }

// StartTime returns Start as a time.
func (k Key) StartTime() time.Time { return time.UnixMilli(k.Start).UTC() }

// KeyOf returns the key of a segment of a stream.
func KeyOf(stream string, k layout.ID) Key {
	return Key{Stream: stream, Epoch: k.Epoch, Start: k.Start}
}
