package audio

import (
	"cmp"
	"slices"
	"strings"
)

// unitHeader is the header of each unit in a packet, in bits (RFC 3640, section 3.2.1).
type unitHeader struct {
	size, index, indexDelta, ctsDelta, dtsDelta, state int
	random                                             bool
}

func (h unitHeader) none() bool { return h == unitHeader{} }

// genericSettings are the parameters of a stream of RFC 3640 in its session description.
type genericSettings struct {
	header      unitHeader
	auxiliary   int // bits of the size of the auxiliary section of a packet
	size        int // of all units, in bytes; 0: they differ
	duration    int // of all units, in ticks; 0: not given
	interleaved bool
}

// mpeg4Stream is AAC over RTP (RFC 3640).
func mpeg4Stream(d Description) (Stream, bool) {
	var f Format
	ok := false
	if config := d.config(); config != nil {
		f, ok = AACFormat(config)
	} else { // players assume the ordinary kind
		f, ok = guessAAC(d.Clock, d.Channels)
	}
	settings := d.genericSettings()
	return Stream{Format: f, decoder: func(s Stream) decoder { return newGenericDecoder(s, settings) }}, ok
}

// genericSettings reads the parameters leniently: almost all cameras use the mode AAC-hbr.
func (d Description) genericSettings() (s genericSettings) {
	const most = 32 // bits
	bits := func(name string) int { return d.number(name, most) }
	hbr := unitHeader{size: 13, index: 3, indexDelta: 3}
	h := unitHeader{size: bits("sizelength"), index: bits("indexlength"), indexDelta: bits("indexdeltalength")}
	s.size = d.number("constantsize", maxFrame)
	_, said := d.Parameters["sizelength"]
	switch lbr := strings.Contains(strings.ToLower(d.Parameters["mode"]), "lbr"); {
	case h.size > 0 || said && s.size > 0:
	case lbr:
		h = unitHeader{size: 6, index: 2, indexDelta: 2}
	case s.size == 0:
		h = hbr
	}
	if _, said := d.Parameters["indexlength"]; !said && h.size == hbr.size { // it was only omitted
		h = hbr
	}
	h.ctsDelta, h.dtsDelta = bits("ctsdeltalength"), bits("dtsdeltalength")
	h.random, h.state = d.number("randomaccessindication", 1) == 1, bits("streamstateindication")
	s.header, s.auxiliary = h, bits("auxiliarydatasizelength")
	s.duration = d.number("constantduration", d.Clock)
	s.interleaved = d.number("maxdisplacement", d.Clock) > 0
	return s
}

// genericDecoder reads RFC 3640.
type genericDecoder struct {
	genericSettings
	clock       int64
	frame, rate int64 // samples of a unit, and in a second

	units []genericUnit // of the current packet
	part  fragment
	held  []heldUnit // interleaved units, until those between them have arrived
	bytes int        // size of held
	pace  unitPace
}

// genericUnit is an access unit of a packet.
type genericUnit struct {
	size  int // in bytes
	place int // among all units, from the packet's first
	cts   int // ticks from the packet's time, if given
	timed bool
}

type heldUnit struct {
	at   uint32
	data []byte
}

// fragment is an access unit that is split across several packets.
type fragment struct {
	data  []byte
	need  int    // its size; 0: there is none
	stamp uint32 // of its packets
	maybe bool   // it may be complete by its size, but its last packet is not marked
}

func newGenericDecoder(s Stream, settings genericSettings) decoder {
	d := &genericDecoder{genericSettings: settings, clock: int64(s.Clock)}
	d.frame, d.rate = int64(s.Format.Samples(nil)), int64(max(s.Format.Rate, 1))
	if d.duration > 0 {
		d.frame, d.rate = int64(d.duration), d.clock
	}
	return d
}

// ticks is the duration of a number of units.
func (d *genericDecoder) ticks(units int) uint32 {
	if d.pace.unit > 0 {
		return uint32(int64(units) * d.pace.unit)
	}
	return uint32(int64(units) * d.frame * d.clock / d.rate)
}

func (d *genericDecoder) read(p Packet, out *output) error {
	if d.part.need == 0 {
		return d.begin(p, out)
	}
	done, err := d.resume(p, out)
	if !done {
		err = cmp.Or(d.begin(p, out), err)
	}
	return err
}

// resume adds a packet to the incomplete unit; done is false when the packet starts another one.
func (d *genericDecoder) resume(p Packet, out *output) (done bool, err error) {
	f := &d.part
	switch {
	case p.Timestamp == f.stamp:
	case f.maybe: // it was complete, and the camera sets no markers
		d.pace.unmarked = true
		d.give(f.data, f.stamp, out)
		d.part = fragment{}
		return false, nil
	default:
		f.need = 0
		return false, errUnreadable
	}
	data, err := d.parse(p.Payload)
	if err != nil || len(d.units) != 1 || len(f.data)+len(data) > maxFrame {
		f.need = 0
		return true, errUnreadable
	}
	f.data = append(f.data, data...)
	switch {
	case f.maybe && p.Marker, !f.maybe && len(f.data) == f.need:
		d.give(f.data, f.stamp, out)
		f.need = 0
	case !f.maybe && (p.Marker || len(f.data) > f.need):
		f.need = 0
		return true, errUnreadable
	}
	return true, nil
}

// begin reads a packet that does not continue a unit.
func (d *genericDecoder) begin(p Packet, out *output) error {
	if isADTS(p.Payload) { // without any header before it
		d.adts(p.Payload, p.Timestamp, out)
		return nil
	}
	data, err := d.parse(p.Payload)
	if err != nil {
		return err
	}
	if d.interleaved {
		d.release(p.Timestamp, out)
	} else {
		d.pace.packet(p, len(d.units), int64(d.ticks(1)))
	}
	for _, u := range d.units {
		at := p.Timestamp + d.ticks(u.place)
		if u.timed {
			at = p.Timestamp + uint32(u.cts)
		}
		whole, alone := u.size <= len(data), len(d.units) == 1
		switch {
		case !whole && (!alone || p.Marker || u.size > maxFrame):
			return errUnreadable
		case !whole:
			d.part = fragment{data: append(d.part.data[:0], data...), need: u.size, stamp: p.Timestamp}
			return nil
		case d.interleaved:
			if !d.hold(at, data[:u.size]) {
				return errUnreadable
			}
		case alone && !p.Marker && !d.pace.unmarked && u.size > 0:
			d.part = fragment{data: append(d.part.data[:0], data[:u.size]...), need: u.size, stamp: p.Timestamp, maybe: true}
		default:
			d.give(data[:u.size], at, out)
		}
		data = data[u.size:]
	}
	return nil
}

// unitPace is what is learned about a camera that deviates from its description.
type unitPace struct {
	unmarked bool  // packets with complete units have no marker
	unit     int64 // ticks of a unit; 0: as described

	sequence uint16
	stamp    uint32
	units    int // of the previous packet
	before   int64
}

// packet measures the duration of units by the times of packets, and uses it when two packets agree.
func (u *unitPace) packet(p Packet, units int, nominal int64) {
	step := int64(int32(p.Timestamp - u.stamp))
	if u.units > 0 && p.Sequence == u.sequence+1 && step > 0 {
		measured := step / int64(u.units)
		near := func(a, b int64) bool { return a-b <= 1 && b-a <= 1 }
		switch {
		case near(measured, nominal):
		case near(measured, u.before) && units > 1:
			u.unit = measured
		}
		u.before = measured
	}
	u.sequence, u.stamp, u.units = p.Sequence, p.Timestamp, units
}

// parse reads the headers before the units, and returns the units.
func (d *genericDecoder) parse(data []byte) (units []byte, err error) {
	d.units = d.units[:0]
	b := bitReader{data: data}
	if !d.header.none() {
		length := b.read(16)
		end := b.at + length
		for place := 0; b.at < end && len(d.units) < maxUnits; {
			u := genericUnit{size: d.size}
			if d.header.size > 0 {
				u.size = b.read(d.header.size)
			}
			if len(d.units) == 0 {
				b.skip(d.header.index)
			} else {
				delta := b.read(d.header.indexDelta)
				place += 1 + delta
				d.interleaved = d.interleaved || delta > 0
			}
			u.place = place
			if d.header.ctsDelta > 0 && b.flag() {
				u.cts, u.timed = signed(b.read(d.header.ctsDelta), d.header.ctsDelta), true
			}
			if d.header.dtsDelta > 0 && b.flag() {
				b.skip(d.header.dtsDelta)
			}
			if d.header.random {
				b.skip(1)
			}
			b.skip(d.header.state)
			if b.short || b.at > end {
				return nil, errUnreadable
			}
			d.units = append(d.units, u)
		}
		b.at = end
		b.align()
	}
	if d.auxiliary > 0 {
		b.skip(b.read(d.auxiliary))
		b.align()
	}
	if b.short || b.at > 8*len(data) {
		return nil, errUnreadable
	}
	data = data[b.at/8:]
	d.withoutHeaders(len(data))
	if len(d.units) == 0 {
		return nil, errUnreadable
	}
	return data, nil
}

// maxUnits bounds the units of a packet.
const maxUnits = 512

// withoutHeaders determines the units of a packet without headers, or without sizes.
func (d *genericDecoder) withoutHeaders(bytes int) {
	switch {
	case d.header.none() && d.size > 0:
		for n := 0; n < bytes/d.size && n < maxUnits; n++ {
			d.units = append(d.units, genericUnit{size: d.size, place: n})
		}
	case d.header.none():
		d.units = append(d.units, genericUnit{size: bytes})
	case d.header.size == 0 && d.size == 0 && len(d.units) == 1:
		d.units[0].size = bytes
	}
}

// signed converts a number of bits in two's complement.
func signed(value, bits int) int {
	if value >= 1<<(bits-1) {
		return value - 1<<bits
	}
	return value
}

// give passes on a unit, which may be in ADTS.
func (d *genericDecoder) give(unit []byte, at uint32, out *output) {
	if isADTS(unit) {
		d.adts(unit, at, out)
		return
	}
	out.add(unit, at)
}

// adts passes on the frames of ADTS data, without their headers.
func (d *genericDecoder) adts(data []byte, at uint32, out *output) {
	for n := 0; len(data) > 0; n++ {
		_, header, size := adts(data)
		out.add(data[header:size], at+d.ticks(n))
		data = data[size:]
	}
}

// maxHeld bounds the units held for interleaving, and maxHeldBytes their bytes.
const (
	maxHeld      = 1024
	maxHeldBytes = 1 << 20
)

// hold keeps a unit until earlier ones have arrived, and reports whether there is room for it.
func (d *genericDecoder) hold(at uint32, unit []byte) bool {
	if len(d.held) >= maxHeld || d.bytes+len(unit) > maxHeldBytes || len(unit) > maxFrame {
		return false
	}
	d.held = append(d.held, heldUnit{at, slices.Clone(unit)})
	d.bytes += len(unit)
	return true
}

// release passes on the units before a packet's time: no earlier ones will arrive.
func (d *genericDecoder) release(before uint32, out *output) {
	d.sortHeld(before)
	n := 0
	for ; n < len(d.held) && int32(d.held[n].at-before) < 0; n++ {
		d.give(d.held[n].data, d.held[n].at, out)
		d.bytes -= len(d.held[n].data)
	}
	d.held = slices.Delete(d.held, 0, n)
}

// sortHeld sorts the held units by time, near a given one.
func (d *genericDecoder) sortHeld(near uint32) {
	slices.SortStableFunc(d.held, func(a, b heldUnit) int { return cmp.Compare(int32(a.at-near), int32(b.at-near)) })
}

// broken drops a unit with missing parts. One that may be complete is kept: a packet of another time follows it.
func (d *genericDecoder) broken() {
	if !d.part.maybe {
		d.part.need = 0
	}
}

func (d *genericDecoder) flush(out *output) {
	if d.part.need > 0 && d.part.maybe {
		d.give(d.part.data, d.part.stamp, out)
	}
	d.part.need = 0
	if len(d.held) > 0 {
		d.sortHeld(d.held[0].at)
	}
	for _, u := range d.held {
		d.give(u.data, u.at, out)
	}
	d.held, d.bytes = nil, 0
}
