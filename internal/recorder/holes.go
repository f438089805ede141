package recorder

import "slices"

const (
	// stepWindow is how many distances of frames the present frame rate is taken from.
	stepWindow = 32
	// stepEnough is how many must be known before frames are counted by it.
	stepEnough = 4
	// afterHole is after how many steps forward no frame can turn out to be missing any more: that to
	// the frame before the hole, that over the hole, and the next, which looks at it. With B-frames
	// the one that is missing may stand above a pyramid of others.
	afterHole, afterHoleB = 3, 16
	// maxBack is how far timestamps go back for B-frames, in ticks; farther, the camera's clock was set.
	maxBack = 1 << 18
)

// holes counts the frames of which no packet came. Sequence numbers tell that packets are missing,
// but not how many frames they were; timestamps tell, as long as frames come at a steady rate:
//
// When a timestamp comes that is higher than all before (a step forward), all frames up to the
// step before it have been sent, B-frames too, as a frame is sent after those that it needs and
// before any later branch. So the frames from step to step are the ticks between them, divided by
// the usual distance of frames. Those that did not come are missing. A frame has at least one
// packet, so that they are never more than the missing packets: a camera that leaves out frames by
// itself near a hole can mislead the count by no more than that.
type holes struct {
	report func(frames int64)

	begun     bool
	reordered bool   // the stream has B-frames
	before    uint32 // timestamp of the step before high
	high      uint32 // the highest timestamp
	came      int64  // frames since high came, and itself

	distances [stepWindow]uint32 // of frames, in ticks
	known     int                // distances taken, ever

	// Since a hole, until all is reported.
	watch   int   // steps forward still to look at
	packets int64 // missing, that may have been whole frames
	ticks   int64
	seen    int64 // frames in these ticks that came, or were reported
}

// hole notes that packets are missing, none of which belongs to a frame that came in part.
func (h *holes) hole(packets int64) {
	if h.packets += packets; h.packets == 0 {
		return
	}
	if h.watch == 0 && !h.reordered { // all up to here is complete
		h.learn(int64(h.high - h.before))
	}
	h.watch = afterHole
	if h.reordered {
		h.watch = afterHoleB
	}
}

// since tells the timestamp that a session began with, although the first packets did not come.
func (h *holes) since(timestamp uint32) {
	if !h.begun {
		h.begun, h.high, h.before, h.came = true, timestamp, timestamp, 0
	}
}

// frame notes a frame, in order of arrival, of which at least a part came.
func (h *holes) frame(timestamp uint32) {
	ahead := int32(timestamp - h.high)
	switch {
	case !h.begun || ahead < -maxBack:
		h.begun, h.high, h.before, h.came = true, timestamp, timestamp, 1
		h.watch, h.packets, h.ticks, h.seen = 0, 0, 0, 0
	case ahead <= 0:
		h.reordered = h.reordered || ahead < 0
		h.came++
	default:
		h.step()
		h.before, h.high, h.came = h.high, timestamp, 1
	}
}

// end counts what is missing before the last frame. With B-frames nobody knows which of those below
// it were still to come.
func (h *holes) end() {
	if !h.reordered {
		h.step()
	}
	h.settle(1)
}

// step looks at the frames from the step before to the highest timestamp.
func (h *holes) step() {
	ticks := int64(h.high - h.before)
	switch {
	case h.watch == 0:
		h.learn(ticks)
	case ticks > 0:
		h.ticks += ticks
		h.seen += h.came
	default: // the first frame of the session
		h.seen += min(h.came, 1) - 1
	}
	h.watch = max(h.watch-1, 0)
	h.settle(stepEnough)
}

// learn notes the distance of the frames in the last step, if it was one.
func (h *holes) learn(ticks int64) {
	if ticks > 0 && h.came > 0 {
		h.distances[h.known%stepWindow] = uint32(ticks / h.came)
		h.known++
	}
}

// settle reports what is missing when at least so many distances are known.
func (h *holes) settle(enough int) {
	if h.packets == 0 || h.known < enough {
		return
	}
	d := h.distance()
	if missing := min((h.ticks+d/2)/d-h.seen, h.packets); missing > 0 {
		h.report(missing)
		h.seen += missing
		h.packets -= missing
	}
	if h.watch == 0 {
		h.packets, h.ticks, h.seen = 0, 0, 0
	}
}

// distance is the usual one of frames, in ticks: the mean of those in the middle, as timestamps may
// jitter, and cameras pause.
func (h *holes) distance() int64 {
	sorted := slices.Sorted(slices.Values(h.distances[:min(h.known, stepWindow)]))
	middle := sorted[len(sorted)/4 : len(sorted)-len(sorted)/4]
	sum := int64(0)
	for _, d := range middle {
		sum += int64(d)
	}
	return max(sum/int64(len(middle)), 1)
}
