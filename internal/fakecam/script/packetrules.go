package script

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"
)

// packetRules are the rules for single RTP packets.
var packetRules = []rule{
	{"type", "NUMBER", "the payload type", true, true, func(values []string) (line, error) {
		n, err := takesNumber(values, 0, 127)
		return line{packet: func(_ *Packer, k *packet) { k.payloadType = uint8(n) }}, err
	}},
	{"sequence", "constant, step N, restart N or jump N", "the number stays, counts by N, continues from N, or is N higher from there on",
		true, true, readSequence},
	{"timestamp", "constant, before, pace F, clock N, jump D, shift D or slice D",
		"it is constant; is that of the previous picture; runs F times as fast; counts N a second; is D more from then on; " +
			"is D more here only; is D more with each slice of the picture. D is a duration or a number of ticks", true, true, readTimestamp},
	{"marker", "last, never, always or unit", "it is set with the last packet of a picture, or of each NAL unit", true, true, readMarker},
	{"ssrc", "HEX, random or picture", "of the packets, one of the session's, or another one for each picture", true, true, readSSRC},
	{"drop", "", "the packet is not sent; its number is missing", true, true, func(values []string) (line, error) {
		return line{packet: func(_ *Packer, k *packet) { k.copies = 0 }}, none(values)
	}},
	{"twice", "", "the packet is sent twice", true, true, func(values []string) (line, error) {
		return line{packet: func(_ *Packer, k *packet) { k.copies = 2 }}, none(values)
	}},
	{"late", "N", "the packet is sent after the N that follow it", true, true, func(values []string) (line, error) {
		n, err := takesNumber(values, 1, 1000)
		return line{packet: func(_ *Packer, k *packet) { k.late = int(n) }}, err
	}},
	{"extra", "TYPE numbered or unnumbered HEX",
		"a packet of another payload type follows, which takes a sequence number or repeats the previous one", true, true, readExtra},
	{"payload", "HEX", "what the packet carries instead of the picture", true, false, func(values []string) (line, error) {
		b, err := takesBytes(values)
		return line{packet: func(_ *Packer, k *packet) { k.payload = b }}, err
	}},
	{"extension", "HEX", "the header has an extension: two bytes of a profile, two of its length in words, and the words", true, true,
		func(values []string) (line, error) {
			b, err := takesBytes(values)
			if err == nil && len(b) > maxExtension {
				err = fmt.Errorf("an extension has at most %d bytes", maxExtension)
			}
			return line{packet: func(_ *Packer, k *packet) { k.extension = b }}, err
		}},
	{"csrc", "N", "the header lists N sources, at most 15", true, true, func(values []string) (line, error) {
		n, err := takesNumber(values, 0, 15)
		return line{packet: func(_ *Packer, k *packet) { k.sources = int(n) }}, err
	}},
	{"padding", "N", "N bytes of padding, at most 255", true, true, func(values []string) (line, error) {
		n, err := takesNumber(values, 0, 255)
		return line{packet: func(_ *Packer, k *packet) { k.padding = int(n) }}, err
	}},
}

// audioRules are the rules for the section audio only.
var audioRules = []rule{
	{"payload", "HEX", "the payload of a packet; several lines are sent in turn", false, true, func(values []string) (line, error) {
		b, err := takesBytes(values)
		return line{setup: func(a *Audio) { a.Payloads = append(a.Payloads, b) }}, err
	}},
	{"interval", "DURATION", "how often there is a packet, from 1ms on; needed with payloads", false, true, readInterval},
	{"ticks", "N", "how much the timestamp advances from packet to packet; needed with payloads", false, true,
		func(values []string) (line, error) {
			n, err := takesNumber(values, 1, 1<<31)
			return line{setup: func(a *Audio) { a.Ticks = uint32(n) }}, err
		}},
}

func readInterval(values []string) (line, error) {
	text, err := takesOne(values)
	if err != nil {
		return line{}, err
	}
	d, err := duration(text)
	if err == nil && d < time.Millisecond {
		err = fmt.Errorf("%q is less than 1ms", text)
	}
	return line{setup: func(a *Audio) { a.Every = d }}, err
}

func none(values []string) error {
	if len(values) > 0 {
		return fmt.Errorf("the rule does not accept %q", values[0])
	}
	return nil
}

func readSequence(values []string) (line, error) {
	if len(values) == 1 && values[0] == "constant" {
		return line{packet: func(_ *Packer, k *packet) { k.step = 0 }}, nil
	}
	if len(values) != 2 {
		return line{}, fmt.Errorf("sequence needs constant, or step, restart or jump and a number")
	}
	n, err := number(values[1], -65535, 65535)
	if err != nil {
		return line{}, err
	}
	switch values[0] {
	case "step":
		return line{packet: func(_ *Packer, k *packet) { k.step = int(n) }}, nil
	case "restart":
		return line{packet: func(p *Packer, k *packet) {
			if p.once(k) {
				k.sequence = uint16(n)
			}
		}}, nil
	case "jump":
		return line{packet: func(p *Packer, k *packet) {
			if p.once(k) {
				k.sequence += uint16(n)
			}
		}}, nil
	}
	return line{}, fmt.Errorf("there is no sequence %q", values[0])
}

func readTimestamp(values []string) (line, error) {
	if len(values) == 1 {
		switch values[0] {
		case "constant":
			return line{packet: func(p *Packer, k *packet) { k.timestamp = p.origin }}, nil
		case "before":
			return line{packet: func(p *Packer, k *packet) { k.timestamp = p.before }}, nil
		}
	}
	if len(values) != 2 {
		return line{}, fmt.Errorf("timestamp needs constant or before, or pace, clock, jump, shift or slice and a value")
	}
	switch values[0] {
	case "pace", "clock":
		f, err := strconv.ParseFloat(values[1], 64)
		if err != nil || !(f >= 0 && f <= 1e9) {
			return line{}, fmt.Errorf("%q is not a positive number", values[1])
		}
		if values[0] == "clock" {
			f /= 90000
		}
		return line{packet: func(p *Packer, k *packet) {
			k.timestamp = p.origin + uint32(int64(float64(k.timestamp-p.origin)*f))
		}}, nil
	}
	n, err := ticks(values[1])
	if err != nil {
		return line{}, err
	}
	switch values[0] {
	case "jump":
		return line{packet: func(p *Packer, k *packet) {
			if p.once(k) {
				p.jumped += uint32(n)
			}
		}}, nil
	case "shift":
		return line{packet: func(_ *Packer, k *packet) { k.timestamp += uint32(n) }}, nil
	case "slice":
		return line{packet: func(_ *Packer, k *packet) { k.timestamp += uint32(n * int64(k.slice)) }}, nil
	}
	return line{}, fmt.Errorf("there is no timestamp %q", values[0])
}

func readMarker(values []string) (line, error) {
	text, err := takesOne(values)
	if err != nil {
		return line{}, err
	}
	kind, err := oneOf(text, "last", "never", "always", "unit")
	return line{packet: func(_ *Packer, k *packet) {
		k.marker = kind == "always" || kind == "last" && k.last || kind == "unit" && k.endsUnit
	}}, err
}

func readSSRC(values []string) (line, error) {
	text, err := takesOne(values)
	if err != nil {
		return line{}, err
	}
	switch text {
	case "picture":
		return line{packet: func(p *Packer, k *packet) {
			if k.first {
				p.ssrc = rand.Uint32()
			}
			k.ssrc = p.ssrc
		}}, nil
	case "random":
		ssrc := rand.Uint32()
		return line{packet: func(_ *Packer, k *packet) { k.ssrc = ssrc }}, nil
	}
	n, err := strconv.ParseUint(text, 16, 32)
	if err != nil {
		return line{}, fmt.Errorf("%q is not an SSRC of up to 8 hexadecimal digits", text)
	}
	return line{packet: func(_ *Packer, k *packet) { k.ssrc = uint32(n) }}, nil
}

func readExtra(values []string) (line, error) {
	if len(values) < 3 {
		return line{}, fmt.Errorf("extra needs a payload type, numbered or unnumbered, and bytes")
	}
	kind, err := number(values[0], 0, 127)
	if err != nil {
		return line{}, err
	}
	counted, err := oneOf(values[1], "numbered", "unnumbered")
	if err != nil {
		return line{}, err
	}
	b, err := takesBytes(values[2:])
	return line{packet: func(_ *Packer, k *packet) {
		k.extras = append(k.extras, extra{uint8(kind), counted == "numbered", b})
	}}, err
}
