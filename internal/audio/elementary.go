package audio

// Container is the framing of an elementary stream in MPEG-TS and in plain files.
type Container uint8

// The containers.
const (
	ADTS   Container = iota + 1 // AAC with a header before each frame
	LOAS                        // AAC in LATM, with a sync word before each element
	MPEG                        // MPEG-1 and MPEG-2 audio
	Dolby                       // AC-3 and E-AC-3
	TSOpus                      // Opus in MPEG-TS, with a control header before each packet
)

// elementaryClock is the clock rate of times in MPEG-TS, in ticks per second.
const elementaryClock = 90_000

// Elementary reads the frames of an elementary stream, which may be split across the data passed to it. One goroutine uses it.
type Elementary struct {
	container Container
	reader    Reader // keeps the format
	latm      latmDecoder
	rest      []byte // of an incomplete frame
	need      int    // number of its bytes that are needed before it can be read
	next      uint32 // time of the frame that starts with it
	bytes     []byte // rest and the last data
}

// NewElementary returns a reader of a container. known is the format if it is known, or the zero Format.
func NewElementary(c Container, known Format) *Elementary {
	return &Elementary{
		container: c, reader: Reader{format: known, clock: elementaryClock},
		latm: latmDecoder{clock: elementaryClock, inBand: true},
	}
}

// Format returns the format of the frames that were read last; fresh: it differs from that of earlier frames.
func (e *Elementary) Format() (f Format, fresh bool) { return e.reader.Format() }

// Lost notes that data is missing before the next Read.
func (e *Elementary) Lost() { e.rest = e.rest[:0] }

// Read returns the frames that data completes, with their times in ticks of 90 kHz; at is the time of the first one that starts in
// data. They are valid until the next call. lost counts frames that could not be read.
func (e *Elementary) Read(data []byte, at uint32) (frames []Frame, lost int) {
	old := len(e.rest)
	if old > 0 && old+len(data) < e.need {
		e.rest = append(e.rest, data...)
		return nil, 0
	}
	e.bytes, e.need = append(append(e.bytes[:0], e.rest...), data...), 0
	e.reader.begin()
	out := &e.reader.out
	left, fresh := e.bytes, false
	for len(left) > 0 {
		if begins := len(e.bytes) - len(left); begins >= old && !fresh {
			e.next, fresh = at, true
		}
		header, size, whole := e.head(left)
		switch {
		case !whole || size > len(left):
			e.need = size
		case size == 0: // no frame starts here
			lost++
			left = left[e.resync(left):]
			continue
		default:
			if e.container == ADTS {
				config, _, _ := adts(left)
				out.learn(AACFormat(config))
			}
			e.take(left[header:size], out)
			left = left[size:]
			continue
		}
		break
	}
	e.rest = e.rest[:0]
	if len(left) <= maxFrame {
		e.rest = append(e.rest, left...)
	}
	e.reader.learn()
	return out.frames, lost
}

// resync returns the distance to the next position where a frame may start.
func (e *Elementary) resync(data []byte) int {
	for n := 1; n < len(data); n++ {
		if _, size, whole := e.head(data[n:]); size > 0 || !whole {
			return n
		}
	}
	return len(data)
}

// head reads the head of the frame at the start of data: the head's size and the total size. whole is false while more of it must
// arrive, and size is 0 when there is none.
func (e *Elementary) head(data []byte) (header, size int, whole bool) {
	const longest = 9
	switch e.container {
	case ADTS:
		_, header, size = adts(data)
	case LOAS: // AudioSyncStream (ISO/IEC 14496-3, 1.7.2)
		if header = 3; len(data) >= header && data[0] == 0x56 && data[1]&0xE0 == 0xE0 {
			size = header + int(data[1]&0x1F)<<8 + int(data[2])
		}
	case MPEG:
		h, _ := parseMPEG(data)
		size = h.size
	case Dolby:
		h, _ := parseAC3(data)
		size = h.size
	case TSOpus:
		header, size = tsOpus(data)
	}
	return header, size, size > 0 || len(data) >= longest
}

// take passes on a frame, without its head unless that is part of its format.
func (e *Elementary) take(data []byte, out *output) {
	switch e.container {
	case LOAS:
		before := len(out.frames)
		if e.latm.elements(data, e.next, out) != nil {
			return // the config has not arrived yet
		}
		for i := before; i < len(out.frames); i++ { // the decoder reuses its memory
			out.frames[i].Data = append([]byte(nil), out.frames[i].Data...)
		}
		e.lasts((len(out.frames)-before)*out.format.Samples(nil), out.format.Rate)
		return
	case MPEG:
		out.learn(MPEGFormat(data))
	case Dolby:
		out.learn(AC3Format(data))
	}
	out.add(data[:len(data):len(data)], e.next)
	e.lasts(out.format.Samples(data), out.format.Rate)
}

// learn stores a format, if ok.
func (o *output) learn(f Format, ok bool) {
	if ok && f.Valid() {
		o.format = f
	}
}

func (e *Elementary) lasts(samples, rate int) {
	e.next += uint32(int64(samples) * elementaryClock / int64(max(rate, 1)))
}

// tsOpus reads the control header of a packet of Opus (ETSI TS 103 491): the header's size and the total size.
func tsOpus(data []byte) (header, size int) {
	b := bitReader{data: data}
	if b.read(11) != 0x3FF {
		return 0, 0
	}
	start, end, extended := b.flag(), b.flag(), b.flag()
	b.skip(2)
	for more := true; more; {
		part := b.read(8)
		size += part
		more = part == 255
	}
	for _, trimmed := range []bool{start, end} {
		if trimmed {
			b.skip(16)
		}
	}
	if extended {
		b.skip(8 * b.read(8))
	}
	if b.short || size == 0 {
		return 0, 0
	}
	return b.at / 8, b.at/8 + size
}
