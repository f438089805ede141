package script

// packet is an RTP packet (RFC 3550, section 5.1), with the properties that rules check.
type packet struct {
	payloadType     uint8
	sequence        uint16
	timestamp, ssrc uint32
	marker          bool
	sources         int
	extension       []byte
	padding         int
	payload         []byte

	of       *picture
	number   uint64 // in the session, from 0
	first    bool   // of its picture
	last     bool
	endsUnit bool     // it has the end of a NAL unit
	slice    int      // of the picture, from 0
	units    [][]byte // NAL units that it carries completely or in part

	step   int // to the number of the next packet
	copies int
	late   int // packets that overtake it
	extras []extra
}

// extra is a packet that follows another.
type extra struct {
	payloadType uint8
	numbered    bool
	payload     []byte
}

// bytes returns the packet as sent.
func (k *packet) bytes() []byte {
	const version = 2 << 6
	b := make([]byte, 2, 12+4*k.sources+len(k.extension)+len(k.payload)+k.padding)
	b[0], b[1] = version|byte(k.sources), k.payloadType
	if k.marker {
		b[1] |= 0x80
	}
	b = appendUint(b, uint64(k.sequence), 2)
	b = appendUint(b, uint64(k.timestamp), 4)
	b = appendUint(b, uint64(k.ssrc), 4)
	for i := range k.sources {
		b = appendUint(b, uint64(i+1), 4)
	}
	if k.extension != nil {
		b[0] |= 0x10
		b = append(b, k.extension...)
	}
	b = append(b, k.payload...)
	if k.padding > 0 {
		b[0] |= 0x20
		b = append(b, make([]byte, k.padding)...)
		b[len(b)-1] = byte(k.padding)
	}
	return b
}

// appendUint appends the low bytes of a number, the highest first.
func appendUint[N uint16 | uint32 | uint64 | int](b []byte, n N, size int) []byte {
	for i := size - 1; i >= 0; i-- {
		b = append(b, byte(uint64(n)>>(8*i)))
	}
	return b
}
