package audio

// framedDecoder reads encodings whose frames state their format and size, by which the parts of a split frame are
// joined: MPEG audio (RFC 2250), AC-3 (RFC 4184) and E-AC-3 (RFC 4598).
type framedDecoder struct {
	clock int
	// payload returns the frames of a packet, or a part of one; first: a frame starts with it.
	payload func(data []byte) (frames []byte, first, ok bool)
	// frame reads the head of a frame: its format, size and samples. joined: it belongs to the previous frame.
	frame func(data []byte) (f Format, size, samples int, joined, ok bool)
	part  []byte // of an incomplete frame
	need  int    // its size
	at    uint32 // its time
}

func newMPEGDecoder(s Stream) decoder {
	const header = 4 // and the packet's position in a frame
	return &framedDecoder{
		clock: s.Clock,
		payload: func(data []byte) ([]byte, bool, bool) {
			if len(data) < header {
				return nil, false, false
			}
			if _, bare := parseMPEG(data); bare { // without the header
				return data, true, true
			}
			return data[header:], data[2] == 0 && data[3] == 0, true
		},
		frame: func(data []byte) (f Format, size, samples int, joined, ok bool) {
			h, ok := parseMPEG(data)
			if h.size == 0 {
				h.size = len(data)
			}
			return Format{Codec: h.codec, Rate: h.rate, Channels: h.channels}, h.size, h.samples, false, ok
		},
	}
}

func newAC3Decoder(s Stream) decoder {
	return newDolbyDecoder(s, func(data []byte) bool {
		const parts = 0x03
		return data[0]&parts < 3
	})
}

func newEAC3Decoder(s Stream) decoder {
	return newDolbyDecoder(s, func([]byte) bool { return true })
}

func newDolbyDecoder(s Stream, first func(header []byte) bool) decoder {
	const header = 2
	return &framedDecoder{
		clock: s.Clock,
		payload: func(data []byte) ([]byte, bool, bool) {
			if len(data) <= header {
				return nil, false, false
			}
			_, begins := parseAC3(data[header:])
			return data[header:], first(data) && begins, true
		},
		frame: func(data []byte) (f Format, size, samples int, joined, ok bool) {
			h, ok := parseAC3(data)
			return Format{Codec: h.codec, Rate: h.rate, Channels: h.channels}, h.size, h.samples, h.dependent, ok
		},
	}
}

func (d *framedDecoder) read(p Packet, out *output) error {
	data, first, ok := d.payload(p.Payload)
	if !ok {
		d.broken()
		return errUnreadable
	}
	if !first {
		return d.resume(data, out)
	}
	incomplete := d.need > 0
	d.broken()
	if err := d.frames(data, p.Timestamp, out); err != nil || incomplete {
		return errUnreadable
	}
	return nil
}

// resume adds a further part of a frame.
func (d *framedDecoder) resume(data []byte, out *output) error {
	if d.need == 0 || len(d.part)+len(data) > d.need {
		d.broken()
		return errUnreadable
	}
	d.part = append(d.part, data...)
	if len(d.part) == d.need {
		out.add(d.part, d.at)
		d.need = 0
	}
	return nil
}

// frames reads the frames of a packet; the last one may be incomplete.
func (d *framedDecoder) frames(data []byte, at uint32, out *output) error {
	samples := 0
	for len(data) > 0 {
		f, size, lasts, joined, ok := d.frame(data)
		if !ok || size <= 0 || size > maxFrame {
			return errUnreadable
		}
		if f.Valid() && !joined {
			out.format = f
		}
		time := at + uint32(int64(samples)*int64(d.clock)/int64(max(f.Rate, 1)))
		switch n := len(out.frames); {
		case size > len(data):
			d.part, d.need, d.at = append(d.part[:0], data...), size, time
			return nil
		case joined && n > 0: // they belong together
			last := &out.frames[n-1]
			last.Data = last.Data[: len(last.Data)+size : len(last.Data)+size]
		default:
			out.add(data[:size:len(data)], time)
			samples += lasts
		}
		data = data[size:]
	}
	return nil
}

func (d *framedDecoder) broken()       { d.part, d.need = d.part[:0], 0 }
func (d *framedDecoder) flush(*output) {}
