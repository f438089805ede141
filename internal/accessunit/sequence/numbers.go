package sequence

import "time"

const (
	// remembered is how many packets are remembered to recognise duplicates.
	remembered = 512
	// farJump is the distance between emitted numbers where the camera restarts its own: more than MaxDropout.
	farJump = 1 << 13
	// openingRun is how many packets are held back at the start of a source that does not count by one, until it is
	// known how it counts; steadyRun is how many consecutive ones show that later.
	openingRun, steadyRun = 8, 16
)

// Numbers renumbers the packets of one source, so that each counts by one. Some cameras number pictures, never change the
// number, count by another step, or have one count for all tracks.
type Numbers struct {
	emit func(Packet, time.Time)

	started  bool
	settled  bool      // it is known how the camera counts
	held     []arrived // held back until then
	last     uint16    // the highest number of the camera so far
	out      uint16    // the number with which that packet was emitted
	shift    uint16    // from the camera's numbers to the emitted ones, while it counts by one
	step     uint16    // 1, or what the camera counts by instead
	run      int       // number of consecutive distances of runStep
	runStep  uint16
	present  uint32 // timestamp of the last packet
	ours     [remembered]known
	others   elsewhere
	received uint32 // packets so far
}

// known is a packet that has arrived.
type known struct {
	sequence uint16
	print    uint32 // 0: none
}

// NewNumbers returns Numbers that emit packets with their times of arrival.
func NewNumbers(emit func(Packet, time.Time)) *Numbers { return &Numbers{emit: emit, step: 1} }

// Push adds the next packet in order of arrival.
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

// follows notes a packet whose number is the successor of the last one, where the camera counts by one. It returns false for all
// others, which go to Push.
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

// open holds packets back at the start, unless the camera counts by one.
func (n *Numbers) open(p Packet, now time.Time) {
	before := n.last
	if len(n.held) > 0 {
		before = n.held[len(n.held)-1].Sequence
	}
	step := p.Sequence - before
	ordinary := step == 1 || step == 0 || len(n.held) == 0 && n.others.filled(n.last, p.Sequence, n.received)
	if ordinary && len(n.held) == 0 {
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
	case !ordinary && len(n.held) < openingRun:
		return
	}
	n.Flush()
}

// Flush emits the packets that are held back.
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

// take emits a packet with its number.
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
	case clash: // it restarts
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

// takeStep is like take, for a camera that counts by another step.
func (n *Numbers) takeStep(p Packet, now time.Time) {
	n.remember(p)
	distance, step := int16(p.Sequence-n.last), int16(n.step)
	count := int16(1)
	if distance != step && distance%step == 0 {
		count = distance / step
	} else if distance != step { // it counts by one from here on, or restarts
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

// fill emits packets without content for the numbers before one that packets of other tracks have.
func (n *Numbers) fill(before uint16, now time.Time) {
	for m := n.last + 1; m != before; m++ {
		if n.others.has(m, n.received) {
			n.emit(Packet{Sequence: m + n.shift, Timestamp: n.present}, now)
		}
	}
}

// Elsewhere notes that a packet of another track has a number.
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

// remember notes a packet that arrived.
func (n *Numbers) remember(p Packet) {
	n.received++
	n.ours[p.Sequence%remembered] = known{p.Sequence, p.fingerprint()}
	if n.others.has(p.Sequence, n.received) {
		n.others.independent = true
	}
}

// came reports whether a packet is a duplicate.
func (n *Numbers) came(p Packet) bool {
	k := n.ours[p.Sequence%remembered]
	return k.sequence == p.Sequence && k.print == p.fingerprint()
}

// clashes reports whether another packet arrived with the same number.
func (n *Numbers) clashes(p Packet) bool {
	k := n.ours[p.Sequence%remembered]
	return k.sequence == p.Sequence && k.print != 0 && k.print != p.fingerprint()
}

const (
	// elsewhereKept is how many numbers of other tracks are known, and elsewhereLife after how many of this track's packets they expire.
	elsewhereKept, elsewhereLife = 1024, 4096
)

// elsewhere is the set of numbers of other tracks' packets, as some cameras have one count for all tracks.
type elsewhere struct {
	independent bool // a number occurred twice: each track has its own count
	any         bool // there are numbers
	numbers     [elsewhereKept]taken
}

type taken struct {
	sequence uint16
	valid    bool
	at       uint32 // how many packets of this track had arrived
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

// filled reports whether other tracks have all numbers between two, of which there is at least one.
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
