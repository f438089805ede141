package audio

// Container is how frames lie in an elementary stream, as MPEG-TS and plain files have it.
type Container uint8

// The containers.
const (
	ADTS   Container = iota + 1 // AAC with a header before each frame
	LOAS                        // AAC in LATM, with a sync word before each element
	MPEG                        // MPEG-1 and MPEG-2 audio
	Dolby                       // AC-3 and E-AC-3
	TSOpus                      // Opus in MPEG-TS, with a control header before each packet
)

// elementaryClock is that of times in MPEG-TS, in ticks per second.
const elementaryClock = 90_000

// Elementary reads the frames of an elementary stream, which may lie across the parts that it comes in. One goroutine uses it.
type Elementary struct {
	container Container
	reader    Reader // for what is known of the format
	latm      latmDecoder
	rest      []byte // of a frame, of which more is to come
	next      uint32 // time of the frame that begins with it
	bytes     []byte // of rest and what came last
}

// NewElementary makes an Elementary. known is what is known of the format, or the zero Format.
func NewElementary(c Container, known Format) *Elementary {
	return &Elementary{
		container: c, reader: Reader{format: known, clock: elementaryClock},
		latm: latmDecoder{clock: elementaryClock, inBand: true},
	}
}

// Format returns the format of the frames that were read last; fresh is whether it is another than that of those before.
func (e *Elementary) Format() (f Format, fresh bool) { return e.reader.Format() }

// Lost says that something is missing before what comes next.
func (e *Elementary) Lost() { e.rest = e.rest[:0] }

// Read returns the frames that data completes, with their times in ticks of 90 kHz; at is the time of the first that begins in
// data. They are the caller's to read until the next call. lost counts what could not be read.
func (e *Elementary) Read(data []byte, at uint32) (frames []Frame, lost int) {
	e.bytes = append(append(e.bytes[:0], e.rest...), data...)
	old := len(e.rest)
	out := output{frames: e.reader.frames[:0], format: e.reader.format}
	left, fresh := e.bytes, false
	for len(left) > 0 {
		if begins := len(e.bytes) - len(left); begins >= old && !fresh {
			e.next, fresh = at, true
		}
		size, whole := e.frame(left, &out)
		switch {
		case size == 0 && whole: // no frame begins here
			lost++
			size = e.resync(left)
		case !whole:
			size = 0
		}
		if size == 0 {
			break
		}
		left = left[size:]
	}
	e.rest = e.rest[:0]
	if len(left) <= maxFrame {
		e.rest = append(e.rest, left...)
	}
	e.reader.take(out)
	return e.reader.frames, lost
}

// resync returns how far it is to the next place where a frame may begin.
func (e *Elementary) resync(data []byte) int {
	var none output
	for n := 1; n < len(data); n++ {
		if size, whole := e.frame(data[n:], &none); size > 0 || !whole {
			return n
		}
	}
	return len(data)
}

// frame reads the frame that data begins with. whole is false while more of it must come, and size is 0 when there is none.
func (e *Elementary) frame(data []byte, out *output) (size int, whole bool) {
	const longestHead = 9
	var f Format
	header, samples, ok := 0, 0, false
	switch e.container {
	case ADTS:
		var config []byte
		if config, header, size = adts(data); size > 0 {
			if f, ok = AACFormat(config); !ok && out.format.Codec == AAC { // its channels stand in the frames
				f, ok = out.format, true
			}
			samples = f.Samples(nil)
		}
	case LOAS:
		return e.element(data, out)
	case MPEG:
		h, found := parseMPEG(data)
		f, size, samples, ok = Format{Codec: h.codec, Rate: h.rate, Channels: h.channels}, h.size, h.samples, found && h.size > 0
	case Dolby:
		h, found := parseAC3(data)
		f, size, samples, ok = Format{Codec: h.codec, Rate: h.rate, Channels: h.channels}, h.size, h.samples, found && h.size > 0
	case TSOpus:
		header, size, ok = tsOpus(data)
		if f = out.format; ok && size <= len(data) {
			samples = opusSamples(f, data[header:size])
		}
	}
	if !ok {
		return 0, len(data) >= longestHead
	}
	if size > len(data) {
		return 0, false
	}
	if f.Valid() {
		out.format = f
	}
	out.add(data[header:size:size], e.next)
	e.next += uint32(int64(samples) * elementaryClock / int64(max(f.Rate, 1)))
	return size, true
}

// element reads an element of LATM behind its sync word (ISO/IEC 14496-3, 1.7.2).
func (e *Elementary) element(data []byte, out *output) (size int, whole bool) {
	const head = 3
	if len(data) < head {
		return 0, false
	}
	if data[0] != 0x56 || data[1]&0xE0 != 0xE0 {
		return 0, true
	}
	if size = head + int(data[1]&0x1F)<<8 + int(data[2]); size > len(data) {
		return 0, false
	}
	before := len(out.frames)
	if e.latm.elements(data[head:size], e.next, out) != nil {
		return size, true // the config is still to come
	}
	for i := before; i < len(out.frames); i++ { // the decoder uses its memory again
		out.frames[i].Data = append([]byte(nil), out.frames[i].Data...)
	}
	f := out.format
	e.next += uint32(int64(len(out.frames)-before) * int64(f.Samples(nil)) * elementaryClock / int64(max(f.Rate, 1)))
	return size, true
}

// tsOpus reads the control header of a packet of Opus (ETSI TS 103 491): the size is that of both.
func tsOpus(data []byte) (header, size int, ok bool) {
	b := bitReader{data: data}
	if b.read(11) != 0x3FF {
		return 0, 0, false
	}
	start, end, extended := b.flag(), b.flag(), b.flag()
	b.skip(2)
	for {
		part := b.read(8)
		size += part
		if part < 255 {
			break
		}
	}
	for _, trimmed := range []bool{start, end} {
		if trimmed {
			b.skip(16)
		}
	}
	if extended {
		b.skip(8 * b.read(8))
	}
	if b.short {
		return 0, 0, false
	}
	return b.at / 8, b.at/8 + size, size > 0
}
