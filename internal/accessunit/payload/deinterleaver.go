package payload

import (
	"slices"
	"time"
)

// Unit is a NAL unit in decoding order.
type Unit struct {
	NAL       []byte // valid until the callee returns
	Timestamp uint32 // of RTP
	Arrival   time.Time
	Suspect   bool // others of its access unit may be lost

	don    uint16
	counts bool
}

// maxKept bounds the NAL units that wait for others: real depths are below 30.
const maxKept = 256

const (
	// maxFreeSize bounds a buffer that is kept for another NAL unit, and maxFree all of them, in bytes: those of the largest NAL
	// units would otherwise stay for the session's life.
	maxFreeSize = 256 << 10
	maxFree     = 2 << 20
	// spare is how much memory the kept NAL units may take beyond twice their bytes.
	spare = 2 << 20
)

// Deinterleaver puts NAL units into decoding order, by their numbers (RFC 6184, section 7.2;
// RFC 7798, section 6). It holds back as many as may precede one that arrives later.
type Deinterleaver struct {
	depth  int
	counts func(nal []byte) bool // does it count towards depth?
	emit   func(Unit)

	headerSize int
	kept       []Unit // in decoding order
	counting   int    // how many of them count towards depth
	bytes      int
	memory     int // size of the buffers of those kept
	free       [][]byte
	freeMemory int
	last       uint16 // number of the last emitted unit
	popped     bool   // one was emitted
	loose      bool   // numbers do not follow each other
	open       Unit   // whose fragments have not all arrived
	isOpen     bool
	suspects   int // how many of the next counted units are suspect
}

// NewDeinterleaver returns a Deinterleaver that holds back depth counted NAL units; headerSize is that of a NAL unit, in bytes.
func NewDeinterleaver(depth, headerSize int, counts func(nal []byte) bool, emit func(Unit)) *Deinterleaver {
	return &Deinterleaver{depth: min(depth, maxKept), headerSize: headerSize, counts: counts, emit: emit}
}

// Bytes is the number of bytes it holds back.
func (d *Deinterleaver) Bytes() int { return d.bytes + len(d.open.NAL) }

// Push adds the next part with the timestamp of its NAL unit. It returns false for a fragment without a start.
func (d *Deinterleaver) Push(p Part, timestamp uint32, now time.Time) bool {
	if p.Start {
		whole := d.dropOpen()
		d.begin(p, timestamp)
		d.add(p, now)
		return whole
	}
	if !d.isOpen {
		return false
	}
	d.add(p, now)
	return true
}

// begin opens a NAL unit. One without a number follows all that arrived before it.
func (d *Deinterleaver) begin(p Part, timestamp uint32) {
	don := p.DON
	if !p.Numbered {
		don = d.last
		if n := len(d.kept); n > 0 {
			don = d.kept[n-1].don
		}
	}
	var buffer []byte
	if n := len(d.free); n > 0 {
		buffer, d.free = d.free[n-1][:0], d.free[:n-1]
		d.freeMemory -= cap(buffer)
	}
	d.open = Unit{NAL: append(buffer, p.Header[:d.headerSize]...), Timestamp: timestamp, don: don}
	d.isOpen = true
}

func (d *Deinterleaver) add(p Part, now time.Time) {
	d.open.NAL = append(d.open.NAL, p.Data...)
	d.open.Arrival = now
	if p.End {
		d.close()
	}
}

// close puts the open NAL unit in order, and emits those that need not wait any longer.
func (d *Deinterleaver) close() {
	u := d.open
	d.open, d.isOpen = Unit{}, false
	u.counts = d.counts(u.NAL)
	if u.Suspect = d.suspects > 0; u.counts {
		d.counting++
		d.suspects = max(d.suspects-1, 0)
	}
	at := len(d.kept)
	for at > 0 && int16(u.don-d.kept[at-1].don) < 0 {
		at--
	}
	d.bytes += len(u.NAL)
	if cap(u.NAL) > 2*len(u.NAL) && d.memory+cap(u.NAL) > 2*d.bytes+spare { // small ones in the buffers of large ones
		large := u.NAL
		u.NAL = slices.Clone(large)
		d.recycle(large)
	}
	d.memory += cap(u.NAL)
	d.kept = slices.Insert(d.kept, at, u)
	for d.counting > d.depth || len(d.kept) > maxKept {
		d.pop()
	}
}

// pop emits the first unit.
func (d *Deinterleaver) pop() {
	u := d.kept[0]
	d.kept = slices.Delete(d.kept, 0, 1)
	d.bytes -= len(u.NAL)
	d.memory -= cap(u.NAL)
	if u.counts {
		d.counting--
	}
	d.loose = d.loose || d.popped && !u.Suspect && u.don-d.last != 1
	d.last, d.popped = u.don, true
	d.emit(u)
	d.recycle(u.NAL)
}

// recycle keeps a buffer for another NAL unit.
func (d *Deinterleaver) recycle(buffer []byte) {
	if cap(buffer) <= maxFreeSize && d.freeMemory+cap(buffer) <= maxFree {
		d.free = append(d.free, buffer)
		d.freeMemory += cap(buffer)
	}
}

// dropOpen discards a NAL unit whose end did not arrive, and reports whether there was none.
func (d *Deinterleaver) dropOpen() bool {
	was := d.isOpen
	if was {
		d.recycle(d.open.NAL)
	}
	d.open, d.isOpen = Unit{}, false
	return !was
}

// Hole notes that packets are missing: access units of the units held back, and of the next ones, may be incomplete.
func (d *Deinterleaver) Hole() {
	d.dropOpen()
	for i := range d.kept {
		d.kept[i].Suspect = true
	}
	d.suspects = d.depth + 1
}

// Flush emits the units held back up to the first missing NAL unit, and returns how many pictures are left: they are preceded by missing
// ones.
func (d *Deinterleaver) Flush() (left int) {
	d.dropOpen()
	for len(d.kept) > 0 && (d.loose || d.kept[0].don-d.last <= 1) {
		d.pop()
	}
	for i, u := range d.kept {
		if u.counts && (i == 0 || u.Timestamp != d.kept[i-1].Timestamp) {
			left++
		}
	}
	d.kept, d.bytes, d.memory, d.counting = nil, 0, 0, 0
	return left
}
