package mediafile

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
		c.skip(1) // the kind, which the units have too
		for n := c.u16(); n > 0 && !c.short; n-- {
			sets = append(sets, c.set())
		}
	}
	if c.short {
		return nil, 0, broken("the description of H.265 is too short")
	}
	return sets, lengthSize, nil
}
