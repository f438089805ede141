package script

import (
	"fmt"
	"slices"
)

// pictureRules are the rules for whole pictures and their packetisation.
var pictureRules = []rule{
	{"pause", "DURATION", "the camera waits before the picture; timestamps continue as if it had not", true, true, readPause},
	{"hang-up", "", "the camera closes the connection before the picture", true, true, step(Step{Kind: HangUp})},
	{"end", "", "the camera sends nothing from the picture on, and keeps the connection", true, true, func([]string) (line, error) {
		return line{picture: func(p *Packer, pic *picture) { p.ended = true }}, nil
	}},
	{"send", "TEXT", "the text goes into the connection before the picture, with the escapes of answers", true, true, readSend},
	{"raw", "HEX", "a complete RTP packet before the picture", true, true, readBytes(RTP)},
	{"rtcp", "HEX or bye", "a complete RTCP packet before the picture", true, true, readRTCP},
	{"order", "NAME…", "NAL units of these types come first, in this order", true, false, readOrder},
	{"leave-out", "NAME…", "NAL units of these types are not sent", true, false, readLeaveOut},
	{"insert", "front, back, before-slices or after-slices HEX", "a NAL unit is inserted", true, false, readInsert},
	{"append", "HEX", "the bytes are appended to each slice", true, false, readAppend},
	{"pack", "KIND…", "how NAL units are put into packets; see below", true, false, readPack},
	{"size", "BYTES", "the largest payload; 1400 by default", true, false, func(values []string) (line, error) {
		n, err := takesNumber(values, 16, 64000)
		return line{picture: func(_ *Packer, pic *picture) { pic.packing.size = int(n) }}, err
	}},
}

// step returns a rule without values that makes the camera act before a picture.
func step(s Step) func([]string) (line, error) {
	return func(values []string) (line, error) {
		if len(values) > 0 {
			return line{}, fmt.Errorf("the rule does not accept %q", values[0])
		}
		return line{picture: func(p *Packer, _ *picture) { p.steps = append(p.steps, s) }}, nil
	}
}

func readPause(values []string) (line, error) {
	text, err := takesOne(values)
	if err != nil {
		return line{}, err
	}
	d, err := duration(text)
	return line{picture: func(p *Packer, _ *picture) { p.steps = append(p.steps, Step{Kind: Pause, Wait: d}) }}, err
}

func readSend(values []string) (line, error) {
	t, err := parseTemplate(values[0])
	if err == nil && (len(t.parts) != 1 || t.parts[0].value != "") {
		return line{}, fmt.Errorf("send needs a text without placeholders")
	}
	if err != nil {
		return line{}, err
	}
	b := []byte(t.parts[0].text)
	return line{picture: func(p *Packer, _ *picture) { p.steps = append(p.steps, Step{Kind: Text, Bytes: b}) }}, nil
}

func readBytes(kind StepKind) func([]string) (line, error) {
	return func(values []string) (line, error) {
		b, err := takesBytes(values)
		return line{picture: func(p *Packer, _ *picture) { p.steps = append(p.steps, Step{Kind: kind, Bytes: b}) }}, err
	}
}

func readRTCP(values []string) (line, error) {
	if len(values) != 1 || values[0] != "bye" {
		return readBytes(RTCP)(values)
	}
	return line{picture: func(p *Packer, _ *picture) {
		bye := []byte{0x81, 203, 0, 1} // RFC 3550, section 6.6
		p.steps = append(p.steps, Step{Kind: RTCP, Bytes: appendUint(bye, p.ssrc, 4)})
	}}, nil
}

func readOrder(values []string) (line, error) {
	names, err := unitNames(values)
	return line{picture: func(_ *Packer, pic *picture) {
		rank := func(unit []byte) int {
			for i, name := range names {
				if pic.is(unit, []string{name}) {
					return i
				}
			}
			return len(names)
		}
		slices.SortStableFunc(pic.Units, func(a, b []byte) int { return rank(a) - rank(b) })
	}}, err
}

func readLeaveOut(values []string) (line, error) {
	names, err := unitNames(values)
	return line{picture: func(_ *Packer, pic *picture) {
		pic.Units = slices.DeleteFunc(pic.Units, func(unit []byte) bool { return pic.is(unit, names) })
	}}, err
}

func readInsert(values []string) (line, error) {
	if len(values) < 2 {
		return line{}, fmt.Errorf("insert needs a place and bytes")
	}
	where, err := oneOf(values[0], "front", "back", "before-slices", "after-slices")
	if err != nil {
		return line{}, err
	}
	unit, err := takesBytes(values[1:])
	return line{picture: func(_ *Packer, pic *picture) {
		switch where {
		case "front":
			pic.Units = append([][]byte{unit}, pic.Units...)
		case "back":
			pic.Units = append(pic.Units, unit)
		default:
			var units [][]byte
			for _, u := range pic.Units {
				slice := pic.isSlice(u)
				if slice && where == "before-slices" {
					units = append(units, unit)
				}
				units = append(units, u)
				if slice && where == "after-slices" {
					units = append(units, unit)
				}
			}
			pic.Units = units
		}
	}}, err
}

func readAppend(values []string) (line, error) {
	b, err := takesBytes(values)
	return line{picture: func(_ *Packer, pic *picture) {
		for i, u := range pic.Units {
			if pic.isSlice(u) {
				pic.Units[i] = slices.Concat(u, b)
			}
		}
	}}, err
}

func readPack(values []string) (line, error) {
	var kinds packing
	for _, value := range values {
		set, known := packKinds[value]
		if !known {
			return line{}, fmt.Errorf("there is no kind of packet %q", value)
		}
		set.set(&kinds)
	}
	return line{picture: func(_ *Packer, pic *picture) {
		kinds.size = pic.packing.size
		pic.packing = kinds
	}}, nil
}
