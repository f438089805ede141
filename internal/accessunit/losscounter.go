package accessunit

import "slices"

const (
	// stepWindow is how many intervals of frames the frame rate is computed from.
	stepWindow = 32
	// stepEnough is how many must be known before frames are counted by it.
	stepEnough = 4
	// afterHole is the number of steps forward after which no more frames can turn out to be missing: the step to
	// the frame before the hole, the one across the hole, and the next, which evaluates it. With B-frames
	// the missing frame may be above a pyramid of others.
	afterHole, afterHoleB = 3, 16
	// maxBack is how far timestamps may go back for B-frames, in ticks; farther, the camera's clock was set.
	maxBack = 1 << 18
)

// lossCounter counts the frames of which no packet arrived. Sequence numbers show that packets are missing,
// but not how many frames they were; timestamps do, as long as the frame rate is steady:
//
// When a timestamp arrives that is higher than all before (a step forward), all frames up to the
// previous step have been sent, B-frames too, as a frame is sent after those that it references and
// before any later branch. So the number of frames from step to step is the ticks between them, divided by
// the typical interval of frames. Those that did not arrive are missing. A frame has at least one
// packet, so there are never more than the missing packets: a camera that leaves out frames by
// itself near a hole can mislead the count by no more than that.
type lossCounter struct {
	report func(frames int64)

	started   bool
	reordered bool // the stream has B-frames
	step      step // the last one

	distances [stepWindow]uint32 // of frames, in ticks
	known     int                // distances measured, ever

	open openHole
}

// step is the distance from one highest timestamp to the next.
type step struct {
	before uint32 // timestamp of the step before high
	high   uint32 // the highest timestamp
	came   int64  // frames since high, including it
}

// ticks is the length of the step.
func (s step) ticks() int64 { return int64(s.high - s.before) }

// openHole is the state since a hole, until all missing frames are reported.
type openHole struct {
	watch   int   // steps forward still to evaluate
	packets int64 // missing, that may have been whole frames
	ticks   int64
	seen    int64 // frames in these ticks that arrived, or were reported
}

// hole notes missing packets, none of which belongs to a frame that arrived in part.
func (l *lossCounter) hole(packets int64) {
	if l.open.packets += packets; l.open.packets == 0 {
		return
	}
	if l.open.watch == 0 && !l.reordered { // everything up to here is complete
		l.learn(l.step.ticks())
	}
	l.open.watch = afterHole
	if l.reordered {
		l.open.watch = afterHoleB
	}
}

// since sets the timestamp that the session started with, if its first packets did not arrive.
func (l *lossCounter) since(timestamp uint32) {
	if !l.started {
		l.started, l.step = true, step{before: timestamp, high: timestamp}
	}
}

// frame notes a frame, of which at least a part arrived, in order of arrival.
func (l *lossCounter) frame(timestamp uint32) {
	ahead := int32(timestamp - l.step.high)
	switch {
	case !l.started || ahead < -maxBack || l.setBack(timestamp):
		l.started, l.step = true, step{before: timestamp, high: timestamp, came: 1}
		l.open = openHole{}
	case ahead <= 0:
		l.reordered = l.reordered || ahead < 0
		l.step.came++
	default:
		l.endStep()
		l.step = step{before: l.step.high, high: timestamp, came: 1}
	}
}

// setBack reports whether a timestamp shows that the camera's clock was set back: in a stream without B-frames all timestamps up to the
// step before the last are taken.
func (l *lossCounter) setBack(timestamp uint32) bool {
	return !l.reordered && l.known >= stepEnough && int32(timestamp-l.step.before) <= 0
}

// end counts the frames missing before the last one. With B-frames it is unknown which of those with lower timestamps
// were not sent yet.
func (l *lossCounter) end() {
	if !l.reordered {
		l.endStep()
	}
	l.reportMissing(1)
}

// endStep evaluates the frames from the previous step to the highest timestamp.
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

// follows reports whether a frame with a timestamp directly follows one with another: all distances have been about the same, and
// this one is too.
func (l *lossCounter) follows(before, timestamp uint32) bool {
	if l.reordered || l.known < stepEnough {
		return false
	}
	typical := l.distance()
	about := func(ticks int64) bool { return ticks >= typical-typical/8 && ticks <= typical+typical/8 }
	for _, d := range l.distances[:min(l.known, stepWindow)] {
		if !about(int64(d)) {
			return false
		}
	}
	return about(int64(int32(timestamp - before)))
}

// learn stores the interval of the frames in the last step, if it was one.
func (l *lossCounter) learn(ticks int64) {
	if ticks > 0 && l.step.came > 0 {
		l.distances[l.known%stepWindow] = uint32(ticks / l.step.came)
		l.known++
	}
}

// reportMissing reports missing frames once a least number of distances is known.
func (l *lossCounter) reportMissing(least int) {
	if l.open.packets == 0 || l.known < least {
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

// distance is the typical interval of frames, in ticks: the mean of the middle half, as timestamps may
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
