package script

import (
	"fmt"
	"slices"
	"strings"
)

// selector defines to which pictures and packets a rule applies.
type selector struct {
	pictures span
	packets  span
	sessions span
	every    uint64 // 0: each
	offset   uint64 // of the first of them
	ofPacket bool   // every counts packets, not pictures
	keys     bool
	first    bool // packet of a picture
	last     bool
	units    []string
}

// selection is a kind of selector.
type selection struct{ name, takes, about string }

// selections are all known selectors.
var selections = []selection{
	{"picture", "SPAN", "the pictures of a session, counted from 0: 60, 60-, 60-80"},
	{"packet", "SPAN", "the packets of a session, counted from 0"},
	{"session", "SPAN", "the sessions of the camera, counted from 1"},
	{"every", "NUMBER pictures", "each NUMBERth picture; optionally followed by: from NUMBER"},
	{"every", "NUMBER packets", "each NUMBERth packet; optionally followed by: from NUMBER"},
	{"keyframes", "", "keyframes"},
	{"first", "", "the first packet of a picture"},
	{"last", "", "the last packet of a picture"},
	{"units", "NAME…", "packets with such NAL units: sps, pps, vps, sei, aud, idr, slice, or the number of a type"},
}

// parseSelector reads the conditions before a colon: one or several, separated by commas, which must all apply.
func parseSelector(text string) (s selector, err error) {
	for one := range strings.SplitSeq(text, ",") {
		words := strings.Fields(one)
		if len(words) == 0 {
			return s, fmt.Errorf("nothing follows a comma")
		}
		if err := s.add(words[0], words[1:]); err != nil {
			return s, err
		}
	}
	return s, nil
}

func (s *selector) add(name string, values []string) (err error) {
	spans := map[string]*span{"picture": &s.pictures, "packet": &s.packets, "session": &s.sessions}
	flags := map[string]*bool{"keyframes": &s.keys, "first": &s.first, "last": &s.last}
	switch {
	case spans[name] != nil && len(values) == 1:
		*spans[name], err = parseSpan(values[0])
	case flags[name] != nil && len(values) == 0:
		*flags[name] = true
	case name == "units" && len(values) > 0:
		s.units, err = unitNames(values)
	case name == "every" && (len(values) == 2 || len(values) == 4 && values[2] == "from"):
		return s.repeat(values)
	default:
		return fmt.Errorf("%q is not a condition of a rule", strings.Join(append([]string{name}, values...), " "))
	}
	return err
}

// repeat reads NUMBER pictures from NUMBER.
func (s *selector) repeat(values []string) error {
	every, err := number(values[0], 1, 1<<40)
	if err != nil {
		return err
	}
	if len(values) == 4 {
		offset, err := number(values[3], 0, 1<<40)
		if err != nil {
			return err
		}
		s.offset = uint64(offset)
	}
	kind, err := oneOf(values[1], "pictures", "packets")
	s.every, s.ofPacket = uint64(every), kind == "packets"
	return err
}

// needsPackets reports whether a selector distinguishes packets of one picture.
func (s *selector) needsPackets() bool {
	return s.packets.set || s.first || s.last || s.units != nil || s.every > 0 && s.ofPacket
}

func (s *selector) repeats(n uint64) bool { return n >= s.offset && (n-s.offset)%s.every == 0 }

// holdsPicture reports whether a rule applies to a picture.
func (s *selector) holdsPicture(p *picture) bool {
	return s.pictures.holds(p.Number) && s.sessions.holds(p.session) && (!s.keys || p.Key) &&
		(s.every == 0 || s.ofPacket || s.repeats(p.Number))
}

// holds reports whether a rule applies to a packet.
func (s *selector) holds(k *packet) bool {
	return s.holdsPicture(k.of) && s.packets.holds(k.number) && (!s.first || k.first) && (!s.last || k.last) &&
		(s.every == 0 || !s.ofPacket || s.repeats(k.number)) &&
		(s.units == nil || slices.ContainsFunc(k.units, func(u []byte) bool { return k.of.is(u, s.units) }))
}
