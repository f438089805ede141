package audio

// bitReader reads bit fields. Past the end it reads zeros and is short.
type bitReader struct {
	data  []byte
	at    int // bits
	short bool
}

func (b *bitReader) left() int { return 8*len(b.data) - b.at }

// read reads up to 32 bits.
func (b *bitReader) read(n int) (value int) {
	if n > b.left() {
		b.short = true
		b.at = 8 * len(b.data)
		return 0
	}
	for range n {
		value = value<<1 | int(b.data[b.at/8]>>(7-b.at%8)&1)
		b.at++
	}
	return value
}

func (b *bitReader) flag() bool { return b.read(1) == 1 }

func (b *bitReader) skip(n int) {
	if n < 0 || n > b.left() {
		b.short = true
		n = b.left()
	}
	b.at += n
}

func (b *bitReader) align() { b.at = (b.at + 7) &^ 7 }

// appendBytes appends n bytes that need not be aligned.
func (b *bitReader) appendBytes(to []byte, n int) []byte {
	if n < 0 || 8*n > b.left() {
		b.short = true
		return to
	}
	at, shift := b.at/8, b.at%8
	b.at += 8 * n
	if shift == 0 {
		return append(to, b.data[at:at+n]...)
	}
	for i := at; i < at+n; i++ {
		to = append(to, b.data[i]<<shift|b.data[i+1]>>(8-shift))
	}
	return to
}

// bits returns the bits from one position to another, padded with zeros.
func (b *bitReader) bits(from, to int) []byte {
	part := bitReader{data: b.data, at: from}
	var list []byte
	for part.at < to {
		n := min(8, to-part.at)
		list = append(list, byte(part.read(n)<<(8-n)))
	}
	return list
}
