package recorder

import "time"

const (
	// reorderLimit is how far presentation times may go back between access units in decode order.
	reorderLimit = 1500 * time.Millisecond
	// jumpLimit is how far media may run ahead of its arrival from one access unit to the next, or
	// lie apart from it for good, before its timestamps are not believed any more.
	jumpLimit = 15 * time.Second
	// slewWindow is how long arrivals are watched before the pace is corrected.
	slewWindow = 2 * time.Second
	// slewFrom is the least deviation that is corrected: networks jitter.
	slewFrom = 60 * time.Millisecond
	// slewRate bounds the correction, as a share of the media's own pace.
	slewRate = 0.05
	// stepLimit is the least difference between wall and monotonic clock that is a step of the wall clock.
	stepLimit = 2 * time.Second
	// constantLimit is how many access units in a row may have one timestamp before times follow their
	// arrival: some cameras send all frames with the same.
	constantLimit = 10
	// frameGuess is a frame's duration when nothing is known of it.
	frameGuess = 40 * time.Millisecond
)

// timeline gives access units their producer times: the hub's clock at the first one is the start,
// RTP deltas give the pace, and slow drift against the hub's clock is slewed. It is pure: the
// times of arrival are given, with their monotonic readings where there are some.
type timeline struct {
	rate   int64     // RTP ticks per second
	camera time.Time // the camera's time of the next access unit, which times are slewed to; zero: the hub's
	newest time.Time // newest producer time ever given, or on disk; nothing new may start at or before it

	anchored bool
	anchor   time.Time     // arrival of the anchor
	origin   time.Time     // its producer time
	raw      uint32        // last RTP timestamp
	ticks    int64         // since the anchor, unwrapped
	arrival  time.Duration // of the last access unit since the anchor, by the monotonic clock
	offset   time.Duration // slewed so far

	windowEnd  time.Duration // of the present slew window, since the anchor
	lead       time.Duration // greatest lead of media over arrival in the window, with correction taken for done
	measured   bool          // lead is valid
	correction time.Duration // still to be slewed

	same     int  // access units in a row with the timestamp before them
	constant bool // same has reached its limit: times follow arrivals

	frame time.Duration // last plausible distance of two access units
}

// restart forgets the pace: the next access unit is the first of a new session.
func (t *timeline) restart() { t.anchored = false }

// at gives the producer time of an access unit, in whole ms. jumped tells that the timestamps
// jumped and times go on from the hub's clock.
func (t *timeline) at(raw uint32, now time.Time) (producer time.Time, jumped bool) {
	if !t.anchored {
		t.begin(raw, now, now)
		return t.give(t.origin), false
	}
	delta := int64(int32(raw - t.raw))
	if t.arrives(delta) {
		least := t.newest.Add(time.Millisecond)
		if producer = t.due(now); producer.Before(least) {
			producer = least
		}
		return t.give(producer), false
	}
	if t.constant { // the timestamps move again
		t.begin(raw, now, t.due(now))
		return t.give(t.origin), false
	}
	t.raw = raw
	t.ticks += delta
	step := t.duration(delta)
	arrival := now.Sub(t.anchor)
	late := arrival - t.arrival
	t.arrival = arrival
	media := t.duration(t.ticks)
	lead := media + t.offset - arrival
	if step < -reorderLimit || step > late+jumpLimit || lead.Abs() > jumpLimit {
		t.begin(raw, now, t.origin.Add(arrival))
		return t.give(t.origin), true
	}
	if step > 0 && step < time.Second {
		t.frame = step
	}
	if !t.camera.IsZero() {
		lead = t.origin.Add(media + t.offset).Sub(t.camera)
	}
	t.slew(step, lead, arrival)
	// Access units of one timestamp must not have one time.
	return t.give(t.origin.Add(media + t.offset + time.Duration(t.same)*time.Millisecond)), false
}

// arrives reports whether timestamps stand still, so that arrivals have to give the times.
func (t *timeline) arrives(delta int64) bool {
	if delta != 0 {
		t.same = 0
		return false
	}
	t.same++
	t.constant = t.constant || t.same >= constantLimit
	return t.constant
}

// due is the producer time of what arrives now, by the pace of arrivals since the anchor.
func (t *timeline) due(now time.Time) time.Time { return t.origin.Add(now.Sub(t.anchor)) }

// begin anchors the pace at an access unit: its producer time is wanted, or just after the newest.
func (t *timeline) begin(raw uint32, now, wanted time.Time) {
	if t.frame <= 0 {
		t.frame = frameGuess
	}
	wanted = wanted.Round(0).UTC()
	if least := t.newest.Add(t.frame); !t.newest.IsZero() && wanted.Before(least) {
		wanted = least
	}
	t.anchored, t.anchor, t.origin = true, now, wanted
	t.raw, t.ticks, t.arrival, t.offset = raw, 0, 0, 0
	t.windowEnd, t.measured, t.correction = slewWindow, false, 0
	t.same, t.constant = 0, false
}

// slew measures how far media runs ahead of its arrival. Only the timeliest access unit of a window
// tells of drift: the others were late for reasons of the network. No more is corrected than that:
// while times are held back, GOPs of a second become shorter, and a fragment takes two of them.
func (t *timeline) slew(step, lead, arrival time.Duration) {
	lead += t.correction
	if !t.measured || lead > t.lead {
		t.lead, t.measured = lead, true
	}
	if arrival >= t.windowEnd {
		if t.lead.Abs() > slewFrom {
			t.correction -= t.lead
		}
		t.windowEnd, t.measured = arrival+slewWindow, false
	}
	if t.correction == 0 || step <= 0 {
		return
	}
	most := time.Duration(float64(step) * slewRate)
	by := min(max(t.correction, -most), most)
	t.correction -= by
	t.offset += by
}

func (t *timeline) give(producer time.Time) time.Time {
	producer = producer.Round(time.Millisecond)
	if producer.After(t.newest) {
		t.newest = producer
	}
	return producer
}

// behind tells by how much the hub's wall clock has been stepped past producer times, 0 when it
// was not: then times are to begin anew from the clock. A clock that was stepped back changes
// nothing, as producer times never go back.
func (t *timeline) behind(now time.Time) time.Duration {
	if !t.anchored {
		return 0
	}
	stepped := now.Round(0).Sub(t.anchor.Round(0)) - now.Sub(t.anchor)
	ahead := now.Round(0).Sub(t.origin) - now.Sub(t.anchor)
	if stepped < stepLimit || ahead < stepLimit {
		return 0
	}
	return ahead
}

func (t *timeline) duration(ticks int64) time.Duration {
	// Seconds and the rest apart, so that years of ticks do not overflow.
	return time.Duration(ticks/t.rate)*time.Second + time.Duration(ticks%t.rate)*time.Second/time.Duration(t.rate)
}
