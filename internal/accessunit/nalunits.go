package accessunit

import (
	"bytes"

	"github.com/kvs-edge/kvs-edge-agent/internal/accessunit/payload"
)

// form is how a camera delimits NAL units inside of what should be a single one.
type form struct {
	valid      func(nal []byte) bool
	startCodes bool   // the camera sends them before NAL units
	lengths    bool   // or their lengths
	scratch    []byte // reused
}

// lengths4 reports whether a NAL unit is really a series of NAL units with their lengths. Start codes are likelier.
func (f *form) lengths4(nal []byte) bool {
	if nal[0] != 0 || f.startCodes {
		return false
	}
	yes, ambiguous := payload.Lengths(nal, f.valid)
	if ambiguous && !f.lengths {
		return false
	}
	f.lengths = f.lengths || yes
	return yes
}

// takePart adds a part of a NAL unit.
func (a *assembler) takePart(p payload.Part) {
	switch {
	case p.Start:
		a.endNAL()
		a.beginNAL(a.timestamp + p.Later)
		a.nal.partial = true
		a.buffer = append(a.buffer, p.Header[:a.codec.HeaderSize()]...)
	case !a.nal.partial:
		a.endByTime(a.timestamp)
		a.corruptAt(a.timestamp, errFragment)
		return
	default: // another fragment of it
		a.habits.times.own = a.habits.times.own || a.timestamp != a.nal.timestamp
		a.habits.markers.unreliable = a.habits.markers.unreliable || a.open.marked
	}
	a.buffer = append(a.buffer, p.Data...)
	switch {
	case p.End:
		a.closeNAL()
	case p.Start:
		a.divideEarly()
	}
}

func (a *assembler) beginNAL(timestamp uint32) {
	a.nal = openNAL{at: len(a.buffer), timestamp: timestamp, behindMarker: a.open.marked}
}

// endNAL ends a NAL unit whose rest does not arrive. Some cameras omit the end bit, but set the marker.
func (a *assembler) endNAL() {
	switch {
	case a.nal.partial && a.open.marked:
		a.closeNAL()
	case a.nal.partial:
		a.dropNAL()
	}
}

// dropNAL removes a NAL unit that is not complete.
func (a *assembler) dropNAL() {
	a.nal.partial = false
	at := a.nal.timestamp
	nal := a.buffer[a.nal.at:]
	switch kind := kindOf(a.codec, nal); {
	case a.nal.divided:
	case kind == nalMalformed:
		a.endByTime(at)
	default:
		a.divide(kind, a.sliceOf(kind, nal))
	}
	a.buffer = a.buffer[:a.nal.at]
	a.corruptAt(at, errFragment)
}

// markCorrupt prevents the open access unit from being emitted.
func (a *assembler) markCorrupt(err error) {
	if a.open.corrupt == nil {
		a.open.corrupt = err
	}
}

// corruptAt is markCorrupt for missing data with a timestamp.
func (a *assembler) corruptAt(timestamp uint32, err error) {
	if !a.open.known() {
		a.open.timestamp = timestamp
	}
	a.markCorrupt(err)
}

var startCode = payload.StartCode

// closeNAL completes the NAL unit at nal.at. Start codes never occur in NAL units, and none starts with a zero: where this is
// not so, the camera sends Annex B inside of RTP, or NAL units with lengths as in a file.
func (a *assembler) closeNAL() {
	a.nal.partial = false
	nal := a.buffer[a.nal.at:]
	lengths := a.form.lengths4(nal)
	if !lengths && !bytes.Contains(nal, startCode) {
		a.appendNAL()
		return
	}
	rest := append(a.form.scratch[:0], nal...)
	a.form.scratch = rest
	a.buffer = a.buffer[:a.nal.at]
	timestamp := a.nal.timestamp
	for len(rest) > 0 {
		var next []byte
		if lengths {
			next, rest, _ = payload.CutLength(rest)
		} else {
			next, rest, _ = bytes.Cut(rest, startCode)
			next = trimZeros(next)
		}
		if len(next) > 0 {
			a.beginNAL(timestamp)
			a.buffer = append(a.buffer, next...)
			a.appendNAL()
		}
	}
	if cap(a.form.scratch) > keepBuffer {
		a.form.scratch = nil
	}
}

// divideEarly decides from the start of a NAL unit whether an access unit starts with it, as the rest may take a while.
func (a *assembler) divideEarly() {
	const needed = 8 // bytes; those after them do not matter
	nal := a.buffer[a.nal.at:]
	if len(nal) < needed || !a.open.known() || a.form.startCodes || a.form.lengths {
		return
	}
	if kind := kindOf(a.codec, nal); kind != nalMalformed {
		a.divide(kind, a.sliceOf(kind, nal))
		a.nal.divided = true
	}
}

func (a *assembler) sliceOf(kind NALKind, nal []byte) (s Slice) {
	if kind.slice() {
		s = a.codec.Slice(nal)
	}
	return s
}

// divide ends the open access unit if the NAL unit at nal.at is not a part of it.
func (a *assembler) divide(kind NALKind, s Slice) {
	otherTime := a.nal.timestamp != a.open.timestamp
	switch {
	case !a.open.picture && (a.open.corrupt == nil || !otherTime):
	case kind == nalSlicePrefix && !otherTime: // it belongs to the next slice
	case kind.begins() || s.First:
		a.split()
	case a.open.picture && kind.slice() && otherTime && (a.habits.times.shared() || !s.follows(a.open.last)):
		a.split() // the first slice of its picture is missing
		a.corruptAt(a.nal.timestamp, errSlice)
	}
}

// appendNAL adds the complete NAL unit at nal.at to the access unit it belongs to.
func (a *assembler) appendNAL() {
	nal := a.buffer[a.nal.at:]
	kind := kindOf(a.codec, nal)
	if kind == nalMalformed {
		a.dropMalformed(nal)
		return
	}
	slice := a.sliceOf(kind, nal)
	if !a.nal.divided {
		a.divide(kind, slice)
	}
	lost := a.hole
	if a.hole {
		// The missing packets may have belonged to this access unit, unless this NAL unit starts one.
		sure := kind == nalSet || kind == nalDelimiter
		if !sure && (a.synced || !slice.First && !kind.begins()) {
			a.markCorrupt(errHole)
		}
		a.hole = false
	}
	if !a.open.picture {
		a.open.timestamp = a.nal.timestamp
	}
	if kind.slice() {
		a.noteSlice(slice, lost)
	}
	if len(a.units) == maxNALs {
		a.markCorrupt(ErrHuge)
		return
	}
	a.units = append(a.units, span{a.nal.at, len(a.buffer)})
}

// dropMalformed leaves out an invalid NAL unit. It corrupts nothing, unless it was a slice.
func (a *assembler) dropMalformed(nal []byte) {
	nal[0] &^= nalForbidden
	slice := kindOf(a.codec, nal).slice()
	a.buffer = a.buffer[:a.nal.at]
	if slice {
		at := a.nal.timestamp
		a.endByTime(at)
		a.corruptAt(at, errMalformed)
	}
	a.to.Malformed(errMalformed)
}

// noteSlice notes a slice of the open access unit, and what it shows about markers and timestamps; lost: packets are
// missing before it.
func (a *assembler) noteSlice(s Slice, lost bool) {
	switch {
	case !a.open.picture && !s.First:
		// Unless the first slice was lost, it arrived with a marker, which ended an access unit too early.
		a.habits.markers.unreliable = a.habits.markers.unreliable || a.open.corrupt == nil && a.habits.markers.established()
		a.markCorrupt(errSlice)
	case a.open.picture && a.nal.behindMarker:
		a.habits.markers.unreliable = true
	}
	if a.open.picture && !lost && a.nal.timestamp != a.open.timestamp {
		a.habits.times.own = true
	}
	a.open.picture, a.open.first, a.open.last = true, a.open.first || s.First, s
	a.open.slices++
}

// split emits the open access unit without the NAL unit at nal.at, which starts the next one.
func (a *assembler) split() {
	nal, to := a.nal, len(a.buffer)
	a.finish()
	a.buffer = append(a.buffer, a.buffer[nal.at:to]...) // to the front: finish emptied it
	nal.at = 0
	a.nal = nal
}
