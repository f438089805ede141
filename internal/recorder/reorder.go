package recorder

import "time"

const (
	// reorderWindow is how many packets after a missing one are kept back in the hope that it still comes.
	reorderWindow = 64
	// reorderPatience is for how long: of a camera with few packets, so many would be seconds of video.
	reorderPatience = 500 * time.Millisecond
	// maxDropout is how far sequence numbers may run ahead and be a loss; farther, or back, it is a
	// camera that began to count anew. Source: RFC 3550, appendix A.1.
	maxDropout = 3000
	// maxEarly is how many packets may come before the answer to PLAY.
	maxEarly = 1024
)

// reorder puts packets that came over UDP into the order of their sequence numbers, and leaves out
// what comes twice. A packet that is missing is given up when too many have come after it, or too
// long ago: the next in line is then simply given out, and whoever takes it sees the hole.
//
// The RTSP library could do this, but it waits for 64 packets however long that takes, and what it
// still keeps back when the session ends is gone.
type reorder struct {
	give    func(p packet, arrival time.Time)
	playing bool      // the camera has answered PLAY
	early   []arrived // before that
	started bool      // next is valid
	next    uint16    // sequence number to be given out next

	announced uint16 // where the camera says that it begins
	believed  func() // nil: it says nothing

	suspect arrived // the last packet, if it was far off

	waiting [reorderWindow]arrived // by sequence number
	kept    int                    // of them are there
}

// arrived is a packet with the time of its arrival, which is zero where there is none.
type arrived struct {
	packet
	at time.Time
}

func newReorder(give func(packet, time.Time)) *reorder { return &reorder{give: give} }

// take takes a packet, and keeps its payload.
func (r *reorder) take(p packet, now time.Time) {
	if r.playing {
		r.sort(p, now)
		return
	}
	if r.early = append(r.early, arrived{p, now}); len(r.early) == maxEarly {
		r.play()
	}
}

// announce tells with which packet the camera says that it begins, though it may not come. believed
// is called if the first one that comes bears that out.
func (r *reorder) announce(sequence uint16, believed func()) {
	r.announced, r.believed = sequence, believed
}

// play tells that the camera has answered PLAY.
func (r *reorder) play() {
	r.playing = true
	for _, p := range r.early {
		r.sort(p.packet, p.at)
	}
	r.early = nil
}

// sort puts a packet in its place.
func (r *reorder) sort(p packet, now time.Time) {
	if !r.started {
		r.started, r.next = true, p.sequence
		if r.believed != nil && p.sequence-r.announced < reorderWindow {
			r.next = r.announced
			r.believed()
		}
	}
	ahead := int16(p.sequence - r.next)
	if ahead < 0 && ahead >= -maxRepeat {
		return // it came before, or was given up
	}
	if ahead < 0 || ahead > maxDropout {
		// One packet may be a stray; a second one that follows it is none.
		first := r.suspect
		if first.at.IsZero() || p.sequence != first.sequence+1 {
			r.suspect = arrived{p, now}
			return
		}
		r.flush()
		r.next = p.sequence
		r.give(first.packet, first.at)
	}
	r.suspect = arrived{}
	for p.sequence-r.next >= reorderWindow {
		if r.kept == 0 {
			r.next = p.sequence - reorderWindow + 1
			break
		}
		r.skip()
	}
	if slot := r.slot(p.sequence); slot.at.IsZero() {
		*slot = arrived{p, now}
		r.kept++
	}
	r.drain()
	r.expire(now)
}

func (r *reorder) slot(sequence uint16) *arrived { return &r.waiting[sequence%reorderWindow] }

// first is the first packet that is there.
func (r *reorder) first() uint16 {
	n := r.next
	for r.slot(n).at.IsZero() {
		n++
	}
	return n
}

// skip gives up what is missing before the first packet that is there.
func (r *reorder) skip() {
	r.next = r.first()
	r.drain()
}

// drain gives out what is next in line.
func (r *reorder) drain() {
	for {
		slot := r.slot(r.next)
		p := *slot
		if p.at.IsZero() {
			return
		}
		*slot = arrived{}
		r.kept--
		r.next++
		r.give(p.packet, p.at)
	}
}

// expire gives up what is missing before packets that came too long ago.
func (r *reorder) expire(now time.Time) {
	for r.kept > 0 && now.Sub(r.slot(r.first()).at) >= reorderPatience {
		r.skip()
	}
}

// flush gives out all that is there.
func (r *reorder) flush() {
	for r.kept > 0 {
		r.skip()
	}
}
