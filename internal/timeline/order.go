package timeline

import "time"

// reorderUnits is how many consecutive access units may be shown before one that arrived earlier.
const reorderUnits = 16

// displayOrder follows how a camera reorders access units (B-frames). Those that are shown before others that arrived
// earlier do not indicate lag.
type displayOrder struct {
	front   time.Duration // greatest recent media time
	back    int           // consecutive access units before it
	depth   int           // the most of them between two at the front, up to reorderUnits
	forward bool          // the access unit is at the front, or the front was abandoned
	gap     time.Duration // from the front before to this one
	earlier time.Duration // what gaps were before it: where pictures were lost, or left out, they were longer
}

// add adds the media time of an access unit.
func (o *displayOrder) add(media time.Duration) {
	if media >= o.front {
		if media > o.front {
			o.follow(media - o.front)
		}
		if o.back <= o.maxBack() {
			o.depth = max(o.depth, o.back)
		}
		o.back = 0
	} else {
		o.back++
	}
	o.forward = o.back == 0 || o.back > o.maxBack()
	if o.forward {
		o.front = media
	}
}

// follow takes the next gap. One that is longer than the others counts for little, as gaps that B-frames leave are long in a row.
func (o *displayOrder) follow(gap time.Duration) {
	if o.earlier == 0 {
		o.earlier = o.gap
	} else {
		o.earlier = min(o.gap, o.earlier*9/8)
	}
	o.gap = gap
}

// orderKnown is how long after the anchor it is known whether a camera reorders. Before that any order is accepted.
const orderKnown = 3 * time.Second

// allows reports whether an access unit that lies before the front may be shown before others that arrived earlier. Of a camera that has
// never reordered it may where a gap was left for it: those between it and the front before were sent already.
func (o *displayOrder) allows(media time.Duration) bool {
	return o.depth > 0 || o.back > 0 || media > o.front-o.gap && 2*o.gap >= 3*o.earlier
}

// retreat follows a clock that was set back a little.
func (o *displayOrder) retreat(media time.Duration) { o.front, o.forward = media, true }

// retreated reports whether the access unit has a timestamp before that of the previous one, and is shown after it.
func (o *displayOrder) retreated(step time.Duration) bool { return step < 0 && o.back == 0 }

// maxBack is how many consecutive access units may lie before the front: twice as many as ever did. When more do, the
// camera's clock has slowed down and left the front far ahead.
func (o *displayOrder) maxBack() int {
	if o.depth == 0 {
		return reorderUnits
	}
	return min(2*o.depth, reorderUnits)
}

// reach is how far before arrival an access unit may lie that is shown before one which arrived earlier: as long as that
// many take to arrive, as the camera's clock may be wrong. In a session's first moments that time is unknown.
func (o *displayOrder) reach(arrival, distance time.Duration) time.Duration {
	if o.depth == 0 || arrival < paceInterval {
		return ReorderLimit
	}
	return min(ReorderLimit, time.Duration(o.depth+1)*distance)
}
