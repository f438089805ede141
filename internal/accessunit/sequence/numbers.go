package sequence

import "time"

const (
	// remembered is how many packets are, so that a repeated one is known.
	remembered = 512
	// farJump is what lies between the numbers that are handed on where those of the camera begin anew: more than MaxDropout.
	farJump = 1 << 13
	// openingRun is how many packets are held back at the beginning of a source that does not count by one, until it is
	// known how it counts; and steadyRun is how many have to follow each other so later.
	openingRun, steadyRun = 8, 16
)

// Numbers gives the packets of one source numbers that count each, by one. Cameras are known whose numbers stand still, are
// those of pictures, count by another step, or count the packets of all tracks together.
type Numbers struct {
	emit func(Packet, time.Time)

	started  bool
	settled  bool      // it is known how the camera counts
	held     []arrived // until then
	last     uint16    // the camera's number of the packet that is farthest on
	out      uint16    // the number that it was handed on with
	shift    uint16    // from the camera's numbers to those, while it counts by one
	step     uint16    // 1, or what the camera counts by instead
	run      int       // so many distances in a row were runStep
	runStep  uint16
	present  uint32 // timestamp of the last packet
	ours     [remembered]known
	others   elsewhere
	received uint32 // packets so far
}

// known is a packet that came.
type known struct {
	sequence uint16
	print    uint32 // 0: none
}

// NewNumbers makes Numbers that hand on packets with the time of their arrival.
func NewNumbers(emit func(Packet, time.Time)) *Numbers { return &Numbers{emit: emit, step: 1} }

// Push takes the next packet in the order of their coming.
func (n *Numbers) Push(p Packet, now time.Time) {
	if !n.started {
		n.started, n.last, n.out = true, p.Sequence, p.Sequence
		n.remember(p)
		n.hand(p, p.Sequence, now)
		return
	}
	if n.came(p) {
		return
	}
	if n.settled {
		n.take(p, now)
		return
	}
	n.open(p, now)
}

// follows notes a packet that has the number after the last one, where the camera counts as it ought to. It reports false for all
// others, which are for Push.
func (n *Numbers) follows(p *Packet) bool {
	if !n.settled || n.step != 1 || p.Sequence != n.last+1 {
		return false
	}
	k, print := &n.ours[p.Sequence%remembered], p.fingerprint()
	if k.sequence == p.Sequence && k.print == print {
		return false
	}
	*k = known{p.Sequence, print}
	n.received++
	if n.others.has(p.Sequence, n.received) {
		n.others.independent = true
	}
	n.watch(1)
	n.last, n.out, n.present = p.Sequence, p.Sequence+n.shift, p.Timestamp
	return true
}

// open holds packets back at the beginning, unless the camera counts as it ought to.
func (n *Numbers) open(p Packet, now time.Time) {
	before := n.last
	if len(n.held) > 0 {
		before = n.held[len(n.held)-1].Sequence
	}
	step := p.Sequence - before
	usual := step == 1 || step == 0 || len(n.held) == 0 && n.others.filled(n.last, p.Sequence, n.received)
	if usual && len(n.held) == 0 {
		n.settled = true
		n.take(p, now)
		return
	}
	n.remember(p)
	if step == n.runStep {
		n.run++
	} else {
		n.run, n.runStep = 1, step
	}
	n.held = append(n.held, keep(p, now))
	switch {
	case n.run == openingRun:
		n.step = step
	case !usual && len(n.held) < openingRun:
		return
	}
	n.Flush()
}

// Flush hands on what is held back.
func (n *Numbers) Flush() {
	if !n.started {
		return
	}
	n.settled, n.run = true, 0
	held := n.held
	n.held = nil
	for _, p := range held {
		n.take(p.Packet, p.at)
	}
}

// take hands a packet on with its number.
func (n *Numbers) take(p Packet, now time.Time) {
	if n.step != 1 {
		n.takeStep(p, now)
		return
	}
	ahead := int16(p.Sequence - n.last)
	clash := ahead <= 0 && n.clashes(p)
	n.remember(p)
	distance := uint16(ahead)
	if n.others.filled(n.last, p.Sequence, n.received) {
		distance = 1
	}
	if n.watch(distance) {
		n.takeStep(p, now)
		return
	}
	switch {
	case clash && ahead == 0: // it does not count packets
		n.shift++
	case clash: // it begins anew
		n.shift = n.out + farJump - p.Sequence
	case ahead > 1 && ahead <= MaxDropout:
		n.fill(p.Sequence, now)
	case ahead <= 0 && ahead > -MaxRepeat: // late
		n.hand(p, p.Sequence+n.shift, now)
		return
	}
	n.last, n.out = p.Sequence, p.Sequence+n.shift
	n.hand(p, n.out, now)
}

// takeStep is take where the camera counts by another step.
func (n *Numbers) takeStep(p Packet, now time.Time) {
	n.remember(p)
	distance, step := int16(p.Sequence-n.last), int16(n.step)
	count := int16(1)
	if distance != step && distance%step == 0 {
		count = distance / step
	} else if distance != step { // it counts as others from here on, or begins anew
		n.step, n.run = 1, 0
		n.shift = n.out + farJump - p.Sequence
		n.last, n.out = p.Sequence, n.out+farJump
		n.hand(p, n.out, now)
		return
	}
	if count <= 0 {
		n.hand(p, n.out+uint16(count), now) // late
		return
	}
	n.last, n.out = p.Sequence, n.out+uint16(count)
	n.hand(p, n.out, now)
}

// watch reports whether the camera has counted by another step for a while.
func (n *Numbers) watch(step uint16) bool {
	if step != n.runStep {
		n.run, n.runStep = 0, step
	}
	if n.run++; n.run < steadyRun || step <= 1 {
		return false
	}
	n.step = step
	return true
}

func (n *Numbers) hand(p Packet, number uint16, now time.Time) {
	p.Sequence, n.present = number, p.Timestamp
	n.emit(p, now)
}

// fill hands on packets without content for the numbers before one that other tracks have taken.
func (n *Numbers) fill(before uint16, now time.Time) {
	for m := n.last + 1; m != before; m++ {
		if n.others.has(m, n.received) {
			n.emit(Packet{Sequence: m + n.shift, Timestamp: n.present}, now)
		}
	}
}

// Elsewhere says that a packet of another track has a number.
func (n *Numbers) Elsewhere(number uint16, now time.Time) {
	if n.others.independent {
		return
	}
	if n.ours[number%remembered].sequence == number && n.ours[number%remembered].print != 0 {
		n.others.independent = true
		return
	}
	n.others.add(number, n.received)
	if late := n.last - number; n.settled && n.step == 1 && late > 0 && late < Window {
		n.emit(Packet{Sequence: number + n.shift, Timestamp: n.present}, now)
	}
}

// remember notes a packet that came.
func (n *Numbers) remember(p Packet) {
	n.received++
	n.ours[p.Sequence%remembered] = known{p.Sequence, p.fingerprint()}
	if n.others.has(p.Sequence, n.received) {
		n.others.independent = true
	}
}

// came reports whether a packet came before.
func (n *Numbers) came(p Packet) bool {
	k := n.ours[p.Sequence%remembered]
	return k.sequence == p.Sequence && k.print == p.fingerprint()
}

// clashes reports whether another packet came with the number of one.
func (n *Numbers) clashes(p Packet) bool {
	k := n.ours[p.Sequence%remembered]
	return k.sequence == p.Sequence && k.print != 0 && k.print != p.fingerprint()
}

const (
	// elsewhereKept is how many numbers of other tracks are known, and elsewhereLife how many packets of ours they may be old.
	elsewhereKept, elsewhereLife = 1024, 4096
)

// elsewhere is the numbers that packets of other tracks have taken, as some cameras have one count for all.
type elsewhere struct {
	independent bool // a number came twice: tracks have counts of their own
	any         bool // there are numbers
	numbers     [elsewhereKept]taken
}

type taken struct {
	sequence uint16
	valid    bool
	at       uint32 // when so many packets of ours had come
}

func (e *elsewhere) add(number uint16, received uint32) {
	e.any = true
	e.numbers[number%elsewhereKept] = taken{number, true, received}
}

func (e *elsewhere) has(number uint16, received uint32) bool {
	if e.independent || !e.any {
		return false
	}
	t := e.numbers[number%elsewhereKept]
	return t.valid && t.sequence == number && received-t.at < elsewhereLife
}

// filled reports whether other tracks have all numbers between two, of which there are some.
func (e *elsewhere) filled(after, before uint16, received uint32) bool {
	if between := before - after - 1; between == 0 || between > MaxRepeat {
		return false
	}
	for m := after + 1; m != before; m++ {
		if !e.has(m, received) {
			return false
		}
	}
	return true
}
