package mpegts

import (
	"bytes"
	"slices"
)

const (
	// maxNALs bounds the NAL units of an access unit.
	maxNALs = 4096
	// keepBuffer is the size of buffer that is kept after a large access unit, in bytes.
	keepBuffer = 2 << 20
	// usualFrame is the duration of a frame while it is unknown, in ticks, and longestFrame the longest.
	usualFrame   = Clock / 25
	longestFrame = 10 * Clock
	// shownScrambled is the number of packets of encrypted video after which this is reported.
	shownScrambled = 50
	// trustPES is the number of access units that ended with a PES packet after which one is assumed to do so, without waiting for the next.
	trustPES = 25
)

// videoStream splits the video's stream into access units.
type videoStream struct {
	pid     int
	codec   string
	counter counter
	pes     pesHeader

	scrambled int  // consecutive packets
	encrypted bool // so many that the video is encrypted

	waiting bool // waiting for the next PES packet: the rest of a damaged one is skipped
	astray  bool // no access unit has started since
	missing int  // packets before the next access unit
	ended   bool // the PES packet ended with the last packet

	sign    endSign // of the last packet
	early   bool    // an access unit was emitted because of it
	refuted [3]bool // signs after which a PES packet continued: they are not valid in this stream

	// The open access unit is in the buffer, from its start.
	buffer  []byte
	scanned int   // where the search for the next start code continues
	nals    []int // the starts of its NAL units, after their start codes
	open    bool  // else the buffer belongs to no access unit
	picture bool  // it has a slice
	sliceAt int   // the start of the first one
	torn    bool

	stamps []stamp
	times  times
	spread bool // access units are split across PES packets
	whole  int  // number of consecutive ones that were not

	units [][]byte // reused
}

// endSign is what shows that a packet of the stream ends a PES packet.
type endSign int

const (
	noSign endSign = iota
	byLength
	byStuffing // for a PES packet without a length: further data would have filled the packet
)

// signOf returns the sign of a packet, whose payload was handled.
func (v *videoStream) signOf(p packet) endSign {
	switch {
	case v.pes.left == 0:
		return byLength
	case v.pes.left < 0 && p.stuffed:
		return byStuffing
	}
	return noSign
}

// goesOn notes that the PES packet continues directly after the last packet. Encoders may stuff packets anywhere, and some
// lengths are wrong. An access unit that was emitted already is torn then: to the following ones, a packet is missing.
func (v *videoStream) goesOn() {
	if v.sign == noSign {
		return
	}
	v.refuted[v.sign] = true
	if v.early {
		v.missing, v.astray = v.missing+1, true
	}
}

// stamp is the time of a PES packet, which applies to the first access unit that starts in it (2.4.3.7).
type stamp struct {
	at       int // in the buffer
	pts, dts int64
	timed    bool
}

// follow reads another stream from now on, if it differs.
func (v *videoStream) follow(d *Demuxer, s stream) {
	if s.pid == v.pid && (s.pid == noPID || s.name == v.codec) {
		return
	}
	v.flush(d, false)
	missing := 0
	if v.pid != noPID { // pictures may reference those of another encoder
		missing = 1
	}
	*v = videoStream{pid: s.pid, codec: s.name, buffer: v.buffer[:0], waiting: true, missing: missing}
}

// take handles a packet of the stream.
func (v *videoStream) take(d *Demuxer, p packet, data []byte) {
	if len(p.payload) == 0 {
		return // its counter does not change
	}
	missing, repeated := v.counter.next(p, data)
	if repeated {
		return
	}
	if missing > 0 {
		v.lose(d, missing)
	}
	if p.scrambled {
		v.noteScrambled(d)
		return
	}
	if p.start {
		v.pes.begin()
		v.waiting = false
	}
	if v.waiting {
		return
	}
	if !p.start {
		v.goesOn()
	}
	v.sign, v.early = noSign, false
	whole := v.pes.whole
	body, ok := v.pes.take(p.payload)
	switch {
	case v.pes.broken:
		v.lose(d, 1)
		return
	case !ok:
		return
	case v.pes.scrambled:
		v.noteScrambled(d)
		return
	}
	v.scrambled = 0
	if !whole { // the header has just arrived
		v.begin()
	}
	v.sign = v.signOf(p)
	v.ended = v.sign != noSign && !v.refuted[v.sign]
	v.add(d, body)
	if v.open && v.picture && v.ended && v.whole >= trustPES && !v.spread {
		v.emit(d, v.finish(), true)
		v.drop()
		v.early = true
	}
}

// noteScrambled counts an encrypted packet.
func (v *videoStream) noteScrambled(d *Demuxer) {
	v.lose(d, 1)
	if v.scrambled++; v.scrambled == shownScrambled {
		v.encrypted = true
		d.tell()
	}
}

// begin starts a PES packet.
func (v *videoStream) begin() {
	v.stamps = append(v.stamps, stamp{at: len(v.buffer), pts: v.pes.pts, dts: v.pes.dts, timed: v.pes.timed})
	const most = 64
	if len(v.stamps) > most {
		v.stamps = append(v.stamps[:0], v.stamps[len(v.stamps)-most:]...)
	}
}

// lose notes missing packets.
func (v *videoStream) lose(d *Demuxer, missing int) {
	v.flush(d, false)
	v.missing = min(v.missing+missing, 1<<14)
	v.waiting, v.astray = true, true
	v.sign, v.early = noSign, false
	v.drop()
}

// drop discards the buffer.
func (v *videoStream) drop() {
	if cap(v.buffer) > keepBuffer {
		v.buffer = nil
	}
	v.buffer, v.scanned, v.nals, v.stamps = v.buffer[:0], 0, v.nals[:0], v.stamps[:0]
	v.open, v.picture, v.torn = false, false, false
}

// flush emits the open access unit at the end of the data. It is complete if that is certain, or if its PES packet is complete, unless
// those have parts of access units.
func (v *videoStream) flush(d *Demuxer, certain bool) {
	if !v.open {
		return
	}
	whole := v.picture && !v.torn && (certain || v.ended && v.whole > 0 && !v.spread)
	if v.picture || !whole {
		v.torn = v.torn || !whole
		v.emit(d, v.finish(), v.ended)
	}
	v.drop()
}

var startCode = []byte{0, 0, 1}

// add adds bytes of the stream.
func (v *videoStream) add(d *Demuxer, data []byte) {
	v.buffer = append(v.buffer, data...)
	for {
		i := bytes.Index(v.buffer[v.scanned:], startCode)
		if i < 0 {
			v.scanned = max(len(v.buffer)-len(startCode)+1, v.scanned)
			break
		}
		at := v.scanned + i
		const peeked = 3 // bytes of a NAL unit
		if at+len(startCode)+peeked > len(v.buffer) {
			v.scanned = at
			break
		}
		at = v.startCode(d, at)
		v.scanned = at + len(startCode)
	}
	switch {
	case !v.open: // the rest may be the start of a start code
		v.cut(v.scanned)
	case len(v.buffer) > d.most:
		d.err = ErrHuge
	}
}

// startCode handles the NAL unit after the start code at an offset of the buffer, and returns that offset, which may change.
func (v *videoStream) startCode(d *Demuxer, at int) int {
	nal := v.buffer[at+len(startCode):]
	kind := nalKindOf(v.codec, nal)
	begins := kind == nalFirstSlice || kind == nalBefore
	if v.open && v.picture && begins {
		v.emit(d, at, false)
		v.cut(at)
		at = 0
	}
	if !v.open {
		if !begins {
			v.spread = v.spread || kind == nalSlice && v.whole >= trustPES && !v.astray
			return at
		}
		v.cut(at)
		at = 0
		v.open, v.picture, v.astray = true, false, false
	}
	if !v.picture && (kind == nalFirstSlice || kind == nalSlice) {
		v.picture, v.sliceAt = true, at
	}
	if len(v.nals) == maxNALs {
		v.torn = true
		return at
	}
	v.nals = append(v.nals, at+len(startCode))
	return at
}

// cut removes bytes from the front of the buffer that belong to no further access unit.
func (v *videoStream) cut(n int) {
	if n == 0 {
		return
	}
	rest := len(v.buffer) - n
	if cap(v.buffer) > keepBuffer && rest < keepBuffer/2 {
		v.buffer = append(make([]byte, 0, keepBuffer), v.buffer[n:]...)
	} else {
		v.buffer = v.buffer[:copy(v.buffer, v.buffer[n:])]
	}
	v.scanned = max(v.scanned-n, 0)
	v.nals, v.torn, v.open = v.nals[:0], false, false
	for i := range v.stamps {
		v.stamps[i].at -= n
	}
}

// emit emits the open access unit, which ends at an offset of the buffer.
func (v *videoStream) emit(d *Demuxer, end int, ended bool) {
	v.units = v.units[:0]
	for i, from := range v.nals {
		to := end
		if i+1 < len(v.nals) {
			to = v.nals[i+1] - len(startCode)
		}
		if nal := bytes.TrimRight(v.buffer[from:max(to, from)], "\x00"); len(nal) > 0 {
			v.units = append(v.units, nal)
		}
	}
	spread := slices.ContainsFunc(v.stamps, func(s stamp) bool {
		return s.at > 0 && s.at < end && len(bytes.Trim(v.buffer[s.at:end], "\x00")) > 0
	})
	v.spread = v.spread || spread
	if !v.torn {
		v.whole++
	}
	at, timed := v.times.next(v.takeStamp())
	u := AccessUnit{NALUs: v.units, At: at, Timed: timed, Missing: v.missing, Torn: v.torn, Ended: ended}
	v.missing = 0
	d.to.AccessUnit(u)
}

// finish handles a last NAL unit of two bytes or less, and returns the end of the open access unit.
func (v *videoStream) finish() (end int) {
	i := bytes.Index(v.buffer[v.scanned:], startCode)
	if i < 0 {
		return len(v.buffer)
	}
	if at := v.scanned + i + len(startCode); at < len(v.buffer) {
		v.nals = append(v.nals, at)
		return len(v.buffer)
	}
	return v.scanned + i
}

// takeStamp returns the time of the open access unit: of the PES packet in which it starts, or, if that has none, of the one
// in which its picture starts.
func (v *videoStream) takeStamp() (found stamp) {
	n := 0
	for i, s := range v.stamps {
		if s.at > 0 && (s.at > v.sliceAt || found.timed) {
			break
		}
		found, n = s, i+1
	}
	v.stamps = v.stamps[:copy(v.stamps, v.stamps[n:])]
	return found
}
