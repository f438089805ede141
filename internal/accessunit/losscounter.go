package accessunit

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

// lossCounter counts the frames of which no packet came. Sequence numbers tell that packets are missing,
// but not how many frames they were; timestamps tell, as long as frames come at a steady rate:
//
// When a timestamp comes that is higher than all before (a step forward), all frames up to the
// step before it have been sent, B-frames too, as a frame is sent after those that it needs and
// before any later branch. So the frames from step to step are the ticks between them, divided by
// the usual distance of frames. Those that did not come are missing. A frame has at least one
// packet, so that they are never more than the missing packets: a camera that leaves out frames by
// itself near a hole can mislead the count by no more than that.
type lossCounter struct {
	report func(frames int64)

	begun     bool
	reordered bool // the stream has B-frames
	step      step // the last one

	distances [stepWindow]uint32 // of frames, in ticks
	known     int                // distances taken, ever

	open openHole
}

// step is the way from a highest timestamp to the next.
type step struct {
	before uint32 // timestamp of the step before high
	high   uint32 // the highest timestamp
	came   int64  // frames since high came, and itself
}

// ticks are those between its ends.
func (s step) ticks() int64 { return int64(s.high - s.before) }

// openHole is what is known since a hole, until all is reported.
type openHole struct {
	watch   int   // steps forward still to look at
	packets int64 // missing, that may have been whole frames
	ticks   int64
	seen    int64 // frames in these ticks that came, or were reported
}

// hole notes that packets are missing, none of which belongs to a frame that came in part.
func (l *lossCounter) hole(packets int64) {
	if l.open.packets += packets; l.open.packets == 0 {
		return
	}
	if l.open.watch == 0 && !l.reordered { // all up to here is complete
		l.learn(l.step.ticks())
	}
	l.open.watch = afterHole
	if l.reordered {
		l.open.watch = afterHoleB
	}
}

// since takes the timestamp that a session began with, although the first packets did not come.
func (l *lossCounter) since(timestamp uint32) {
	if !l.begun {
		l.begun, l.step = true, step{before: timestamp, high: timestamp}
	}
}

// frame notes a frame, in order of arrival, of which at least a part came.
func (l *lossCounter) frame(timestamp uint32) {
	ahead := int32(timestamp - l.step.high)
	switch {
	case !l.begun || ahead < -maxBack:
		l.begun, l.step = true, step{before: timestamp, high: timestamp, came: 1}
		l.open = openHole{}
	case ahead <= 0:
		l.reordered = l.reordered || ahead < 0
		l.step.came++
	default:
		l.endStep()
		l.step = step{before: l.step.high, high: timestamp, came: 1}
	}
}

// end counts what is missing before the last frame. With B-frames nobody knows which of those below
// it were still to come.
func (l *lossCounter) end() {
	if !l.reordered {
		l.endStep()
	}
	l.reportMissing(1)
}

// endStep looks at the frames from the step before to the highest timestamp.
func (l *lossCounter) endStep() {
	ticks := l.step.ticks()
	switch {
	case l.open.watch == 0:
		l.learn(ticks)
	case ticks > 0:
		l.open.ticks += ticks
		l.open.seen += l.step.came
	default: // the first frame of the session
		l.open.seen += min(l.step.came, 1) - 1
	}
	l.open.watch = max(l.open.watch-1, 0)
	l.reportMissing(stepEnough)
}

// follows reports whether a frame with a timestamp comes right after one: all distances have been about the same, and this
// is another.
func (l *lossCounter) follows(before, timestamp uint32) bool {
	if l.reordered || l.known < stepEnough {
		return false
	}
	usual := l.distance()
	about := func(ticks int64) bool { return ticks >= usual-usual/8 && ticks <= usual+usual/8 }
	for _, d := range l.distances[:min(l.known, stepWindow)] {
		if !about(int64(d)) {
			return false
		}
	}
	return about(int64(int32(timestamp - before)))
}

// learn notes the distance of the frames in the last step, if it was one.
func (l *lossCounter) learn(ticks int64) {
	if ticks > 0 && l.step.came > 0 {
		l.distances[l.known%stepWindow] = uint32(ticks / l.step.came)
		l.known++
	}
}

// reportMissing reports what is missing when at least so many distances are known.
func (l *lossCounter) reportMissing(enough int) {
	if l.open.packets == 0 || l.known < enough {
		return
	}
	d := l.distance()
	if missing := min((l.open.ticks+d/2)/d-l.open.seen, l.open.packets); missing > 0 {
		l.report(missing)
		l.open.seen += missing
		l.open.packets -= missing
	}
	if l.open.watch == 0 {
		l.open = openHole{}
	}
}

// distance is the usual one of frames, in ticks: the mean of those in the middle, as timestamps may
// jitter, and cameras pause.
func (l *lossCounter) distance() int64 {
	sorted := slices.Sorted(slices.Values(l.distances[:min(l.known, stepWindow)]))
	middle := sorted[len(sorted)/4 : len(sorted)-len(sorted)/4]
	sum := int64(0)
	for _, d := range middle {
		sum += int64(d)
	}
	return max(sum/int64(len(middle)), 1)
}
