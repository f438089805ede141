// Package stamps writes counters into the pictures of fakecam, and finds them in recordings: whatever
// happens to an access unit on its way, its frame is known.
package stamps

// The picture of a stamped frame shows the low 16 bits of its counter in its top row of macroblocks,
// from the left edge on: blocks of 16 x 16 pixels, each black or white. The rest of the row, and
// stampBand rows of pixels below it, are grey. docs/cameras.md has the layout for readers elsewhere.
const (
	Block       = 16 // pixels, the side of a block
	stampSync   = 2  // blocks before the bits: one white, one black
	stampBits   = 16 // blocks, the most significant bit first; white is 1
	stampBlocks = stampSync + stampBits + 1

	// MostBlocks is the counter whose row takes the most bytes.
	MostBlocks = 0xaaaa

	// stampContrast is how far apart white and black must be, of 255. They are sent 224 apart or more.
	stampContrast = 80
)

// stampTone is the tone of a block of the top row: 1 white, -1 black, 0 grey.
func stampTone(block int, counter uint16) int {
	white := false
	switch {
	case block >= stampBlocks:
		return 0
	case block < stampSync:
		white = block == 0
	case block < stampSync+stampBits:
		white = counter>>(stampSync+stampBits-1-block)&1 == 1
	default:
		white = stampParity(counter)
	}
	if white {
		return 1
	}
	return -1
}

// stampParity makes the number of white blocks after the two of the sync even.
func stampParity(counter uint16) bool {
	odd := false
	for ; counter != 0; counter &= counter - 1 {
		odd = !odd
	}
	return odd
}

// OfPicture reads the low 16 bits of a frame's counter from its decoded picture: luma is the grey
// plane, with stride bytes a row, of a picture that had codedWidth pixels a row when it was sent and
// that is now width x height, down to 320 pixels a row. It reports false for a picture without a
// stamp, and for one that is too damaged to be read.
func OfPicture(luma []byte, width, height, stride, codedWidth int) (uint16, bool) {
	scale := float64(width) / float64(max(codedWidth, 1))
	y := int(Block / 2 * scale)
	right := int((stampBlocks - 0.5) * Block * scale)
	if width <= 0 || codedWidth <= 0 || right >= width || stride < width || y >= height || y*stride+right >= len(luma) {
		return 0, false
	}
	block := func(i int) int { return int(luma[y*stride+int((float64(i)+0.5)*Block*scale)]) }
	white, black := block(0), block(1)
	if white-black < stampContrast {
		return 0, false
	}
	value, odd := uint32(0), false
	for i := stampSync; i < stampBlocks; i++ {
		twice := 2*block(i) - white - black // from the middle
		if max(twice, -twice) < (white-black)/4 {
			return 0, false
		}
		value <<= 1
		if twice > 0 {
			value |= 1
			odd = !odd
		}
	}
	return uint16(value >> 1), !odd
}
