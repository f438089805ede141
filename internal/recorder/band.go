package recorder

import "time"

// How a timeline is kept near arrival.

// allow lets times lag for a stall of the network: for an access unit that comes much later than its distance to
// the one before says, and not as late as they always do. passed is how long after the one before it came, and lag how
// far its time lies behind its arrival.
func (t *timeline) allow(passed, scaled, lag time.Duration) {
	stalled := passed-max(scaled, 0) >= stallFrom && t.usual > 0 && passed >= 2*t.usual && lag <= t.patience()
	if t.usual == 0 {
		t.usual = passed
	}
	t.usual += (passed - t.usual) / 16
	if stalled {
		t.credit, t.creditAt = lag, t.arrival
	}
	if t.credit == 0 || !t.forward {
		return
	}
	if lag < t.credit-stallFrom/4 { // what was held up comes
		t.credit, t.creditAt = lag, t.arrival
	}
	if t.arrival-t.creditAt > stallGrace || t.credit <= 2*leastSlew {
		t.credit = 0
	}
}

// audioStallMost is the longest stall that times of audio lag for: that of a session without video.
const audioStallMost = 10 * time.Second

// patience is the longest stall that times lag for.
func (t *timeline) patience() time.Duration {
	if t.audio {
		return audioStallMost
	}
	return stallMost
}

// excuse lets times be where they are although arrival was moved: they are slewed.
func (t *timeline) excuse(lead time.Duration) {
	t.ceiling, t.floor = max(t.ceiling, lead), max(t.floor, -lead)
}

// aim says where times are to be, from arrival.
func (t *timeline) aim(target time.Duration) {
	if (target - t.target).Abs() > leastSlew {
		t.excuse(t.at - t.arrival - target)
	}
	t.target = target
}

// bound keeps times in the band around arrival, and reports whether they had to be. before is the place of
// the access unit before.
func (t *timeline) bound(before, scaled time.Duration) bool {
	lead := t.at - t.arrival - t.target
	if t.forward {
		t.ceiling, t.floor = min(t.ceiling, max(lead, 0)), min(t.floor, max(-lead, 0))
	}
	most, least := max(aheadLimit, t.ceiling), -max(behindLimit, t.floor)-t.credit
	if !t.forward {
		least -= t.reordered()
	}
	switch {
	case lead > most:
		t.at += most - lead
		if scaled > 0 && t.at <= before && lead < reorderLimit {
			t.at = before + min(scaled, time.Millisecond)
		}
	case lead < least:
		t.at += least - lead
	default:
		return false
	}
	return true
}

// mostBack is how many pictures in a row may lie before the front: twice as many as ever did. When more do, the camera's
// clock has slowed down and left the front far ahead.
func (t *timeline) mostBack() int {
	if t.depth == 0 {
		return reorderUnits
	}
	return min(2*t.depth, reorderUnits)
}

// reordered is how far before arrival a picture may lie that is shown before one which came earlier: as long as so many
// take to come, as the camera's clock may be wrong. In a session's first moments nobody knows how long that is.
func (t *timeline) reordered() time.Duration {
	if t.depth == 0 || t.arrival < paceWindow {
		return reorderLimit
	}
	return min(reorderLimit, time.Duration(t.depth+1)*t.usual)
}

// slew measures how far times run ahead of arrival, or of the camera's own time, and corrects it a little with
// each access unit. Only the timeliest of a window counts.
func (t *timeline) slew(scaled time.Duration) {
	if !t.camera.IsZero() {
		t.correction = -t.origin.Add(t.at).Sub(t.camera)
	} else {
		t.measure()
	}
	if t.correction == 0 || scaled <= 0 {
		return
	}
	most := time.Duration(float64(scaled) * gentleSlew)
	if t.correction.Abs() > quickFrom {
		most = time.Duration(float64(scaled) * quickSlew)
	}
	if t.class <= paceOrdinary {
		most = min(most, mostSlew)
	}
	by := min(max(t.correction, -most), most)
	t.correction -= by
	t.at += by
}

// measure watches the lead over arrival.
func (t *timeline) measure() {
	if t.credit > 0 {
		return
	}
	if lead := t.at - t.arrival - t.target + t.correction; !t.measured || lead > t.lead {
		t.lead, t.measured = lead, true
	}
	if t.arrival < t.phaseEnd {
		return
	}
	if t.lead.Abs() > leastSlew {
		t.correction -= t.lead
	}
	t.phaseEnd, t.measured = t.arrival+paceWindow, false
}

// look notes whether an access unit is shown after all before it, or after those of late: others say nothing of lag.
func (t *timeline) look() {
	if t.media >= t.front {
		if t.back <= t.mostBack() {
			t.depth = max(t.depth, t.back)
		}
		t.back = 0
	} else {
		t.back++
	}
	t.forward = t.back == 0 || t.back > t.mostBack()
	if t.forward {
		t.front = t.media
	}
}
