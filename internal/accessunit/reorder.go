package accessunit

import (
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit/sequence"
)

const (
	// reorderWindow is how many packets after a missing one are kept back in the hope that it still comes.
	reorderWindow = sequence.Window
	// reorderPatience is for how long: of a camera with few packets, so many would be seconds of video.
	reorderPatience = 500 * time.Millisecond
	// maxEarly is how many packets may come before the answer to PLAY.
	maxEarly = 1024
)

// Reorder puts packets that came over UDP into the order of their sequence numbers, and leaves out
// what comes twice. A packet that is missing is given up when too many have come after it, or too
// long ago: the next in line is then simply emitted, and whoever takes it sees the hole.
//
// The RTSP library could do this, but it waits for 64 packets however long that takes, and what it
// still keeps back when the session ends is gone.
type Reorder struct {
	emit    func(p Packet, arrival time.Time)
	playing bool      // the camera has answered PLAY
	early   []arrived // before that
	started bool      // next is valid
	next    uint16    // sequence number to be emitted next

	announced uint16 // where the camera says that it begins
	believed  func() // nil: it says nothing

	suspect arrived // the last packet, if it was far off

	newest  time.Time              // when the last packet came
	waiting [reorderWindow]arrived // by sequence number
	kept    int                    // of them are there
}

// arrived is a packet with the time of its arrival, which is zero where there is none.
type arrived struct {
	Packet
	at    time.Time
	since time.Time // what is missing before it is waited for; later than at where nothing came for long
}

// NewReorder makes a Reorder that emits packets with the times of their arrival.
func NewReorder(emit func(Packet, time.Time)) *Reorder { return &Reorder{emit: emit} }

// Push takes a packet. Its payload is the callee's to read until it returns: what has to wait is copied, and most has not.
func (r *Reorder) Push(p Packet, now time.Time) {
	if r.playing {
		r.sort(p, now)
		return
	}
	if r.early = append(r.early, kept(p, now)); len(r.early) == maxEarly {
		r.Play()
	}
}

// Announce says with which packet the camera says that it begins, though it may not come. believed
// is called if the first one that comes bears that out.
func (r *Reorder) Announce(number uint16, believed func()) {
	r.announced, r.believed = number, believed
}

// Play says that the camera has answered PLAY.
func (r *Reorder) Play() {
	r.playing = true
	for _, p := range r.early {
		r.sort(p.Packet, p.at)
	}
	r.early = nil
}

// sort puts a packet in its place.
func (r *Reorder) sort(p Packet, now time.Time) {
	r.excuse(now)
	if !r.started {
		r.started, r.next = true, p.Sequence
		if r.believed != nil && p.Sequence-r.announced < reorderWindow {
			r.next = r.announced
			r.believed()
		}
	}
	ahead := int16(p.Sequence - r.next)
	if ahead < 0 && ahead >= -sequence.MaxRepeat {
		return // it came before, or was given up
	}
	if ahead < 0 || ahead > sequence.MaxDropout {
		// One packet may be a stray; a second one that follows it is none.
		first := r.suspect
		if first.at.IsZero() || p.Sequence != first.Sequence+1 {
			r.suspect = kept(p, now)
			return
		}
		r.Flush()
		r.next = p.Sequence
		r.emit(first.Packet, first.at)
	}
	r.suspect = arrived{}
	if ahead == 0 { // as nearly all come
		r.next++
		r.emit(p, now)
		r.drain()
		r.Expire(now)
		return
	}
	for p.Sequence-r.next >= reorderWindow {
		if r.kept == 0 {
			r.next = p.Sequence - reorderWindow + 1
			break
		}
		r.skip()
	}
	if slot := r.slot(p.Sequence); slot.at.IsZero() {
		*slot = kept(p, now)
		r.kept++
	}
	r.drain()
	r.Expire(now)
}

// excuse notes that something comes now. Where nothing came for long, what is missing may be right behind it, in the socket of a
// hub that did not run: that time does not count, once for each packet that waits.
func (r *Reorder) excuse(now time.Time) {
	gap := now.Sub(r.newest)
	r.newest = now
	if r.kept == 0 || gap < reorderPatience/2 {
		return
	}
	for i := range r.waiting {
		if slot := &r.waiting[i]; !slot.at.IsZero() && slot.since.Equal(slot.at) {
			slot.since = slot.since.Add(gap)
		}
	}
}

// kept is a packet that waits.
func kept(p Packet, now time.Time) arrived {
	p.Payload = slices.Clone(p.Payload)
	return arrived{Packet: p, at: now, since: now}
}

func (r *Reorder) slot(number uint16) *arrived { return &r.waiting[number%reorderWindow] }

// first is the first packet that is there.
func (r *Reorder) first() uint16 {
	n := r.next
	for r.slot(n).at.IsZero() {
		n++
	}
	return n
}

// skip gives up what is missing before the first packet that is there.
func (r *Reorder) skip() {
	r.next = r.first()
	r.drain()
}

// drain emits what is next in line.
func (r *Reorder) drain() {
	for {
		slot := r.slot(r.next)
		p := *slot
		if p.at.IsZero() {
			return
		}
		*slot = arrived{}
		r.kept--
		r.next++
		r.emit(p.Packet, p.at)
	}
}

// Expire gives up what is missing before packets that came too long ago.
func (r *Reorder) Expire(now time.Time) {
	for r.kept > 0 && now.Sub(r.slot(r.first()).since) >= reorderPatience {
		r.skip()
	}
}

// Restart emits all that is there, and begins anew with the next packet, whatever its number.
func (r *Reorder) Restart() {
	r.Flush()
	r.started, r.suspect = false, arrived{}
}

// Flush emits all that is there.
func (r *Reorder) Flush() {
	for r.kept > 0 {
		r.skip()
	}
}
