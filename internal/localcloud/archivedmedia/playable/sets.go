package playable

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"strings"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4"
)

var errShort = errors.New("it ends too early")

// cutSet cuts a parameter set with a length of two bytes off b.
func cutSet(b []byte) (set, rest []byte, err error) {
	if len(b) < 2 || len(b)-2 < int(binary.BigEndian.Uint16(b)) {
		return nil, nil, errShort
	}
	end := 2 + int(binary.BigEndian.Uint16(b))
	if end == 2 {
		return nil, nil, errors.New("a parameter set is empty")
	}
	return b[2:end], b[end:], nil
}

// readAVC reads an AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1).
func readAVC(t *Track) error {
	b := t.private
	if len(b) < 7 || b[0] != 1 {
		return errors.New("it is not an avcC of version 1")
	}
	t.nalLength = int(b[4]&3) + 1
	codec := &mp4.CodecH264{}
	rest := b[5:]
	for i, first := range []*[]byte{&codec.SPS, &codec.PPS} {
		if len(rest) == 0 {
			return errShort
		}
		count := int(rest[0])
		if i == 0 {
			count &= 0x1F
		}
		rest = rest[1:]
		for range count {
			set, left, err := cutSet(rest)
			if err != nil {
				return err
			}
			t.place(first, set)
			rest = left
		}
	}
	var sps h264.SPS
	if len(codec.SPS) < 4 || len(codec.PPS) == 0 {
		return errors.New("it has no sequence or picture parameter set")
	}
	if err := sps.Unmarshal(codec.SPS); err != nil {
		return fmt.Errorf("the sequence parameter set cannot be read: %w", err)
	}
	t.Codec, t.Width, t.Height = codec, sps.Width(), sps.Height()
	t.Name = fmt.Sprintf("avc1.%02x%02x%02x", codec.SPS[1], codec.SPS[2], codec.SPS[3])
	return nil
}

// place puts the first parameter set of a kind into the head of the file, and further ones in front of each keyframe.
func (t *Track) place(first *[]byte, set []byte) {
	if *first == nil {
		*first = set
		return
	}
	t.sets = append(t.sets, set)
}

// readHEVC reads an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15, 8.3.3.1).
func readHEVC(t *Track) error {
	b := t.private
	if len(b) < 23 || b[0] != 1 {
		return errors.New("it is not an hvcC of version 1")
	}
	t.nalLength = int(b[21]&3) + 1
	codec := &mp4.CodecH265{}
	rest := b[23:]
	for range int(b[22]) {
		if len(rest) < 3 {
			return errShort
		}
		kind, count := h265.NALUType(rest[0]&0x3F), int(binary.BigEndian.Uint16(rest[1:]))
		rest = rest[3:]
		for range count {
			set, left, err := cutSet(rest)
			if err != nil {
				return err
			}
			rest = left
			switch kind {
			case h265.NALUType_VPS_NUT:
				t.place(&codec.VPS, set)
			case h265.NALUType_SPS_NUT:
				t.place(&codec.SPS, set)
			case h265.NALUType_PPS_NUT:
				t.place(&codec.PPS, set)
			}
		}
	}
	var sps h265.SPS
	if len(codec.VPS) == 0 || len(codec.SPS) < 13 || len(codec.PPS) == 0 {
		return errors.New("it has no video, sequence or picture parameter set")
	}
	if err := sps.Unmarshal(codec.SPS); err != nil {
		return fmt.Errorf("the sequence parameter set cannot be read: %w", err)
	}
	t.Codec, t.Width, t.Height, t.Name = codec, sps.Width(), sps.Height(), nameOfHEVC(b)
	return nil
}

// nameOfHEVC is the name of a codec by its configuration record (ISO/IEC 14496-15, annex E.3).
func nameOfHEVC(record []byte) string {
	profile := []string{"", "A", "B", "C"}[record[1]>>6] + fmt.Sprint(record[1]&0x1F)
	tier := "L"
	if record[1]&0x20 != 0 {
		tier = "H"
	}
	compatible := bits.Reverse32(binary.BigEndian.Uint32(record[2:]))
	parts := []string{"hev1", profile, fmt.Sprintf("%X", compatible), fmt.Sprintf("%s%d", tier, record[12])}
	constraints := record[6:12]
	for len(constraints) > 0 && constraints[len(constraints)-1] == 0 {
		constraints = constraints[:len(constraints)-1]
	}
	for _, b := range constraints {
		parts = append(parts, fmt.Sprintf("%X", b))
	}
	return strings.Join(parts, ".")
}
