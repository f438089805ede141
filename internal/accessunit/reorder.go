package accessunit

import (
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit/sequence"
)

const (
	// reorderWindow is how many packets after a missing one are held back, as it may still arrive.
	reorderWindow = sequence.Window
	// reorderPatience is how long they are: with few packets per second, the window would be seconds of video.
	reorderPatience = 500 * time.Millisecond
	// maxEarly is how many packets may arrive before the answer to PLAY.
	maxEarly = 1024
)

// Reorder puts packets that arrived over UDP into the order of their sequence numbers, and removes
// duplicates. It stops waiting for a missing packet when too many have arrived after it, or too
// long ago: then it emits the next one, and the consumer sees the hole.
//
// The RTSP library could do this, but it waits for 64 packets however long that takes, and loses what it
// still holds back when the session ends.
type Reorder struct {
	emit    func(p Packet, arrival time.Time)
	playing bool      // the camera has answered PLAY
	early   []arrived // before that
	started bool      // next is valid
	next    uint16    // sequence number to be emitted next

	announced uint16 // the first number that the camera announced
	believed  func() // nil: it announced none

	suspect arrived // the last packet, if its number was far off

	newest  time.Time              // when the last packet came
	waiting [reorderWindow]arrived // by sequence number
	kept    int                    // number of waiting packets
}

// arrived is a packet with its time of arrival, which is zero where there is no packet.
type arrived struct {
	Packet
	at    time.Time
	since time.Time // since when missing packets before it are waited for; later than at if nothing arrived for long
}

// NewReorder returns a Reorder that emits packets with their times of arrival.
func NewReorder(emit func(Packet, time.Time)) *Reorder { return &Reorder{emit: emit} }

// Push adds a packet. The caller may reuse its payload afterwards: the few packets that have to wait are copied.
func (r *Reorder) Push(p Packet, now time.Time) {
	if r.playing {
		r.sort(p, now)
		return
	}
	if r.early = append(r.early, kept(p, now)); len(r.early) == maxEarly {
		r.Play()
	}
}

// Announce sets the first packet that the camera announced, though it may not arrive. believed
// is called if the first packet to arrive confirms it.
func (r *Reorder) Announce(number uint16, believed func()) {
	r.announced, r.believed = number, believed
}

// Play is called when the camera has answered PLAY.
func (r *Reorder) Play() {
	r.playing = true
	for _, p := range r.early {
		r.sort(p.Packet, p.at)
	}
	r.early = nil
}

// sort emits a packet, or queues it in order.
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
		return // it is a duplicate, or no longer awaited
	}
	if ahead < 0 || ahead > sequence.MaxDropout {
		// One packet may be a stray; if a second one follows it, the numbers jumped.
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
	if ahead == 0 { // as nearly always
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

// excuse notes that a packet arrives now. If none arrived for long, the missing packets may be right behind it, in the socket of a
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

// kept is a copy of a packet that waits.
func kept(p Packet, now time.Time) arrived {
	p.Payload = slices.Clone(p.Payload)
	return arrived{Packet: p, at: now, since: now}
}

func (r *Reorder) slot(number uint16) *arrived { return &r.waiting[number%reorderWindow] }

// first returns the number of the first waiting packet.
func (r *Reorder) first() uint16 {
	n := r.next
	for r.slot(n).at.IsZero() {
		n++
	}
	return n
}

// skip stops waiting for the packets before the first waiting one.
func (r *Reorder) skip() {
	r.next = r.first()
	r.drain()
}

// drain emits the packets that are next in line.
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

// Expire stops waiting for packets before ones that arrived too long ago.
func (r *Reorder) Expire(now time.Time) {
	for r.kept > 0 && now.Sub(r.slot(r.first()).since) >= reorderPatience {
		r.skip()
	}
}

// Restart emits all waiting packets, and starts again with the next packet, whatever its number.
func (r *Reorder) Restart() {
	r.Flush()
	r.started, r.suspect = false, arrived{}
}

// Flush emits all waiting packets.
func (r *Reorder) Flush() {
	for r.kept > 0 {
		r.skip()
	}
}
