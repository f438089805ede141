// Package accessunit assembles the RTP packets of a video track into access units, counts lost ones, and reads the
// NAL units of H.264 and H.265. A Sink receives the access units: it is the interface between a source of video and a recorder.
// The package does no I/O: packets are passed to it with their times of arrival. It knows neither where they come from, nor
// how access units are used.
package accessunit

import (
	"errors"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit/payload"
	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit/sequence"
)

const (
	// MaxBytes bounds an access unit, in bytes: a keyframe of a 4K camera has 1 to 5 MB.
	MaxBytes = 16 << 20
	// maxNALs bounds the NAL units in an access unit: 8K pictures have some hundred slices.
	maxNALs = 4096
	// keepBuffer is the size of buffer that is kept after a large access unit, in bytes.
	keepBuffer = 2 << 20
	// restartPause is how long a camera must have been silent for thousands of packets to be lost. One that continues at once
	// restarted its sequence numbers.
	restartPause = 500 * time.Millisecond
	// manyLeading is more packets than can precede the first slice of a picture.
	manyLeading = 8
	// maxSkipped is how many parts of the first, incomplete picture of a session may look like pictures: slices with timestamps
	// of their own.
	maxSkipped = 8
)

// assembler turns the RTP packets of a video track, in order of their sequence numbers, into access units. It copies
// each payload once, into a buffer that it reuses for each access unit, and allocates nothing per packet.
// An access unit with a missing part is never emitted, but reported as damage.
//
// The headers of NAL units decide where an access unit ends. Markers are often missing, or set on
// each slice, and timestamps may differ within a picture. A marker that was right for a while is trusted, so
// that a picture need not wait for the next; where packets are missing, timestamps decide.
type assembler struct {
	codec    Codec
	to       Sink
	maxBytes int // see MaxBytes

	synced   bool   // a picture has started, or there was a hole: from here on every access unit is counted
	skipped  int    // access units before that, without their start
	started  bool   // sequence is valid
	sequence uint16 // of the last packet
	hole     bool   // packets are missing before the next NAL unit

	arrival   time.Time // of the last packet
	timestamp uint32    // of the last packet
	undefined error     // why a packet since the last access unit could not be read

	buffer []byte // the bytes of the open access unit, followed by those of the open NAL unit
	units  []span // its NAL units, in buffer
	open   openAU
	nal    openNAL
	form   form

	habits habits
	losses lossCounter

	deinterleaver *payload.Deinterleaver // nil: NAL units arrive in decoding order
	take          func(payload.Part)     // a.takePart or a.deinterleave
	nals          [][]byte               // reused
}

// openAU is the state of the open access unit.
type openAU struct {
	picture   bool // it has a slice
	slices    int  // how many
	first     bool // one of them is the first of the picture
	last      Slice
	timestamp uint32 // of its first slice, or else of its last NAL unit
	corrupt   error  // why it must not be emitted
	marked    bool   // its last packet had the marker
}

// known reports whether there is something to report.
func (o openAU) known() bool { return o.picture || o.corrupt != nil }

// openNAL is the open NAL unit, or the last one.
type openNAL struct {
	partial   bool // it is not complete
	at        int  // its start in the buffer
	timestamp uint32
	divided   bool // it has been decided whether an access unit starts with it

	behindMarker bool // the packet before its first one had the marker
}

// span is a part of the buffer.
type span struct{ from, to int }

func newAssembler(c Codec, maxBytes int, to Sink) *assembler {
	a := &assembler{codec: c, to: to, maxBytes: maxBytes, hole: true, losses: lossCounter{report: to.Missed}}
	a.form.valid = func(nal []byte) bool { return kindOf(c, nal) != nalMalformed }
	a.take = a.takePart
	if depth := c.Depth(); depth > 0 {
		a.deinterleaver = payload.NewDeinterleaver(depth, c.HeaderSize(), c.Deep, a.takeUnit)
		a.take = a.deinterleave
	}
	return a
}

// expect sets the first packet that the camera announced, before the first push.
func (a *assembler) expect(sequence uint16, timestamp uint32) {
	a.started, a.sequence = true, sequence-1
	a.losses.since(timestamp)
}

// push adds the next packet. An error ends the session.
func (a *assembler) push(p Packet, now time.Time) error {
	if ahead := int16(p.Sequence - a.sequence); a.started && ahead != 1 {
		if ahead <= 0 && ahead > -sequence.MaxRepeat {
			return nil
		}
		a.noteGap(p, ahead, now)
	}
	a.started, a.sequence = true, p.Sequence
	if len(p.Payload) == 0 { // padding: cameras probe the bandwidth with it
		return nil
	}
	if p.Timestamp != a.timestamp && a.deinterleaver == nil && a.hole && !a.nal.partial {
		a.endByTime(p.Timestamp)
	}
	a.timestamp = p.Timestamp
	if a.deinterleaver != nil {
		a.arrival = now
	}
	a.noteUnpacked(a.codec.Unpack(p.Payload, a.take))
	if a.open.corrupt != nil {
		a.hole = false // the access unit that misses packets is known
	}
	if a.deinterleaver == nil {
		a.arrival, a.open.marked = now, p.Marker
	}
	if a.open.marked && a.open.picture && !a.nal.partial && a.habits.markers.believed() {
		a.finish()
	}
	if a.size() > a.maxBytes {
		return ErrHuge
	}
	return nil
}

// size is the number of received bytes that are not emitted yet.
func (a *assembler) size() int {
	if a.deinterleaver != nil {
		return len(a.buffer) + a.deinterleaver.Bytes()
	}
	return len(a.buffer)
}

// flush emits the last access unit at the end of the session. One that was cut off in the middle
// was never sent completely. One without a marker is complete when it has as many slices as all others;
// otherwise it counts as lost, as this is unknown.
func (a *assembler) flush() {
	left := 0
	if a.deinterleaver != nil {
		left = a.deinterleaver.Flush()
	}
	if a.nal.partial && a.markedWhole() {
		a.closeNAL()
	}
	switch {
	case a.open.corrupt != nil, a.open.picture && !a.nal.partial && a.whole():
		a.finish()
	case a.open.picture && !a.nal.partial && a.synced:
		a.to.Damaged(1, nil)
	}
	if left > 0 && a.synced {
		a.to.Damaged(int64(left), nil)
	}
	a.losses.end()
}

// whole reports whether all slices of the open picture have arrived, judging by its last packet or by other pictures.
func (a *assembler) whole() bool {
	return a.markedWhole() || a.open.slices == a.habits.slicesPerAU
}

// markedWhole reports whether the last packet had a marker that is known to end access units.
func (a *assembler) markedWhole() bool { return a.open.marked && !a.habits.markers.unreliable }

// noteGap handles a packet that is not the successor of the last one.
func (a *assembler) noteGap(p Packet, ahead int16, now time.Time) {
	missing := max(int64(ahead)-1, 0)
	if (missing == 0 || missing >= manyLeading) && a.unbroken(p.Timestamp) {
		return
	}
	if missing > sequence.MaxDropout && now.Sub(a.arrival) < restartPause {
		missing = 0
	}
	a.noteLoss(p.Timestamp, missing)
}

// unbroken reports whether a picture with a timestamp directly follows the previous one: then sequence numbers jumped but
// no packet is missing, as there is no time for the missing ones. It emits the previous picture.
func (a *assembler) unbroken(timestamp uint32) bool {
	last := a.losses.step.high
	complete := a.open.picture && !a.nal.partial && a.open.corrupt == nil && a.whole()
	if complete {
		last = a.open.timestamp
	}
	if !complete && (a.open.known() || len(a.buffer) > 0) || !a.losses.follows(last, timestamp) {
		return false
	}
	if complete {
		a.finish()
	}
	return true
}

// noteLoss notes that a number of packets are missing before one with the timestamp.
func (a *assembler) noteLoss(timestamp uint32, packets int64) {
	if a.deinterleaver != nil {
		a.deinterleaver.Hole()
	}
	if !a.habits.markers.unreliable {
		a.endNAL()
	}
	whole := a.open.picture && a.open.marked && a.habits.markersDecide(a.open.slices)
	if a.open.known() || len(a.buffer) > 0 {
		switch {
		case timestamp == a.timestamp: // all of them belong to this access unit
			packets = 0
		case !a.open.marked && a.habits.markers.established(): // its end is among them
			packets = max(packets-1, 0)
		}
	}
	switch {
	case whole:
		a.finish()
	case a.nal.partial:
		a.dropNAL()
	}
	if len(a.units) > 0 && (a.open.picture || !a.open.marked) {
		a.markCorrupt(errHole)
	}
	a.hole, a.synced = true, true
	a.losses.hole(packets)
	a.to.Damaged(0, errHole)
}

// noteUnpacked handles an error of unpacking a payload.
func (a *assembler) noteUnpacked(err error) {
	switch {
	case err == nil:
	case errors.Is(err, payload.ErrAggregate), errors.Is(err, payload.ErrFragment):
		a.endNAL()
		a.endByTime(a.timestamp)
		a.corruptAt(a.timestamp, err)
	default:
		if errors.As(err, new(payload.UndefinedError)) {
			a.undefined = err
		}
		a.to.Malformed(err)
	}
}

// endByTime ends the open access unit before data of another timestamp that does not show by itself whether it belongs to it.
func (a *assembler) endByTime(timestamp uint32) {
	ended := a.open.corrupt == nil && a.markedWhole() && !a.habits.times.own
	if a.open.known() && timestamp != a.open.timestamp && (ended || a.habits.timesDecide()) {
		a.finish()
	}
}

// deinterleave passes on a part of a NAL unit that may have arrived before its turn.
func (a *assembler) deinterleave(p payload.Part) {
	if !a.deinterleaver.Push(p, a.timestamp+p.Later, a.arrival) {
		a.deinterleaver.Hole()
		a.markCorrupt(errFragment)
		if a.synced {
			a.to.Damaged(0, errFragment)
		}
	}
}

// takeUnit adds the next NAL unit in decoding order.
func (a *assembler) takeUnit(u payload.Unit) {
	a.beginNAL(u.Timestamp)
	a.buffer = append(a.buffer, u.NAL...)
	a.closeNAL()
	a.arrival = u.Arrival
	if u.Suspect {
		a.markCorrupt(errHole)
	}
}

// finish emits the open access unit, or reports what corrupted it, and starts an empty one.
func (a *assembler) finish() {
	switch {
	case a.open.corrupt != nil && a.synced:
		a.to.Damaged(1, a.open.corrupt)
	case a.open.corrupt == nil && a.open.picture:
		a.nals = a.nals[:0]
		for _, u := range a.units {
			a.nals = append(a.nals, a.buffer[u.from:u.to])
		}
		a.undefined = nil
		a.to.AccessUnit(a.nals, a.open.timestamp, a.arrival)
	}
	if a.open.known() {
		a.learn()
	}
	if cap(a.buffer) > keepBuffer && len(a.buffer) < keepBuffer/2 {
		a.buffer = append(make([]byte, 0, keepBuffer), a.buffer...)
	}
	a.buffer, a.units = a.buffer[:0], a.units[:0]
	a.open, a.nal = openAU{}, openNAL{}
}

// learn derives from an access unit how the camera sends others.
func (a *assembler) learn() {
	a.skipped++
	a.synced = a.synced || a.open.first || a.open.corrupt == nil || a.skipped > maxSkipped
	a.losses.frame(a.open.timestamp)
	a.habits.learn(a.open)
}
