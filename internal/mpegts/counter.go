package mpegts

// maxMissing bounds the reported number of missing packets, which is unknown: counters have 4 bits.
const maxMissing = 1000

const (
	// distrust is the number of consecutive packets with a wrong counter after which it is not trusted: some encoders do not
	// count. trust is the number of right ones after which it is again.
	distrust = 8
	trust    = 64
)

// counter follows the continuity counter of a stream (2.4.3.3).
type counter struct {
	known  bool
	last   uint8
	twice  bool             // the last packet was repeated
	packet [PacketSize]byte // the last one
	unsure int              // lost packets since, of any stream

	wrong, right int  // packets in a row
	counts       bool // one was right once
	distrusted   bool
	denied       int // consecutive reports of lost packets although the counter continued
}

// next handles the next packet of the stream, with payload. It returns how many are missing before it, at most, or reports that it is
// a repeated one.
func (c *counter) next(p packet, data []byte) (missing int, repeated bool) {
	step := (p.count - c.last) & 0xF
	unsure := c.unsure
	c.unsure = 0
	known := c.known
	switch {
	case known && step == 0 && !c.twice && !p.jump && string(data[4:]) == string(c.packet[4:]):
		c.twice, c.unsure = true, unsure
		return 0, true
	case known && step != 1:
		c.wrong, c.right = c.wrong+1, 0
		c.distrusted = c.distrusted || c.wrong >= distrust || step == 0 && !c.counts
	default:
		c.counts = known
		c.wrong, c.right = 0, c.right+1
		c.distrusted = c.distrusted && c.right < trust
	}
	c.known, c.last, c.twice = true, p.count, false
	copy(c.packet[:], data)
	const all, denials = 16, 4 // a difference of that many cannot be seen
	if unsure >= all {
		if c.denied++; step != 1 {
			c.denied = 0
		}
	}
	switch whole := step == 1 && (unsure < all || c.denied >= denials) || c.distrusted && unsure == 0; {
	case !known && unsure > 0:
		return unsure, false
	case !known, whole, p.jump && p.start:
		return 0, false
	case unsure > 0:
		return unsure, false
	}
	return maxMissing, false
}
