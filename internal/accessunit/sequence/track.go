package sequence

import (
	"slices"
	"time"
)

const (
	// sourceLife is how long a silent source remains the current one.
	sourceLife = time.Second
	// maxHeld and maxHeldBytes bound the packets of a new source that wait until it is known whether the previous one has ended.
	maxHeld, maxHeldBytes = 4096, 4 << 20
	// maxForeign is how many other sources are remembered.
	maxForeign = 8
)

// Track follows one source (SSRC) of a track's packets, and renumbers them. Encoders that restart choose another SSRC
// (RFC 3550, section 8), and some do so for each GOP. Two that send at the same time are two streams, or one that the camera
// failed to end: the first one is followed as long as it sends.
type Track struct {
	emit   func(Packet, time.Time)
	change func(sequence uint16) // a source with numbers of its own starts

	numbers *Numbers
	started bool
	source  uint32
	heard   time.Time // when it last sent
	last    uint16    // its highest number
	twin    uint32    // the previous source, if this one continued its numbers
	former  uint32    // the previous source, if it had numbers of its own
	changed time.Time // when it was replaced
	foreign []uint32  // sources that send at the same time
	dropped int64     // their packets
	held    []arrived // of a source that may replace it
	bytes   int       // in held
}

// NewTrack returns a Track that emits packets with their times of arrival. change is called with the number of the next
// packet where a source with other numbers starts: no more packets of the previous one follow.
func NewTrack(emit func(Packet, time.Time), change func(sequence uint16)) *Track {
	return &Track{emit: emit, change: change, numbers: NewNumbers(emit)}
}

// Source is the SSRC that is followed.
func (t *Track) Source() uint32 { return t.source }

// Dropped is how many packets of other sources were dropped.
func (t *Track) Dropped() int64 { return t.dropped }

// Push adds the next packet in order of arrival. The caller may reuse its payload afterwards.
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
		if late := t.last - p.Sequence; late == 0 || late >= MaxRepeat { // a late packet shows nothing about the ones since
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

// Pass notes that a number of the source belongs to a packet of no track.
func (t *Track) Pass(ssrc uint32, number uint16, now time.Time) {
	if t.started && ssrc == t.source {
		t.advance(number)
		t.numbers.Push(Packet{Sequence: number, SSRC: ssrc, Timestamp: t.numbers.present}, now)
	}
}

// Elsewhere notes that a packet of another track of the session has a number.
func (t *Track) Elsewhere(number uint16, now time.Time) { t.numbers.Elsewhere(number, now) }

// Flush emits waiting packets at the end of the session.
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

// continues reports whether another source continues the numbers of the current one.
func (t *Track) continues(p Packet) bool {
	return p.Sequence-t.last-1 < Window && !t.isForeign(p.SSRC)
}

func (t *Track) isForeign(ssrc uint32) bool { return slices.Contains(t.foreign, ssrc) }

// ban notes that a source sends at the same time as the current one.
func (t *Track) ban(ssrc uint32) {
	if t.isForeign(ssrc) {
		return
	}
	if len(t.foreign) == maxForeign {
		t.foreign = t.foreign[:0]
	}
	t.foreign = append(t.foreign, ssrc)
}

// expel treats the source whose packets wait as a foreign one, as the current source continues.
func (t *Track) expel() {
	if len(t.held) == 0 {
		return
	}
	t.ban(t.held[0].SSRC)
	t.drop()
}

// drop discards the held packets.
func (t *Track) drop() {
	t.dropped += int64(len(t.held))
	t.held, t.bytes = nil, 0
}

// hold keeps a packet of another source until that one has started a second picture without a packet of the current source in between;
// where both have been sending, until the current one is silent.
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

// replace switches to the source whose packets wait.
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
