package accessunit

import (
	"bytes"
	"encoding/binary"
	"maps"
	"reflect"
	"slices"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
)

// h264Sets are the parameter sets of H.264.
type h264Sets struct {
	sps map[uint32][]byte
	pps map[uint32][]byte
}

func (h264Codec) NewParameterSets() ParameterSets {
	return h264Sets{sps: make(map[uint32][]byte), pps: make(map[uint32][]byte)}
}

func (p h264Sets) Clone() ParameterSets {
	return h264Sets{sps: maps.Clone(p.sps), pps: maps.Clone(p.pps)}
}

func (p h264Sets) Add(nal []byte) (changed bool) {
	nal = trimZeros(nal)
	if len(nal) < 2 || len(nal) > maxParameterSet {
		return false
	}
	if p.Holds(nal) { // as at almost every keyframe
		return false
	}
	if nal[0]&h264TypeMask == h264SPS {
		return p.addSPS(nal)
	}
	id, ok := h264SetID(nal)
	if !ok || !fits(p.size(), p.pps[id], nal) {
		return false
	}
	p.pps[id] = bytes.Clone(nal)
	return true
}

// size is the size of all sets, in bytes.
func (p h264Sets) size() (n int) {
	for _, sets := range []map[uint32][]byte{p.sps, p.pps} {
		for _, set := range sets {
			n += len(set)
		}
	}
	return n
}

func (p h264Sets) addSPS(nal []byte) (changed bool) {
	sps, whole, ok := readH264SPS(nal)
	if !ok {
		return false
	}
	before := p.sps[sps.ID]
	if old, oldWhole, known := readH264SPS(before); known {
		if oldWhole && !whole { // it may be the same one, cut off
			old.VUI, sps.VUI = nil, nil
		}
		if bytes.Equal(before[1:], nal[1:]) || oldWhole && reflect.DeepEqual(old, sps) {
			return false // "smart" encoders repeat the same set in other bytes
		}
	}
	if !fits(p.size(), before, nal) {
		return false
	}
	p.sps[sps.ID] = bytes.Clone(nal)
	return true
}

// readH264SPS reads a sequence parameter set. Where only its end cannot be read, the VUI, which says how pictures are shown, whole is
// false, and what was not read is unset: decoders play such video too.
func readH264SPS(nal []byte) (sps h264.SPS, whole, ok bool) {
	const maxID = 31
	whole = sps.Unmarshal(nal) == nil
	w, h := h264Size(sps)
	if !whole {
		return sps, false, sps.VUI != nil && sps.ID <= maxID && credible(w, h)
	}
	return sps, true, sps.ID <= maxID && w > 0 && h > 0
}

// h264Size is the size of pictures. The library does not crop the width of pictures without colours (H.264, 7.4.2.1.1).
func h264Size(sps h264.SPS) (w, h int) {
	w, h = sps.Width(), sps.Height()
	if crop := sps.FrameCropping; crop != nil && (sps.ChromaFormatIdc == 0 || sps.SeparateColourPlaneFlag) {
		w -= int(crop.LeftOffset) + int(crop.RightOffset)
	}
	return w, h
}

// of returns the parameter sets of the kind of one, by their ids.
func (p h264Sets) of(nal []byte) map[uint32][]byte {
	if len(nal) > 0 && nal[0]&h264TypeMask == h264SPS {
		return p.sps
	}
	return p.pps
}

func (p h264Sets) Replaces(nal []byte) bool {
	nal = trimZeros(nal)
	id, ok := h264SetID(nal)
	set := p.of(nal)[id]
	return !ok || set != nil && !bytes.Equal(set, nal)
}

// h264SetID is the id of a parameter set.
func h264SetID(nal []byte) (id uint32, ok bool) {
	switch {
	case len(nal) < 2:
		return 0, false
	case nal[0]&h264TypeMask == h264SPS:
		sps, _, ok := readH264SPS(nal)
		return sps.ID, ok
	}
	return ppsID(nal[1:])
}

func (p h264Sets) Has(nal []byte) bool { return len(p.of(nal)) > 0 }

func (p h264Sets) Holds(nal []byte) bool {
	nal = trimZeros(nal)
	for _, set := range p.of(nal) {
		if bytes.Equal(set, nal) {
			return true
		}
	}
	return false
}

func (p h264Sets) Track() (track mkv.Track, ok bool) {
	if len(p.sps) == 0 || len(p.pps) == 0 {
		return track, false
	}
	first := p.sps[slices.Min(slices.Collect(maps.Keys(p.sps)))]
	sps, _, ok := readH264SPS(first)
	if !ok {
		return track, false
	}
	w, h := h264Size(sps)
	return mkv.Track{
		Number: VideoNumber, Kind: mkv.Video, CodecID: mkv.CodecAVC, Name: "video",
		CodecPrivate: p.avcC(sps), Width: w, Height: h, Picture: h264Picture(sps),
	}, true
}

func h264Picture(sps h264.SPS) mkv.Picture {
	var u usability
	if v := sps.VUI; v != nil {
		u = usability{
			v.AspectRatioInfoPresentFlag, v.AspectRatioIdc, v.SarWidth, v.SarHeight, v.VideoSignalTypePresentFlag, v.VideoFullRangeFlag,
			v.ColourDescriptionPresentFlag, v.ColourPrimaries, v.TransferCharacteristics, v.MatrixCoefficients,
		}
	}
	w, h := h264Size(sps)
	return u.picture(w, h, !sps.FrameMbsOnlyFlag)
}

// avcC returns an AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1).
func (p h264Sets) avcC(sps h264.SPS) []byte {
	const (
		reservedLength = 0xFC
		reservedCount  = 0xE0
		lengthSize     = 4
		maxSPS         = 31
		maxPPS         = 255
	)
	list := func(dst []byte, sets map[uint32][]byte, most int) []byte {
		for i, id := range slices.Sorted(maps.Keys(sets)) {
			if i < most {
				dst = binary.BigEndian.AppendUint16(dst, uint16(len(sets[id])))
				dst = append(dst, sets[id]...)
			}
		}
		return dst
	}
	first := p.sps[sps.ID]
	b := []byte{1, first[1], first[2], first[3], reservedLength | (lengthSize - 1), reservedCount | byte(min(len(p.sps), maxSPS))}
	b = list(b, p.sps, maxSPS)
	b = append(b, byte(min(len(p.pps), maxPPS)))
	b = list(b, p.pps, maxPPS)
	switch sps.ProfileIdc {
	case 100, 110, 122, 144:
		b = append(b, 0xFC|byte(sps.ChromaFormatIdc), 0xF8|byte(sps.BitDepthLumaMinus8), 0xF8|byte(sps.BitDepthChromaMinus8), 0)
	}
	return b
}
