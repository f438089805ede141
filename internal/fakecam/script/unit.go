package script

import (
	"fmt"
	"slices"
	"strconv"
)

// unitTypes are the names of types of NAL units, by codec (H.264, table 7-1; H.265, table 7-1).
var unitTypes = map[string][2][]int{
	"sps":   {{7}, {33}},
	"pps":   {{8}, {34}},
	"vps":   {{}, {32}},
	"sei":   {{6}, {39, 40}},
	"aud":   {{9}, {35}},
	"idr":   {{5}, {19, 20}},
	"slice": {{1, 2, 3, 4, 5}, upTo(31)},
}

func upTo(most int) (list []int) {
	for n := range most + 1 {
		list = append(list, n)
	}
	return list
}

// unitNames checks names or numbers of NAL unit types.
func unitNames(words []string) ([]string, error) {
	for _, word := range words {
		n, err := strconv.Atoi(word)
		if _, known := unitTypes[word]; !known && (err != nil || n < 0 || n > 63) {
			return nil, fmt.Errorf("there is no NAL unit type %q: it is a number or one of sps, pps, vps, sei, aud, idr, slice", word)
		}
	}
	return words, nil
}

// Picture is a picture to be sent: one access unit.
type Picture struct {
	Units     [][]byte // NAL units without start codes
	H265      bool
	Key       bool
	Number    uint64 // in the session, from 0
	Timestamp uint32 // of the RTP clock of 90 kHz
	Payloads  [][]byte
}

// picture is a Picture while rules are applied to it.
type picture struct {
	Picture
	session uint64
	packing packing
}

// typeOf returns the type of a NAL unit.
func (p *picture) typeOf(unit []byte) int {
	if len(unit) == 0 {
		return 0
	}
	if p.H265 {
		return int(unit[0] >> 1 & 0x3f)
	}
	return int(unit[0] & 0x1f)
}

// is reports whether a NAL unit has one of some types.
func (p *picture) is(unit []byte, names []string) bool {
	kind := p.typeOf(unit)
	return slices.ContainsFunc(names, func(name string) bool {
		types, known := unitTypes[name]
		if !known {
			return name == strconv.Itoa(kind)
		}
		if p.H265 {
			return slices.Contains(types[1], kind)
		}
		return slices.Contains(types[0], kind)
	})
}

// isSlice reports whether a NAL unit is a slice.
func (p *picture) isSlice(unit []byte) bool { return p.is(unit, []string{"slice"}) }
