package playable

import (
	"encoding/binary"
	"math"
)

// pesLengthEnd is where the length of a frame's packets ends in its header; it counts what follows (ISO/IEC 13818-1, 2.4.3.7).
const pesLengthEnd = 6

// withLengths writes the length of each frame where there is room for it. Without it players pass a frame on only when the next one
// begins, and VLC never passes on the last one of a session.
func withLengths(ts []byte) []byte {
	type frame struct{ lengthEnd, bytes int } // bytes from the frame's header on
	open := map[uint16]frame{}                // by PID
	end := func(f frame) {
		if length := f.bytes - pesLengthEnd; f.lengthEnd > 0 && length <= math.MaxUint16 {
			binary.BigEndian.PutUint16(ts[f.lengthEnd-2:], uint16(length))
		}
	}
	for at := 0; at+packetSize <= len(ts); at += packetSize {
		p := packet(ts[at : at+packetSize])
		f := open[p.pid()]
		if p.begins() {
			end(f)
			f = frame{}
			if p.pes() && len(p.payload()) >= pesLengthEnd {
				f.lengthEnd = at + p.payloadAt() + pesLengthEnd
			}
		}
		f.bytes += len(p.payload())
		open[p.pid()] = f
	}
	for _, f := range open {
		end(f)
	}
	return ts
}
