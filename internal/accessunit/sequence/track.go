package sequence

import (
	"slices"
	"time"
)

const (
	// sourceLife is how long a source that sends nothing is still the one that is taken.
	sourceLife = time.Second
	// maxHeld and maxHeldBytes bound the packets of a new source that wait for it to be known whether the one before has ended.
	maxHeld, maxHeldBytes = 4096, 4 << 20
	// maxForeign is how many sources beside the one that is taken are known.
	maxForeign = 8
)

// Track takes the packets of a track from one source, and gives them numbers. Encoders that restart take another source
// (RFC 3550, section 8), and some do so for each GOP. Two that send at the same time are two streams, or one that the camera
// forgot to end: the first is taken as long as it sends.
type Track struct {
	emit   func(Packet, time.Time)
	change func(sequence uint16) // a source with numbers of its own begins

	numbers *Numbers
	started bool
	source  uint32
	heard   time.Time // when it sent last
	last    uint16    // its number that is farthest on
	twin    uint32    // the source before, if this one went on with its numbers
	former  uint32    // the source before, if it had numbers of its own
	changed time.Time // when it was left
	foreign []uint32  // sources that send beside it
	dropped int64     // their packets
	held    []arrived // of a source of which it is not known whether it takes its place
	bytes   int       // in held
}

// NewTrack makes a Track that hands on packets with the time of their arrival. change is called with the number of the next
// packet where a source with other numbers begins: nothing of the one before is still to come.
func NewTrack(emit func(Packet, time.Time), change func(sequence uint16)) *Track {
	return &Track{emit: emit, change: change, numbers: NewNumbers(emit)}
}

// Source is the SSRC that is taken.
func (t *Track) Source() uint32 { return t.source }

// Dropped is how many packets of other sources came in between.
func (t *Track) Dropped() int64 { return t.dropped }

// Push takes the next packet in the order of their coming. Its payload is the caller's when it returns.
func (t *Track) Push(p Packet, now time.Time) {
	if p.SSRC == t.source && len(t.held) == 0 && t.numbers.follows(&p) { // nearly all do
		t.heard = now
		t.advance(p.Sequence)
		p.Sequence = t.numbers.out
		t.emit(p, now)
		return
	}
	switch {
	case !t.started:
		t.started, t.source, t.twin, t.last = true, p.SSRC, p.SSRC, p.Sequence
	case p.SSRC == t.source:
		if late := t.last - p.Sequence; late == 0 || late >= MaxRepeat { // one that was overtaken says nothing of what came since
			t.expel()
		}
	case t.continues(p):
		t.twin, t.source = t.source, p.SSRC
	case p.SSRC == t.twin && t.last-p.Sequence < MaxRepeat: // late
	default:
		t.hold(p, now)
		return
	}
	t.take(p, now)
}

func (t *Track) take(p Packet, now time.Time) {
	t.heard = now
	t.advance(p.Sequence)
	t.numbers.Push(p, now)
}

func (t *Track) advance(number uint16) {
	if t.last-number >= MaxRepeat {
		t.last = number
	}
}

// Pass says that a number of the source is that of a packet that is none of the track's.
func (t *Track) Pass(ssrc uint32, number uint16, now time.Time) {
	if t.started && ssrc == t.source {
		t.advance(number)
		t.numbers.Push(Packet{Sequence: number, SSRC: ssrc, Timestamp: t.numbers.present}, now)
	}
}

// Elsewhere says that a packet of another track of the session has a number.
func (t *Track) Elsewhere(number uint16, now time.Time) { t.numbers.Elsewhere(number, now) }

// Flush hands on what waits when no more packets come.
func (t *Track) Flush() {
	switch {
	case len(t.held) == 0:
	case t.isForeign(t.held[0].SSRC):
		t.drop()
	default:
		t.replace()
	}
	t.numbers.Flush()
}

// continues reports whether another source goes on with the numbers of the present one.
func (t *Track) continues(p Packet) bool {
	return p.Sequence-t.last-1 < Window && !t.isForeign(p.SSRC)
}

func (t *Track) isForeign(ssrc uint32) bool { return slices.Contains(t.foreign, ssrc) }

// ban notes that a source sends beside the one that is taken.
func (t *Track) ban(ssrc uint32) {
	if t.isForeign(ssrc) {
		return
	}
	if len(t.foreign) == maxForeign {
		t.foreign = t.foreign[:0]
	}
	t.foreign = append(t.foreign, ssrc)
}

// expel takes the source whose packets wait for a foreign one, as the present source goes on.
func (t *Track) expel() {
	if len(t.held) == 0 {
		return
	}
	t.ban(t.held[0].SSRC)
	t.drop()
}

// drop leaves out what is held.
func (t *Track) drop() {
	t.dropped += int64(len(t.held))
	t.held, t.bytes = nil, 0
}

// hold keeps a packet of another source until that has begun a second picture, without one of the present source in between;
// where both have been sending, until the present one is silent.
func (t *Track) hold(p Packet, now time.Time) {
	if len(t.held) > 0 && t.held[0].SSRC != p.SSRC {
		t.drop()
	}
	t.held, t.bytes = append(t.held, keep(p, now)), t.bytes+len(p.Payload)
	ended := now.Sub(t.heard) >= sourceLife || !t.isForeign(p.SSRC) && t.held[0].Timestamp != p.Timestamp
	if ended || len(t.held) == maxHeld || t.bytes >= maxHeldBytes {
		t.replace()
	}
}

// replace goes on to the source whose packets wait.
func (t *Track) replace() {
	held := t.held
	t.held, t.bytes = nil, 0
	t.numbers.Flush()
	next, now := held[0].SSRC, held[0].at
	if next == t.former && now.Sub(t.changed) < sourceLife { // both send
		t.ban(t.source)
	}
	t.former, t.changed, t.source, t.twin, t.last = t.source, now, next, next, held[0].Sequence
	t.numbers = NewNumbers(t.emit)
	t.change(held[0].Sequence)
	for _, p := range held {
		t.take(p.Packet, p.at)
	}
}
