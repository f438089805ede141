// Package accessunit turns the RTP packets of a video track into access units, counts those that were lost, and knows
// what H.264 and H.265 say of them. A Sink takes them: it is what stands between a source of video and a recorder.
// It is pure: packets are given to it with the times of their arrival. It must not know where they come from, nor
// what becomes of access units.
package accessunit

import (
	"bytes"
	"time"
)

const (
	// MaxBytes bounds an access unit, in bytes: a keyframe of a 4K camera has 1 to 5 MB.
	MaxBytes = 16 << 20
	// maxNALs bounds the NAL units in an access unit: 8K pictures have some hundred slices.
	maxNALs = 4096
	// keepBuffer is what the buffer may keep after a large access unit, in bytes.
	keepBuffer = 2 << 20
	// trustMarkers is after how many access units with a marker at their end markers are believed.
	trustMarkers = 25
)

// assembler turns the RTP packets of a video track, in order of their sequence numbers, into access units. It copies
// each payload once, into a buffer that it uses again for each access unit, and allocates nothing per packet.
// An access unit of which a part is missing is never emitted, but reported as damage.
//
// An access unit is emitted when the next one begins: markers are often forgotten, or set on
// each slice. One that was right for a while is believed, so that a picture need not wait for the next.
type assembler struct {
	codec    Codec
	to       Sink
	maxBytes int // see MaxBytes

	synced   bool   // an access unit has been seen, or a hole: from here on all is accounted for
	started  bool   // sequence is valid
	sequence uint16 // of the last packet
	hole     bool   // what came just before the next NAL unit is unknown

	// The open access unit.
	timestamp uint32
	arrival   time.Time // of its last packet
	buffer    []byte    // its bytes
	units     []span    // its NAL units, in buffer
	open      openAU

	markers     markerStreak
	slicesPerAU int // slices of every access unit so far; 0: of none yet, -1: they differ
	losses      lossCounter

	nals   [][]byte // reused
	annexB []byte   // reused
}

// openAU is what is known of the open access unit.
type openAU struct {
	picture bool  // it has a slice
	slices  int   // so many
	corrupt error // why it must not be emitted
	partial bool  // its last NAL unit, at buffer[nalAt:], is not complete
	nalAt   int
	marked  bool // its last packet had the marker
}

// markerStreak is what is known of the camera's markers.
type markerStreak struct {
	length     int  // access units in a row that ended with a marker
	unreliable bool // markers are set on packets that end no picture
}

// believed reports whether a marker ends an access unit.
func (m markerStreak) believed() bool { return m.established() && !m.unreliable }

// established reports whether access units have ended with a marker for a while.
func (m markerStreak) established() bool { return m.length >= trustMarkers }

// span is a part of the buffer.
type span struct{ from, to int }

func newAssembler(c Codec, maxBytes int, to Sink) *assembler {
	return &assembler{codec: c, to: to, maxBytes: maxBytes, hole: true, losses: lossCounter{report: to.Missed}}
}

// expect says which packet the camera announced to begin with, before the first push.
func (a *assembler) expect(sequence uint16, timestamp uint32) {
	a.started, a.sequence = true, sequence-1
	a.losses.since(timestamp)
}

// push takes the next packet. An error ends the session.
func (a *assembler) push(p Packet, now time.Time) error {
	if ahead := int16(p.Sequence - a.sequence); a.started && ahead != 1 {
		if ahead <= 0 && ahead > -maxRepeat {
			return nil
		}
		a.noteLoss(p.Timestamp, max(int64(ahead)-1, 0))
	}
	a.started, a.sequence = true, p.Sequence
	if len(p.Payload) == 0 { // padding, by which cameras probe the bandwidth
		return nil
	}
	if p.Timestamp != a.timestamp {
		a.nextTimestamp(p.Timestamp)
	}
	a.unpack(p.Payload)
	if a.open.corrupt != nil {
		a.hole = false // its access unit is known
	}
	a.arrival, a.open.marked = now, p.Marker
	if p.Marker && a.open.picture && !a.open.partial && a.markers.believed() {
		a.finish()
	}
	if len(a.buffer) > a.maxBytes {
		return ErrHuge
	}
	return nil
}

// flush emits the last access unit when nothing more comes. One that was cut off in the middle
// was never sent. One without a marker is whole when it has as many slices as all others;
// otherwise it counts as lost, as nobody knows.
func (a *assembler) flush() {
	if a.open.partial && a.open.marked {
		a.closeNAL()
	}
	whole := a.open.marked && !a.markers.unreliable || a.open.slices == a.slicesPerAU
	switch {
	case a.open.corrupt != nil, a.open.picture && !a.open.partial && whole:
		a.finish()
	case a.open.picture && !a.open.partial && a.synced:
		a.to.Damaged(1, nil)
	}
	a.losses.end()
}

// nextTimestamp goes on to an access unit with another timestamp.
func (a *assembler) nextTimestamp(timestamp uint32) {
	a.endNAL()
	// What came without a picture (parameter sets as packets of their own) belongs to the next one.
	if a.open.picture || a.open.corrupt != nil {
		a.finish()
	}
	a.timestamp = timestamp
}

// noteLoss notes that so many packets are missing before one with a timestamp.
func (a *assembler) noteLoss(timestamp uint32, packets int64) {
	if !a.markers.unreliable {
		a.endNAL()
	}
	whole := a.open.picture && a.open.marked && !a.markers.unreliable
	if a.open.picture || a.open.corrupt != nil || len(a.buffer) > 0 {
		switch {
		case timestamp == a.timestamp: // all of them are of this access unit
			packets = 0
		case !a.open.marked && a.markers.established(): // its end is among them
			packets = max(packets-1, 0)
		}
	}
	switch {
	case whole:
		a.finish()
	case a.open.partial:
		a.dropNAL()
	}
	if len(a.units) > 0 && (a.open.picture || !a.open.marked) {
		a.markCorrupt(errHole)
	}
	a.hole, a.synced = true, true
	a.losses.hole(packets)
	a.to.Damaged(0, errHole)
}

// unpack takes the NAL units of a payload.
func (a *assembler) unpack(payload []byte) {
	header := a.codec.HeaderSize()
	if len(payload) < header {
		a.noticeMalformed()
		return
	}
	how := a.codec.Packing(payload)
	if how != packFragment {
		a.endNAL()
	}
	switch how {
	case packSingle:
		a.takeNAL(payload)
	case packAggregate:
		a.takeAggregate(payload[header:])
	case packFragment:
		if f, ok := a.codec.Fragment(payload); ok {
			a.takeFragment(f)
		} else {
			a.dropNAL()
		}
	default:
		a.to.Malformed(errPacking)
	}
}

func (a *assembler) takeAggregate(rest []byte) {
	for len(rest) >= 2 {
		size := int(rest[0])<<8 | int(rest[1])
		rest = rest[2:]
		if size > len(rest) {
			a.markCorrupt(errAggregate)
			return
		}
		if size == 0 {
			a.noticeMalformed()
		} else {
			a.takeNAL(rest[:size])
		}
		rest = rest[size:]
	}
	if len(rest) > 0 {
		a.markCorrupt(errAggregate)
	}
}

func (a *assembler) takeFragment(f Fragment) {
	switch {
	case f.start:
		a.endNAL()
		a.open.partial, a.open.nalAt = true, len(a.buffer)
		a.buffer = append(a.buffer, f.header[:a.codec.HeaderSize()]...)
	case !a.open.partial:
		a.markCorrupt(errFragment)
		return
	}
	a.buffer = append(a.buffer, f.data...)
	if f.end {
		a.closeNAL()
	}
}

// takeNAL takes a NAL unit that came whole.
func (a *assembler) takeNAL(nal []byte) {
	a.open.nalAt = len(a.buffer)
	a.buffer = append(a.buffer, nal...)
	a.closeNAL()
}

// endNAL ends a NAL unit of which no more comes. Some cameras forget the end bit, but set the marker.
func (a *assembler) endNAL() {
	switch {
	case a.open.partial && a.open.marked:
		a.closeNAL()
	case a.open.partial:
		a.dropNAL()
	}
}

// dropNAL takes back a NAL unit that is not complete.
func (a *assembler) dropNAL() {
	if a.open.partial {
		a.buffer = a.buffer[:a.open.nalAt]
		a.open.partial = false
	}
	a.markCorrupt(errFragment)
}

// noticeMalformed reports a NAL unit that is none. It corrupts nothing: there is nothing in it.
func (a *assembler) noticeMalformed() { a.to.Malformed(errMalformed) }

// markCorrupt keeps the open access unit from being emitted.
func (a *assembler) markCorrupt(err error) {
	if a.open.corrupt == nil {
		a.open.corrupt = err
	}
}

var startCode = []byte{0, 0, 1}

// closeNAL completes the NAL unit at nalAt. Start codes never occur in NAL units: where there are
// some, the camera sends Annex B inside of RTP.
func (a *assembler) closeNAL() {
	a.open.partial = false
	nal := a.buffer[a.open.nalAt:]
	if !bytes.Contains(nal, startCode) {
		a.appendNAL()
		return
	}
	rest := append(a.annexB[:0], nal...)
	a.annexB = rest
	a.buffer = a.buffer[:a.open.nalAt]
	for len(rest) > 0 {
		var next []byte
		next, rest, _ = bytes.Cut(rest, startCode)
		if next = trimZeros(next); len(next) > 0 {
			a.open.nalAt = len(a.buffer)
			a.buffer = append(a.buffer, next...)
			a.appendNAL()
		}
	}
	if cap(a.annexB) > keepBuffer {
		a.annexB = nil
	}
}

// appendNAL takes the NAL unit at nalAt, which is complete, into the access unit it belongs to.
func (a *assembler) appendNAL() {
	nal := a.buffer[a.open.nalAt:]
	kind := kindOf(a.codec, nal)
	if kind == nalMalformed {
		if nal[0] &^= nalForbidden; kindOf(a.codec, nal).slice() {
			a.markCorrupt(errMalformed)
		}
		a.buffer = a.buffer[:a.open.nalAt]
		a.noticeMalformed()
		return
	}
	first := kind.slice() && a.codec.FirstSlice(nal)
	if a.open.picture && (kind.begins() || first) {
		a.split()
	}
	if a.hole {
		// What is missing may have belonged to this access unit, unless this begins one.
		sure := kind == nalSet || kind == nalDelimiter
		if !sure && (a.synced || !first && !kind.begins()) {
			a.markCorrupt(errHole)
		}
		a.hole = false
	}
	if kind.slice() {
		a.noteSlice(first)
	}
	if len(a.units) == maxNALs {
		a.markCorrupt(ErrHuge)
		return
	}
	a.units = append(a.units, span{a.open.nalAt, len(a.buffer)})
}

// noteSlice notes a slice of the open access unit, and what it says of markers.
func (a *assembler) noteSlice(first bool) {
	switch {
	case !a.open.picture && !first:
		// Unless the first slice was lost, it came with a marker and ended an access unit too early.
		a.markers.unreliable = a.markers.unreliable || a.open.corrupt == nil && a.markers.established()
		a.markCorrupt(errSlice)
	case a.open.picture && a.open.marked:
		a.markers.unreliable = true
	}
	a.open.picture = true
	a.open.slices++
}

// split emits the open access unit, but for the NAL unit at nalAt, which begins the next one.
func (a *assembler) split() {
	from, to := a.open.nalAt, len(a.buffer)
	a.finish()
	a.buffer = append(a.buffer, a.buffer[from:to]...) // to the front: finish emptied it
}

// finish emits the open access unit, or reports what corrupted it, and begins an empty one.
func (a *assembler) finish() {
	switch {
	case a.open.corrupt != nil && a.synced:
		a.to.Damaged(1, a.open.corrupt)
	case a.open.corrupt == nil && a.open.picture:
		a.nals = a.nals[:0]
		for _, u := range a.units {
			a.nals = append(a.nals, a.buffer[u.from:u.to])
		}
		a.to.AccessUnit(a.nals, a.timestamp, a.arrival)
	}
	if a.open.picture || a.open.corrupt != nil {
		a.learn()
	}
	if cap(a.buffer) > keepBuffer && len(a.buffer) < keepBuffer/2 {
		a.buffer = append(make([]byte, 0, keepBuffer), a.buffer...)
	}
	a.buffer, a.units = a.buffer[:0], a.units[:0]
	a.open = openAU{}
}

// learn learns from an access unit what others are like.
func (a *assembler) learn() {
	a.synced = true
	a.losses.frame(a.timestamp)
	switch {
	case a.open.marked:
		a.markers.length++
	case a.open.corrupt == nil: // else its marker may be lost
		a.markers.length = 0
	}
	if a.open.corrupt == nil && a.open.slices != a.slicesPerAU {
		if a.slicesPerAU == 0 {
			a.slicesPerAU = a.open.slices
		} else {
			a.slicesPerAU = -1
		}
	}
}
