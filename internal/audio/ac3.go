package audio

// ac3Header is the header of a frame of AC-3 or E-AC-3 (ETSI TS 102 366, 4.4.1 and E.1.3.1).
type ac3Header struct {
	codec          Codec
	rate, channels int
	size           int // of the frame, in bytes
	samples        int
	dependent      bool // it belongs to the previous frame, with further channels
}

var (
	ac3Rates    = [...]int{48_000, 44_100, 32_000}
	ac3Kbps     = [...]int{32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640}
	ac3Channels = [...]int{2, 1, 2, 3, 3, 4, 4, 5}
)

// lastAC3 is the highest bit stream version of AC-3; E-AC-3 has 16.
const lastAC3 = 10

// parseAC3 reads the header of a frame.
func parseAC3(data []byte) (h ac3Header, ok bool) {
	if len(data) < 7 || data[0] != 0x0B || data[1] != 0x77 {
		return h, false
	}
	version := data[5] >> 3
	if version > lastAC3 {
		return parseEAC3(data)
	}
	b := bitReader{data: data, at: 32}
	rate, size := b.read(2), b.read(6)
	b.skip(8) // version and mode
	mode := b.read(3)
	if rate >= len(ac3Rates) || size/2 >= len(ac3Kbps) {
		return h, false
	}
	h = ac3Header{codec: AC3, rate: ac3Rates[rate], channels: ac3Channels[mode], samples: 6 * 256}
	h.size = 2 * (ac3Kbps[size/2] * 1000 * h.samples / h.rate / 16)
	if h.rate == 44_100 {
		h.size += 2 * (size & 1)
	}
	if mode&1 == 1 && mode != 1 {
		b.skip(2)
	}
	if mode&4 == 4 {
		b.skip(2)
	}
	if mode == 2 {
		b.skip(2)
	}
	if b.flag() { // a low-frequency channel
		h.channels++
	}
	if version > 8 { // half or quarter the rate
		h.rate >>= version - 8
	}
	return h, true
}

func parseEAC3(data []byte) (h ac3Header, ok bool) {
	const dependent = 1
	b := bitReader{data: data, at: 16}
	kind := b.read(2)
	b.skip(3)
	h = ac3Header{codec: EAC3, dependent: kind == dependent, size: 2 * (b.read(11) + 1)}
	rate, blocks := b.read(2), 6
	if rate == len(ac3Rates) { // reduced sample rates
		if rate = b.read(2); rate == len(ac3Rates) {
			return h, false
		}
		h.rate = ac3Rates[rate] / 2
	} else {
		h.rate, blocks = ac3Rates[rate], []int{1, 2, 3, 6}[b.read(2)]
	}
	h.samples = 256 * blocks
	h.channels = ac3Channels[b.read(3)] + b.read(1)
	return h, kind < 3
}

// AC3Format returns the format of a frame of AC-3 or E-AC-3.
func AC3Format(frame []byte) (f Format, ok bool) {
	h, ok := parseAC3(frame)
	return Format{Codec: h.codec, Rate: h.rate, Channels: h.channels}, ok
}

func ac3Samples(_ Format, frame []byte) int {
	h, _ := parseAC3(frame)
	return h.samples
}
