package mediafile

import "bytes"

// describedBy reads the description of a codec. A lengthSize of 0 means that frames have start codes before their NAL
// units (Annex B), as without a description, or if it has start codes itself.
func describedBy(codec string, data []byte) (sets [][]byte, lengthSize int, err error) {
	switch {
	case len(data) == 0 || startCode(data) > 0:
		return splitStartCodes(nil, data), 0, nil
	case codec == H264:
		return h264Config(data)
	default:
		return h265Config(data)
	}
}

// splitUnits splits the NAL units of a frame.
func splitUnits(nalus [][]byte, data []byte, lengthSize int) ([][]byte, error) {
	if lengthSize == 0 {
		return splitStartCodes(nalus, data), nil
	}
	before := len(nalus)
	nalus, err := splitLengths(nalus, data, lengthSize)
	if err != nil && startCode(data) > 0 { // whatever the description says
		return splitStartCodes(nalus[:before], data), nil
	}
	return nalus, err
}

// startCode is the length of the start code at the start of data; 0: there is none.
func startCode(data []byte) int {
	switch {
	case bytes.HasPrefix(data, []byte{0, 0, 1}):
		return 3
	case bytes.HasPrefix(data, []byte{0, 0, 0, 1}):
		return 4
	}
	return 0
}

// splitStartCodes splits NAL units that have start codes before them (H.264, annex B). Data before the first is
// left out.
func splitStartCodes(nalus [][]byte, data []byte) [][]byte {
	code := []byte{0, 0, 1}
	at := bytes.Index(data, code)
	for at >= 0 {
		data = data[at+len(code):]
		unit := data
		if at = bytes.Index(data, code); at >= 0 {
			unit = data[:at]
		}
		if unit = bytes.TrimRight(unit, "\x00"); len(unit) > 0 {
			nalus = append(nalus, unit)
		}
	}
	return nalus
}

// h264Config reads an AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1).
func h264Config(data []byte) (sets [][]byte, lengthSize int, err error) {
	c := cursor{data: data}
	c.skip(4) // version, profile, compatibility, level
	lengthSize = c.u8()&3 + 1
	for n := c.u8() & 31; n > 0 && !c.short; n-- {
		sets = append(sets, c.set())
	}
	for n := c.u8(); n > 0 && !c.short; n-- {
		sets = append(sets, c.set())
	}
	if c.short {
		return nil, 0, broken("the description of H.264 is too short")
	}
	return sets, lengthSize, nil
}

// h265Config reads an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15, 8.3.3.1).
func h265Config(data []byte) (sets [][]byte, lengthSize int, err error) {
	c := cursor{data: data}
	c.skip(21)
	lengthSize = c.u8()&3 + 1
	for arrays := c.u8(); arrays > 0 && !c.short; arrays-- {
		c.skip(1) // the type, which the units have too
		for n := c.u16(); n > 0 && !c.short; n-- {
			sets = append(sets, c.set())
		}
	}
	if c.short {
		return nil, 0, broken("the description of H.265 is too short")
	}
	return sets, lengthSize, nil
}
