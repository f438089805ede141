package audio

import (
	"errors"
	"strings"
)

// latmStream is MPEG-4 audio in LATM (RFC 6416, section 6.1, and its predecessor RFC 3016).
func latmStream(d Description) (Stream, bool) {
	said := strings.TrimSpace(d.Parameters["cpresent"])
	l := latmDecoder{}
	raw := d.config()
	if raw != nil {
		if l.mux, l.known = parseMux(&bitReader{data: raw}); !l.known { // some send the config of MPEG4-GENERIC
			l.mux = muxConfig{}
			l.mux.format, l.known = AACFormat(raw)
		}
		if !l.known && said != "1" {
			return Stream{}, false
		}
	}
	if guess, ok := guessAAC(d.Clock, d.Channels); ok && raw == nil { // as players do
		l.guess = muxConfig{format: guess}
		if said == "0" {
			l.mux, l.known = l.guess, true
		}
	}
	// If it is not given and there is a config, players assume that packets have none.
	l.inBand = said == "1" || said != "0" && !l.known
	s := Stream{Pending: "AAC", decoder: func(s Stream) decoder {
		own := l
		own.clock = int64(s.Clock)
		return &own
	}}
	if l.known {
		s.Format = l.mux.format
	}
	return s, true
}

// muxConfig is the part of a StreamMuxConfig that is read (ISO/IEC 14496-3, 1.7.3).
type muxConfig struct {
	format    Format
	subFrames int // number of further ones in an element
	fixed     int // bytes of a frame; 0: each has its size
	other     int // bits of other data after the frames
}

// maxSubFrames bounds the subframes of an element.
const maxSubFrames = 64

// parseMux reads a StreamMuxConfig with one program of one layer, like all real ones.
func parseMux(b *bitReader) (m muxConfig, ok bool) {
	const versionA = 1
	version := b.read(1)
	if version == 1 && b.read(1) == versionA {
		return m, false
	}
	if version == 1 {
		latmValue(b)
	}
	b.skip(1) // all streams have the same framing
	m.subFrames = b.read(6)
	if b.read(4) != 0 || b.read(3) != 0 || !m.config(b, version) {
		return m, false
	}
	const rest = 3 + 8 + 1 + 1
	if b.left() < rest { // GStreamer's ends here
		return m, !b.short
	}
	switch b.read(3) {
	case 0:
		b.skip(8)
	case 1:
		m.fixed = b.read(9) + 20
	default:
		return m, false
	}
	if b.flag() {
		m.otherData(b, version)
	}
	if b.flag() { // a checksum
		b.skip(8)
	}
	return m, !b.short && m.other >= 0
}

// config reads the AudioSpecificConfig.
func (m *muxConfig) config(b *bitReader, version int) bool {
	from := b.at
	if version == 1 {
		size := latmValue(b)
		from = b.at
		if size > b.left() {
			return false
		}
		var ok bool
		m.format, ok = AACFormat(b.bits(from, from+size))
		b.skip(size)
		return ok
	}
	// An extension is not possible, as its length is nowhere stated; GStreamer writes it, and the following data never looks like one.
	c, ok := parseAAC(b, true)
	if !ok {
		return false
	}
	m.format, ok = AACFormat(b.bits(from, from+c.bits))
	return ok
}

func (m *muxConfig) otherData(b *bitReader, version int) {
	if version == 1 {
		m.other = latmValue(b)
		return
	}
	for more := true; more && !b.short; {
		more = b.flag()
		m.other = m.other<<8 + b.read(8)
		if m.other > 8*maxFrame {
			m.other = -1
			return
		}
	}
}

// latmValue reads a number of one to four bytes.
func latmValue(b *bitReader) (value int) {
	for n := b.read(2) + 1; n > 0; n-- {
		value = value<<8 | b.read(8)
	}
	return value
}

// latmDecoder reads elements of LATM.
type latmDecoder struct {
	clock  int64
	mux    muxConfig
	known  bool      // mux is known
	guess  muxConfig // for elements without one, if the description has none either
	inBand bool      // elements contain it
	part   []byte    // of an element that is split across packets
	need   int       // number of its bytes that are needed before it can be read
	at     uint32
	sure   bool   // a packet could be read with the present mux
	buffer []byte // of the frames of a packet
	sizes  []int
}

// errShort: more of an element must arrive.
var errShort = errors.New("an element of LATM is incomplete")

func (d *latmDecoder) read(p Packet, out *output) error {
	data := p.Payload
	var lost error
	if len(d.part) > 0 {
		switch {
		case p.Timestamp != d.at:
			d.part, lost = d.part[:0], errUnreadable
		case len(d.part)+len(p.Payload) > maxFrame:
			d.part = d.part[:0]
			return errUnreadable
		default:
			d.part = append(d.part, p.Payload...)
			if data = d.part; len(data) < d.need && !p.Marker {
				return nil
			}
		}
	}
	err := d.elements(data, p.Timestamp, out)
	if err != nil && !d.sure { // it may be packed the other way
		other := *d
		if other.inBand = !d.inBand; !other.inBand && !d.known && d.guess.format.Valid() {
			other.mux, other.known = d.guess, true
		}
		if other.elements(data, p.Timestamp, out) == nil {
			*d, err = other, nil
		}
	}
	switch {
	case errors.Is(err, errShort) && !p.Marker && len(data) <= maxFrame:
		if len(d.part) == 0 {
			d.part = append(d.part, data...)
		}
		d.at = p.Timestamp
		return lost
	case err != nil:
		d.part = d.part[:0]
		return errUnreadable
	}
	d.sure, d.part = true, d.part[:0]
	return lost
}

// elements reads the elements of a packet, each of which consists of bytes. It returns either all of them or none.
func (d *latmDecoder) elements(data []byte, at uint32, out *output) error {
	d.buffer, d.sizes, d.need = d.buffer[:0], d.sizes[:0], 0
	b := bitReader{data: data}
	mux, known := d.mux, d.known
	for b.left() >= 8 {
		if err := d.element(&b, &mux, &known); err != nil {
			return err
		}
	}
	if d.mux, d.known = mux, known; known {
		out.format = mux.format
	}
	frames, from := int64(mux.format.Samples(nil)), 0
	for n, size := range d.sizes {
		out.add(d.buffer[from:from+size:from+size], at+uint32(int64(n)*frames*d.clock/int64(max(mux.format.Rate, 1))))
		from += size
	}
	return nil
}

// element reads an AudioMuxElement (ISO/IEC 14496-3, 1.7.3.1).
func (d *latmDecoder) element(b *bitReader, mux *muxConfig, known *bool) error {
	if same := d.inBand && b.flag(); d.inBand && !same {
		m, ok := parseMux(b)
		if !ok {
			return errUnreadable
		}
		*mux, *known = m, true
	}
	if !*known {
		return errUnreadable
	}
	for range mux.subFrames + 1 {
		size := mux.fixed
		for more := size == 0; more; {
			part := b.read(8)
			size += part
			more = part == 255
		}
		if size > maxFrame {
			return errUnreadable
		}
		if b.short || 8*size > b.left() || len(d.sizes) > maxSubFrames {
			d.need = b.at/8 + size
			return errShort
		}
		d.buffer = b.appendBytes(d.buffer, size)
		d.sizes = append(d.sizes, size)
	}
	b.skip(mux.other)
	b.align()
	if b.short || b.at > 8*len(b.data) {
		return errShort
	}
	return nil
}

func (d *latmDecoder) broken()       { d.part = d.part[:0] }
func (d *latmDecoder) flush(*output) {}
