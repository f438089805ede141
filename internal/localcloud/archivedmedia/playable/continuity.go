package playable

import "encoding/binary"

// What a packet of a transport stream is made of (ISO/IEC 13818-1, 2.4.3.2 and 2.4.3.4).
const (
	packetSize   = 188
	packetHead   = 4
	hasField     = 0x20 // of byte 3: an adaptation field
	hasPayload   = 0x10
	counterRange = 16
	// pesHead is how much of a packet with which a frame begins stays whole, so that readers find the frame's header in it.
	pesHead = 32
)

type packet []byte

func (p packet) pid() uint16     { return binary.BigEndian.Uint16(p[1:]) & 0x1FFF }
func (p packet) carries() bool   { return p[3]&hasPayload != 0 }
func (p packet) begins() bool    { return p[1]&0x40 != 0 }
func (p packet) field() []byte   { return p[packetHead:p.payloadAt()] }
func (p packet) payload() []byte { return p[p.payloadAt():] }

func (p packet) payloadAt() int {
	if p[3]&hasField == 0 {
		return packetHead
	}
	return min(packetHead+1+int(p[packetHead]), packetSize)
}

// pes reports whether the payload begins a frame, and not a table.
func (p packet) pes() bool {
	load := p.payload()
	return len(load) >= 3 && load[0] == 0 && load[1] == 0 && load[2] == 1
}

// continuous makes the counters of a transport stream such that a copy of them begins where they end, so that fragments follow each other
// without a break in the counters, though each is made alone: VLC drops the picture in front of a break. Each PID gets a multiple of 16
// packets: tables are repeated, and frames have their last bytes in packets of their own.
func continuous(ts []byte) []byte {
	var packets []packet
	missing, frames := map[uint16]int{}, map[uint16]bool{}
	for ; len(ts) >= packetSize; ts = ts[packetSize:] {
		p := packet(ts[:packetSize])
		packets = append(packets, p)
		if p.carries() {
			missing[p.pid()]--
			frames[p.pid()] = frames[p.pid()] || p.begins() && p.pes()
		}
	}
	more := make([][]packet, len(packets)) // behind each packet, or in place of it
	for i := len(packets) - 1; i >= 0; i-- {
		p := packets[i]
		pid := p.pid()
		need := (missing[pid]%counterRange + counterRange) % counterRange
		switch {
		case !p.carries() || need == 0:
			continue
		case !frames[pid]:
			for range need {
				more[i] = append(more[i], append(packet(nil), p...))
			}
			missing[pid] -= need
			continue
		}
		keep := 1
		if p.begins() {
			keep = pesHead
		}
		count := min(need, len(p.payload())-keep)
		if count <= 0 {
			continue
		}
		cut := len(p.payload()) - count
		more[i] = append(more[i], fill(p, p.field(), p.payload()[:cut]))
		for _, b := range p.payload()[cut:] {
			next := fill(p, nil, []byte{b})
			next[1] &^= 0x40 // nothing begins in it
			more[i] = append(more[i], next)
		}
		packets[i] = nil
		missing[pid] -= count
	}
	return renumbered(packets, more)
}

func renumbered(packets []packet, more [][]packet) (out []byte) {
	counters := map[uint16]byte{}
	add := func(p packet) {
		pid := p.pid()
		at := len(out) + 3
		out = append(out, p...)
		if !p.carries() {
			out[at] = out[at]&0xF0 | (counters[pid]+counterRange-1)%counterRange
			return
		}
		out[at] = out[at]&0xF0 | counters[pid]
		counters[pid] = (counters[pid] + 1) % counterRange
	}
	for i, p := range packets {
		if p != nil {
			add(p)
		}
		for _, p := range more[i] {
			add(p)
		}
	}
	return out
}

// fill makes a packet of less than a full payload: its adaptation field, which it may have already, is stuffed.
func fill(like packet, field, payload []byte) packet {
	p := make(packet, packetSize)
	copy(p, like[:packetHead])
	p[3] |= hasField | hasPayload
	size := packetSize - packetHead - len(payload)
	for i := range size {
		p[packetHead+i] = 0xFF
	}
	if size > 1 {
		p[packetHead+1] = 0 // no flags
	}
	copy(p[packetHead:], field)
	if len(field) == 1 && size > 1 { // a field of no flags
		p[packetHead+1] = 0
	}
	p[packetHead] = byte(size - 1)
	copy(p[packetSize-len(payload):], payload)
	return p
}
