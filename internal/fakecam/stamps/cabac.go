package stamps

// cabac is the arithmetic encoder that H.264 (9.3.4) and H.265 (9.3.4.4 to 9.3.4.6 of the edition of
// 2013) share. It writes one bit at a time, which is fast enough for a few hundred bins per frame.
type cabac struct {
	out         []byte
	low, span   uint32
	outstanding int  // bits that wait for a carry
	first       bool // the first bit is not written
	last        byte // bits of the incomplete byte
	filled      int  // number of these bits
}

// cabacContext is the state of the probability of a bin: twice its index, plus the more probable value.
type cabacContext uint8

// newContext returns the state for the value that H.264 (9.3.1.1) and H.265 (9.3.2.2) call preCtxState.
func newContext(pre int) cabacContext {
	if pre = min(max(pre, 1), 126); pre <= 63 {
		return cabacContext((63 - pre) << 1)
	}
	return cabacContext((pre-64)<<1 | 1)
}

// reset starts a slice, whose header is already in out.
func (c *cabac) reset(out []byte) { *c = cabac{out: out, span: 510, first: true} }

// encode writes a bin.
func (c *cabac) encode(ctx *cabacContext, bin int) {
	state, likely := *ctx>>1, int(*ctx&1)
	less := uint32(rangeLPS[state][c.span>>6&3])
	c.span -= less
	if bin == likely {
		if state < 62 {
			*ctx += 2
		}
	} else {
		c.low += c.span
		c.span = less
		if state == 0 {
			likely = 1 - likely
		}
		*ctx = cabacContext(nextLPS[state]<<1) | cabacContext(likely)
	}
	c.renormalize()
}

// bypass writes the low n bits of v, each with equal probability of 0 and 1.
func (c *cabac) bypass(v uint32, n int) {
	for n--; n >= 0; n-- {
		c.low <<= 1
		if v>>n&1 == 1 {
			c.low += c.span
		}
		switch {
		case c.low >= 1<<10:
			c.put(1)
			c.low -= 1 << 10
		case c.low < 1<<9:
			c.put(0)
		default:
			c.low -= 1 << 9
			c.outstanding++
		}
	}
}

// terminate writes whether the slice ends here. If so, its last bit, the stop bit of the NAL unit, is written too.
func (c *cabac) terminate(end bool) {
	c.span -= 2
	if !end {
		c.renormalize()
		return
	}
	c.low += c.span
	c.span = 2
	c.renormalize()
	c.put(byte(c.low >> 9 & 1))
	c.bit(byte(c.low >> 8 & 1))
	c.bit(1)
	for c.filled > 0 {
		c.bit(0)
	}
}

func (c *cabac) renormalize() {
	for c.span < 256 {
		switch {
		case c.low < 256:
			c.put(0)
		case c.low >= 512:
			c.low -= 512
			c.put(1)
		default:
			c.low -= 256
			c.outstanding++
		}
		c.span <<= 1
		c.low <<= 1
	}
}

func (c *cabac) put(b byte) {
	if c.first {
		c.first = false
	} else {
		c.bit(b)
	}
	for ; c.outstanding > 0; c.outstanding-- {
		c.bit(1 - b)
	}
}

func (c *cabac) bit(b byte) {
	c.last = c.last<<1 | b
	if c.filled++; c.filled == 8 {
		c.out = append(c.out, c.last)
		c.filled = 0
	}
}

// rangeLPS is table 9-44 of H.264 (9-46 of H.265): the range of the less probable value.
var rangeLPS = [64][4]uint8{
	{128, 176, 208, 240}, {128, 167, 197, 227}, {128, 158, 187, 216}, {123, 150, 178, 205},
	{116, 142, 169, 195}, {111, 135, 160, 185}, {105, 128, 152, 175}, {100, 122, 144, 166},
	{95, 116, 137, 158}, {90, 110, 130, 150}, {85, 104, 123, 142}, {81, 99, 117, 135},
	{77, 94, 111, 128}, {73, 89, 105, 122}, {69, 85, 100, 116}, {66, 80, 95, 110},
	{62, 76, 90, 104}, {59, 72, 86, 99}, {56, 69, 81, 94}, {53, 65, 77, 89},
	{51, 62, 73, 85}, {48, 59, 69, 80}, {46, 56, 66, 76}, {43, 53, 63, 72},
	{41, 50, 59, 69}, {39, 48, 56, 65}, {37, 45, 54, 62}, {35, 43, 51, 59},
	{33, 41, 48, 56}, {32, 39, 46, 53}, {30, 37, 43, 50}, {29, 35, 41, 48},
	{27, 33, 39, 45}, {26, 31, 37, 43}, {24, 30, 35, 41}, {23, 28, 33, 39},
	{22, 27, 32, 37}, {21, 26, 30, 35}, {20, 24, 29, 33}, {19, 23, 27, 31},
	{18, 22, 26, 30}, {17, 21, 25, 28}, {16, 20, 23, 27}, {15, 19, 22, 25},
	{14, 18, 21, 24}, {14, 17, 20, 23}, {13, 16, 19, 22}, {12, 15, 18, 21},
	{12, 14, 17, 20}, {11, 14, 16, 19}, {11, 13, 15, 18}, {10, 12, 15, 17},
	{10, 12, 14, 16}, {9, 11, 13, 15}, {9, 11, 12, 14}, {8, 10, 12, 14},
	{8, 9, 11, 13}, {7, 9, 11, 12}, {7, 9, 10, 12}, {7, 8, 10, 11},
	{6, 8, 9, 11}, {6, 7, 9, 10}, {6, 7, 8, 9}, {2, 2, 2, 2},
}

// nextLPS is table 9-45 of H.264 (9-47 of H.265): the state after the less probable value.
var nextLPS = [64]uint8{
	0, 0, 1, 2, 2, 4, 4, 5, 6, 7, 8, 9, 9, 11, 11, 12, 13, 13, 15, 15, 16, 16, 18, 18, 19, 19, 21, 21, 22, 22, 23, 24,
	24, 25, 26, 26, 27, 27, 28, 29, 29, 30, 30, 30, 31, 32, 32, 33, 33, 33, 34, 34, 35, 35, 35, 36, 36, 36, 37, 37, 37, 38, 38, 63,
}
