package recorder

import (
	"bytes"
	"errors"
	"time"
)

const (
	// maxUnit bounds an access unit, in bytes: a keyframe of a 4K camera has 1 to 5 MB.
	maxUnit = 16 << 20
	// maxNALs bounds the NAL units in an access unit: 8K pictures have some hundred slices.
	maxNALs = 4096
	// keepBuffer is what the buffer may keep after a large access unit, in bytes.
	keepBuffer = 2 << 20
	// trustMarkers is after how many access units with a marker at their end markers are believed.
	trustMarkers = 25
	// maxRepeat is how far a sequence number may lie back and be a packet that came before.
	maxRepeat = 64
)

// What can be wrong with packets. All but errHuge spoil the access unit they belong to only.
var (
	errHole      = errors.New("RTP packets were lost")
	errFragment  = errors.New("a NAL unit came in fragments without its beginning or end")
	errAggregate = errors.New("an aggregation packet is torn")
	errPacking   = errors.New("an RTP payload has a type that is not defined")
	errNoise     = errors.New("a NAL unit has a forbidden header or no content")
	errSlice     = errors.New("a picture lacks its first slice")
	errHuge      = errors.New("a picture is larger than 16 MiB")
)

// packet is an RTP packet, in order of its sequence number.
type packet struct {
	sequence  uint16
	timestamp uint32
	marker    bool
	payload   []byte
	source    uint32 // SSRC
}

// assembler turns the RTP packets of a video track into access units. It copies each payload
// once, into a buffer that it uses again for each access unit, and allocates nothing per packet.
// An access unit of which a part is missing is never given out, but reported as damage.
//
// An access unit is given out when the next one begins: markers are often forgotten, or set on
// each slice. One that was right for a while is believed, so that a picture need not wait for the next.
type assembler struct {
	codec   codec
	to      sink
	maxUnit int // see maxUnit

	synced   bool   // an access unit has been seen, or a hole: from here on all is accounted for
	started  bool   // sequence is valid
	sequence uint16 // of the last packet
	hole     bool   // what came just before the next NAL unit is unknown

	// The open access unit.
	timestamp uint32
	arrival   time.Time // of its last packet
	buffer    []byte    // its bytes
	units     []span    // its NAL units, in buffer
	picture   bool      // it has a slice
	spoiled   error     // why it must not be given out
	partial   bool      // its last NAL unit, at buffer[nalAt:], is not complete
	nalAt     int
	slices    int  // it has so many
	marked    bool // its last packet had the marker
	lies      bool // markers are set on packets that end no picture
	honest    int  // access units in a row that ended with a marker

	usual int // slices of every access unit so far; 0: of none yet, -1: they differ
	holes holes

	nals   [][]byte // reused
	annexB []byte   // reused
}

// span is a part of the buffer.
type span struct{ from, to int }

func newAssembler(c codec, to sink) *assembler {
	return &assembler{codec: c, to: to, maxUnit: maxUnit, hole: true, holes: holes{report: to.missed}}
}

// expect tells which packet the camera said it would begin with, before the first push.
func (a *assembler) expect(sequence uint16, timestamp uint32) {
	a.started, a.sequence = true, sequence-1
	a.holes.since(timestamp)
}

// push takes the next packet. An error ends the session.
func (a *assembler) push(p packet, now time.Time) error {
	if ahead := int16(p.sequence - a.sequence); a.started && ahead != 1 {
		if ahead <= 0 && ahead > -maxRepeat {
			return nil
		}
		a.lose(p.timestamp, max(int64(ahead)-1, 0))
	}
	a.started, a.sequence = true, p.sequence
	if len(p.payload) == 0 { // padding, by which cameras probe the bandwidth
		return nil
	}
	if p.timestamp != a.timestamp {
		a.turn(p.timestamp)
	}
	a.unpack(p.payload)
	if a.spoiled != nil {
		a.hole = false // its access unit is known
	}
	a.arrival, a.marked = now, p.marker
	if p.marker && a.picture && !a.partial && a.honest >= trustMarkers && !a.lies {
		a.finish()
	}
	if len(a.buffer) > a.maxUnit {
		return errHuge
	}
	return nil
}

// flush gives out the last access unit when nothing more comes. One that was cut off in the middle
// was never sent. One without a marker is whole when it has as many slices as all others;
// otherwise it counts as lost, as nobody knows.
func (a *assembler) flush() {
	if a.partial && a.marked {
		a.closeNAL()
	}
	whole := a.marked && !a.lies || a.slices == a.usual
	switch {
	case a.spoiled != nil, a.picture && !a.partial && whole:
		a.finish()
	case a.picture && !a.partial && a.synced:
		a.to.damaged(1, nil)
	}
	a.holes.end()
}

// turn goes on to an access unit with another timestamp.
func (a *assembler) turn(timestamp uint32) {
	a.endNAL()
	// What came without a picture (parameter sets as packets of their own) belongs to the next one.
	if a.picture || a.spoiled != nil {
		a.finish()
	}
	a.timestamp = timestamp
}

// lose notes that so many packets are missing before one with a timestamp.
func (a *assembler) lose(timestamp uint32, packets int64) {
	if !a.lies {
		a.endNAL()
	}
	whole := a.picture && a.marked && !a.lies
	if a.picture || a.spoiled != nil || len(a.buffer) > 0 {
		switch {
		case timestamp == a.timestamp: // all of them are of this access unit
			packets = 0
		case !a.marked && a.honest >= trustMarkers: // its end is among them
			packets = max(packets-1, 0)
		}
	}
	switch {
	case whole:
		a.finish()
	case a.partial:
		a.dropNAL()
	}
	if len(a.units) > 0 && (a.picture || !a.marked) {
		a.spoil(errHole)
	}
	a.hole, a.synced = true, true
	a.holes.hole(packets)
	a.to.damaged(0, errHole)
}

// unpack takes the NAL units of a payload.
func (a *assembler) unpack(payload []byte) {
	header := a.codec.headerSize()
	if len(payload) < header {
		a.noise()
		return
	}
	how := a.codec.packing(payload)
	if how != packFragment {
		a.endNAL()
	}
	switch how {
	case packSingle:
		a.take(payload)
	case packAggregate:
		a.aggregate(payload[header:])
	case packFragment:
		if f, ok := a.codec.fragment(payload); ok {
			a.piece(f)
		} else {
			a.dropNAL()
		}
	default:
		a.to.noticed(errPacking)
	}
}

func (a *assembler) aggregate(rest []byte) {
	for len(rest) >= 2 {
		size := int(rest[0])<<8 | int(rest[1])
		rest = rest[2:]
		if size > len(rest) {
			a.spoil(errAggregate)
			return
		}
		if size == 0 {
			a.noise()
		} else {
			a.take(rest[:size])
		}
		rest = rest[size:]
	}
	if len(rest) > 0 {
		a.spoil(errAggregate)
	}
}

// piece takes a fragment of a NAL unit.
func (a *assembler) piece(f fragment) {
	switch {
	case f.start:
		a.endNAL()
		a.partial, a.nalAt = true, len(a.buffer)
		a.buffer = append(a.buffer, f.header[:a.codec.headerSize()]...)
	case !a.partial:
		a.spoil(errFragment)
		return
	}
	a.buffer = append(a.buffer, f.data...)
	if f.end {
		a.closeNAL()
	}
}

// take takes a NAL unit that came in one piece.
func (a *assembler) take(nal []byte) {
	a.nalAt = len(a.buffer)
	a.buffer = append(a.buffer, nal...)
	a.closeNAL()
}

// endNAL ends a NAL unit of which no more comes. Some cameras forget the end bit, but set the marker.
func (a *assembler) endNAL() {
	switch {
	case a.partial && a.marked:
		a.closeNAL()
	case a.partial:
		a.dropNAL()
	}
}

// dropNAL takes back a NAL unit that is not complete.
func (a *assembler) dropNAL() {
	if a.partial {
		a.buffer = a.buffer[:a.nalAt]
		a.partial = false
	}
	a.spoil(errFragment)
}

// noise reports a NAL unit that is none. It spoils nothing: there is nothing in it.
func (a *assembler) noise() { a.to.noticed(errNoise) }

func (a *assembler) spoil(err error) {
	if a.spoiled == nil {
		a.spoiled = err
	}
}

var startCode = []byte{0, 0, 1}

// closeNAL completes the NAL unit at nalAt. Start codes never occur in NAL units: where there are
// some, the camera sends Annex B inside of RTP.
func (a *assembler) closeNAL() {
	a.partial = false
	nal := a.buffer[a.nalAt:]
	if !bytes.Contains(nal, startCode) {
		a.admit()
		return
	}
	rest := append(a.annexB[:0], nal...)
	a.annexB = rest
	a.buffer = a.buffer[:a.nalAt]
	for len(rest) > 0 {
		var next []byte
		next, rest, _ = bytes.Cut(rest, startCode)
		if next = trimZeros(next); len(next) > 0 {
			a.nalAt = len(a.buffer)
			a.buffer = append(a.buffer, next...)
			a.admit()
		}
	}
	if cap(a.annexB) > keepBuffer {
		a.annexB = nil
	}
}

// admit takes the NAL unit at nalAt, which is complete, into the access unit it belongs to.
func (a *assembler) admit() {
	nal := a.buffer[a.nalAt:]
	kind := kindOf(a.codec, nal)
	if kind == unitNoise {
		if nal[0] &^= nalForbidden; kindOf(a.codec, nal).picture() {
			a.spoil(errNoise)
		}
		a.buffer = a.buffer[:a.nalAt]
		a.noise()
		return
	}
	first := kind.picture() && a.codec.firstSlice(nal)
	if a.picture && (kind.begins() || first) {
		a.split()
	}
	if a.hole {
		// What is missing may have belonged to this access unit, unless this begins one.
		sure := kind == unitSet || kind == unitDelimiter
		if !sure && (a.synced || !first && !kind.begins()) {
			a.spoil(errHole)
		}
		a.hole = false
	}
	if kind.picture() {
		switch {
		case !a.picture && !first:
			// Unless the first slice was lost, it came with a marker and ended an access unit too early.
			a.lies = a.lies || a.spoiled == nil && a.honest >= trustMarkers
			a.spoil(errSlice)
		case a.picture && a.marked:
			a.lies = true
		}
		a.picture = true
		a.slices++
	}
	if len(a.units) == maxNALs {
		a.spoil(errHuge)
		return
	}
	a.units = append(a.units, span{a.nalAt, len(a.buffer)})
}

// split gives out the open access unit, but for the NAL unit at nalAt, which begins the next one.
func (a *assembler) split() {
	from, to := a.nalAt, len(a.buffer)
	a.finish()
	a.buffer = append(a.buffer, a.buffer[from:to]...) // to the front: finish emptied it
	a.nalAt = 0
}

// finish gives out the open access unit, or reports what spoiled it, and begins an empty one.
func (a *assembler) finish() {
	switch {
	case a.spoiled != nil && a.synced:
		a.to.damaged(1, a.spoiled)
	case a.spoiled == nil && a.picture:
		a.nals = a.nals[:0]
		for _, u := range a.units {
			a.nals = append(a.nals, a.buffer[u.from:u.to])
		}
		a.to.accessUnit(a.nals, a.timestamp, a.arrival)
	}
	if a.picture || a.spoiled != nil {
		a.account()
	}
	if cap(a.buffer) > keepBuffer && len(a.buffer) < keepBuffer/2 {
		a.buffer = append(make([]byte, 0, keepBuffer), a.buffer...)
	}
	a.buffer, a.units = a.buffer[:0], a.units[:0]
	a.picture, a.slices, a.spoiled, a.partial, a.marked = false, 0, nil, false, false
}

// account learns from an access unit what others are like.
func (a *assembler) account() {
	a.synced = true
	a.holes.frame(a.timestamp)
	switch {
	case a.marked:
		a.honest++
	case a.spoiled == nil: // else its marker may be lost
		a.honest = 0
	}
	if a.spoiled == nil && a.slices != a.usual {
		if a.usual == 0 {
			a.usual = a.slices
		} else {
			a.usual = -1
		}
	}
}
