package gaps

import (
	"io"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/segment/layout"
)

// After is the distance between frames from which on it is a gap.
const After = 2 * time.Second

const (
	// slowFactor is how much longer than its neighbours a distance of frames must be for a gap: some cameras
	// send a frame every few seconds.
	slowFactor = 3
	// maxGaps bounds the number of gaps noted for one segment.
	maxGaps = 256
)

// Finder finds gaps in the times of frames as they are recorded.
type Finder struct {
	began  bool
	last   time.Duration // the latest time
	before time.Duration // the distance before the pending one; 0: none
	gap    layout.Span   // the last distance, when it may be one
	found  []layout.Span
}

// Frame adds a frame.
func (g *Finder) Frame(t time.Duration) {
	if !g.began {
		g.began, g.last = true, t
		return
	}
	distance := t - g.last
	if distance <= 0 { // a frame that is presented before the previous one
		return
	}
	g.decide(distance)
	if distance > After {
		g.gap = layout.Span{From: g.last.Milliseconds(), To: t.Milliseconds()}
	} else {
		g.before = distance
	}
	g.last = t
}

// decide records the last distance as a gap when the distances around it are much shorter; next is the following one, 0 when
// there is none yet.
func (g *Finder) decide(next time.Duration) {
	if g.gap == (layout.Span{}) {
		return
	}
	length := time.Duration(g.gap.To-g.gap.From) * time.Millisecond
	around := next
	if g.before > 0 && (next == 0 || g.before < next) {
		around = g.before
	}
	if length > slowFactor*around && len(g.found) < maxGaps {
		g.found = append(g.found, g.gap)
	}
	g.before, g.gap = length, layout.Span{}
}

// All returns the gaps so far.
func (g *Finder) All() []layout.Span {
	now := *g
	now.found = slices.Clone(g.found)
	now.decide(0)
	return now.found
}

// Of reads the gaps within a segment's file from the heads of all its frames. With an error it returns the gaps found until then.
func Of(r io.ReaderAt, list []mkv.Fragment) ([]layout.Span, error) {
	var g Finder
	for _, f := range list {
		for p, err := range mkv.Places(r, f) {
			if err != nil {
				return g.All(), err
			}
			if p.Track == 1 {
				g.Frame(p.Time)
			}
		}
	}
	return g.All(), nil
}

// OfFile is Of for a complete file, as far as its frames can be read.
func OfFile(f io.ReaderAt, size int64) ([]layout.Span, error) {
	m, err := mkv.Open(f, size)
	if err != nil {
		return nil, err
	}
	list, err := m.Fragments()
	if err != nil {
		return nil, err
	}
	spans, _ := Of(f, list)
	return spans, nil
}
