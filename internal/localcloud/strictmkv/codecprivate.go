package strictmkv

import "encoding/binary"

// checkPrivate checks the codec's configuration and notes what the blocks' framing follows from it.
func (t *Track) checkPrivate(entry element, present bool) error {
	check := map[string]func([]byte) (int, string){
		CodecAVC: checkAVCC, CodecAVCKVS: checkAVCC, CodecHEVC: checkHVCC, CodecAAC: checkAudioSpecificConfig, CodecACM: checkWaveFormat,
	}[t.CodecID]
	if check == nil {
		return nil
	}
	if !present {
		return broken(idCodecPrivate, entry.offset, "is missing from the track with %s", t.CodecID)
	}
	nalLength, fault := check(t.CodecPrivate)
	if fault != "" {
		return broken(idCodecPrivate, entry.offset, "of the track with %s %s", t.CodecID, fault)
	}
	t.nalLength = nalLength
	return nil
}

// checkAVCC checks an AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1).
func checkAVCC(b []byte) (nalLength int, fault string) {
	if len(b) < 7 {
		return 0, "is shorter than an avcC record"
	}
	if b[0] != 1 {
		return 0, "has an avcC version that is not 1 (Annex B is not allowed)"
	}
	if b[4]&0xFC != 0xFC || b[5]&0xE0 != 0xE0 {
		return 0, "has reserved bits of avcC that are not 1"
	}
	nalLength = int(b[4]&3) + 1
	if nalLength == 3 {
		return 0, "has NAL unit lengths of 3 bytes; 1, 2 or 4 are allowed"
	}
	sets := int(b[5] & 0x1F)
	if sets == 0 {
		return 0, "holds no sequence parameter set"
	}
	profile := b[1:4]
	rest := b[6:]
	for i := range sets {
		var set []byte
		if set, rest, fault = parameterSet(rest, 7); fault != "" {
			return 0, fault
		}
		if len(set) < 4 {
			return 0, "holds a sequence parameter set that is too short"
		}
		if i == 0 && (set[1] != profile[0] || set[2] != profile[1] || set[3] != profile[2]) {
			return 0, "names a profile and level that its sequence parameter set contradicts"
		}
	}
	if len(rest) == 0 || rest[0] == 0 {
		return 0, "holds no picture parameter set"
	}
	sets, rest = int(rest[0]), rest[1:]
	for range sets {
		if _, rest, fault = parameterSet(rest, 8); fault != "" {
			return 0, fault
		}
	}
	// High profiles may add chroma format, bit depths and SPS extensions: at least four bytes.
	if len(rest) != 0 && len(rest) < 4 {
		return 0, "ends with bytes that are not an avcC extension"
	}
	return nalLength, ""
}

// parameterSet cuts one length-prefixed H.264 parameter set of the given nal_unit_type off b.
func parameterSet(b []byte, kind byte) (set, rest []byte, fault string) {
	if len(b) < 2 {
		return nil, nil, "ends before its parameter sets do"
	}
	n := int(binary.BigEndian.Uint16(b))
	if n == 0 || n > len(b)-2 {
		return nil, nil, "holds a parameter set whose length overruns it"
	}
	if set = b[2 : 2+n]; set[0]&0x9F != kind {
		return nil, nil, "holds a NAL unit of another type where a parameter set belongs"
	}
	return set, b[2+n:], ""
}

// checkHVCC checks an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15, 8.3.3.1).
func checkHVCC(b []byte) (nalLength int, fault string) {
	if len(b) < 23 {
		return 0, "is shorter than an hvcC record"
	}
	if b[0] != 1 {
		return 0, "has an hvcC version that is not 1 (Annex B is not allowed)"
	}
	if nalLength = int(b[21]&3) + 1; nalLength == 3 {
		return 0, "has NAL unit lengths of 3 bytes; 1, 2 or 4 are allowed"
	}
	rest := b[23:]
	for range int(b[22]) {
		if len(rest) < 3 {
			return 0, "ends before its NAL unit arrays do"
		}
		kind, units := rest[0]&0x3F, int(binary.BigEndian.Uint16(rest[1:]))
		rest = rest[3:]
		for range units {
			if len(rest) < 2 {
				return 0, "ends before its parameter sets do"
			}
			n := int(binary.BigEndian.Uint16(rest))
			if n < 2 || n > len(rest)-2 {
				return 0, "holds a parameter set whose length overruns it"
			}
			if rest[2]>>1&0x3F != kind {
				return 0, "holds a NAL unit of another type than its array says"
			}
			rest = rest[2+n:]
		}
	}
	if len(rest) != 0 {
		return 0, "ends with bytes that belong to no NAL unit array"
	}
	return nalLength, ""
}

// checkAudioSpecificConfig checks the first fields of ISO/IEC 14496-3, 1.6.2.1.
func checkAudioSpecificConfig(b []byte) (int, string) {
	if len(b) < 2 {
		return 0, "is shorter than an AudioSpecificConfig"
	}
	if b[0]>>3 == 0 {
		return 0, "has audio object type 0"
	}
	if index := b[0]&7<<1 | b[1]>>7; index == 13 || index == 14 {
		return 0, "has a reserved sampling frequency index"
	}
	return 0, ""
}

// checkWaveFormat checks a WAVEFORMATEX, whose integers are little-endian.
func checkWaveFormat(b []byte) (int, string) {
	if len(b) < 18 {
		return 0, "is shorter than a WAVEFORMATEX"
	}
	if extra := int(binary.LittleEndian.Uint16(b[16:])); extra != len(b)-18 {
		return 0, "is a WAVEFORMATEX whose cbSize does not fit its length"
	}
	if binary.LittleEndian.Uint16(b[2:]) == 0 || binary.LittleEndian.Uint32(b[4:]) == 0 {
		return 0, "is a WAVEFORMATEX without channels or sample rate"
	}
	return 0, ""
}
