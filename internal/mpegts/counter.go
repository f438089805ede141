package mpegts

// maxMissing bounds what is said of packets that are missing, of which there may be any number: counters have 4 bits.
const maxMissing = 1000

const (
	// distrust is after how many packets in a row with a wrong counter it is not believed any more: some encoders do not
	// count. trust is after how many right ones it is again.
	distrust = 8
	trust    = 64
)

// counter follows the continuity counter of a stream (2.4.3.3).
type counter struct {
	known  bool
	last   uint8
	twice  bool             // the last packet came twice
	packet [PacketSize]byte // the last one
	unsure int              // packets of any stream that were lost since

	wrong, right int  // packets in a row
	counts       bool // one was right once
	distrusted   bool
	denied       int // how often in a row packets were reported as lost although the counter continued
}

// next takes the next packet of the stream, with payload. It reports how many are missing before it, at most, or that it is one that came
// before.
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
	const all, denials = 16, 4 // that many more or less look the same
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
