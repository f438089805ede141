package accessunit

import (
	"bytes"
	"encoding/binary"
	"maps"
	"reflect"
	"slices"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
)

// h265Sets are the parameter sets of H.265, by their types and ids.
type h265Sets map[h265SetKey][]byte

type h265SetKey struct {
	kind byte
	id   uint32
}

func (h265Codec) NewParameterSets() ParameterSets { return h265Sets{} }

func (p h265Sets) Clone() ParameterSets { return maps.Clone(p) }

func (p h265Sets) Add(nal []byte) (changed bool) {
	nal = trimZeros(nal)
	if len(nal) < 3 || len(nal) > maxParameterSet {
		return false
	}
	if p.Holds(nal) { // as at almost every keyframe
		return false
	}
	key, ok := h265KeyOf(nal)
	if !ok || key.kind == h265SPS && sameH265SPS(p[key], nal) {
		return false
	}
	if !fits(p.size(), p[key], nal) {
		return false
	}
	p[key] = bytes.Clone(nal)
	return true
}

// h265KeyOf is the type and the id of a parameter set.
func h265KeyOf(nal []byte) (key h265SetKey, ok bool) {
	if len(nal) < 3 {
		return key, false
	}
	switch key.kind = h265Type(nal); key.kind {
	case h265VPS:
		key.id, ok = uint32(nal[2]>>4), true
	case h265SPS:
		sps, _, known := readH265SPS(nal)
		key.id, ok = uint32(sps.ID), known
	default:
		key.id, ok = ppsID(nal[2:])
	}
	return key, ok
}

// sameH265SPS reports whether two sets, of which the old one may be nil, mean the same.
func sameH265SPS(old, set []byte) bool {
	a, wholeA, _ := readH265SPS(old)
	b, wholeB, _ := readH265SPS(set)
	return wholeA && wholeB && reflect.DeepEqual(a, b)
}

// size is the size of all sets, in bytes.
func (p h265Sets) size() (n int) {
	for _, set := range p {
		n += len(set)
	}
	return n
}

// maxPixels is the width or height up to which a parameter set is credible (H.265, level 6.2
// allows 8192x4320, and 16888 in one direction).
const maxPixels = 16888

func credible(w, h int) bool { return w > 0 && h > 0 && w <= maxPixels && h <= maxPixels }

// readH265SPS reads a sequence parameter set. The library cannot read the levels of temporal layers, which decoders need not know, nor
// long-term pictures: then whole is false, and what follows is unset. One that is cut off is refused: unlike with H.264, decoders play
// no video with it.
func readH265SPS(nal []byte) (sps h265.SPS, whole, ok bool) {
	const maxID = 15
	if len(nal) < 3 {
		return sps, false, false
	}
	if whole = sps.Unmarshal(nal) == nil; !whole {
		sps = h265.SPS{}
		if err := sps.Unmarshal(withoutSubLayers(nal)); err != nil && !sps.LongTermRefPicsPresentFlag {
			return sps, false, false
		}
	}
	return sps, whole, sps.ID <= maxID && credible(sps.Width(), sps.Height())
}

// withoutSubLayers returns a sequence parameter set without the profiles and levels of its temporal layers (H.265, 7.3.3).
func withoutSubLayers(nal []byte) []byte {
	const (
		layersAt    = 2
		general     = 15 // bytes up to the end of the general part of profile_tier_level
		flagsSize   = 2  // two flags a layer, and as many bits for layers that there are not
		profileSize = 11
		levelSize   = 1
	)
	rbsp := h264.EmulationPreventionRemove(nal)
	if len(rbsp) < general+flagsSize {
		return nal
	}
	layers := int(rbsp[layersAt] >> 1 & 7) // beside the highest one
	flags := binary.BigEndian.Uint16(rbsp[general:])
	skip := 0
	for range layers {
		if flags&0x8000 != 0 {
			skip += profileSize
		}
		if flags&0x4000 != 0 {
			skip += levelSize
		}
		flags <<= 2
	}
	if layers == 0 || len(rbsp) < general+flagsSize+skip {
		return nal
	}
	return escape(slices.Concat(rbsp[:general], make([]byte, flagsSize), rbsp[general+flagsSize+skip:]))
}

func (p h265Sets) Replaces(nal []byte) bool {
	nal = trimZeros(nal)
	key, ok := h265KeyOf(nal)
	return !ok || p[key] != nil && !bytes.Equal(p[key], nal)
}

func (p h265Sets) Has(nal []byte) bool { return len(nal) > 0 && len(p.of(h265Type(nal))) > 0 }

func (p h265Sets) Holds(nal []byte) bool {
	nal = trimZeros(nal)
	for _, set := range p {
		if bytes.Equal(set, nal) {
			return true
		}
	}
	return false
}

// of lists the parameter sets of a type, in order of their ids.
func (p h265Sets) of(kind byte) [][]byte {
	var keys []uint32
	for key := range p {
		if key.kind == kind {
			keys = append(keys, key.id)
		}
	}
	slices.Sort(keys)
	sets := make([][]byte, 0, len(keys))
	for _, id := range keys {
		sets = append(sets, p[h265SetKey{kind, id}])
	}
	return sets
}

func (p h265Sets) Track() (track mkv.Track, ok bool) {
	all := p.of(h265SPS)
	if len(all) == 0 || len(p.of(h265VPS)) == 0 || len(p.of(h265PPS)) == 0 {
		return track, false
	}
	sps, _, ok := readH265SPS(all[0])
	if !ok {
		return track, false
	}
	return mkv.Track{
		Number: VideoNumber, Kind: mkv.Video, CodecID: mkv.CodecHEVC, Name: "video",
		CodecPrivate: p.hvcC(sps, all[0]), Width: sps.Width(), Height: sps.Height(),
		Picture: h265Picture(sps),
	}, true
}

func h265Picture(sps h265.SPS) mkv.Picture {
	var u usability
	profile := sps.ProfileTierLevel
	interlaced := profile.GeneralInterlacedSourceFlag && !profile.GeneralProgressiveSourceFlag
	if v := sps.VUI; v != nil {
		u = usability{
			v.AspectRatioInfoPresentFlag, v.AspectRatioIdc, v.SarWidth, v.SarHeight, v.VideoSignalTypePresentFlag, v.VideoFullRangeFlag,
			v.ColourDescriptionPresentFlag, v.ColourPrimaries, v.TransferCharacteristics, v.MatrixCoefficients,
		}
		interlaced = interlaced || v.FieldSeqFlag
	}
	return u.picture(sps.Width(), sps.Height(), interlaced)
}

// hvcC returns an HEVCDecoderConfigurationRecord (ISO/IEC 14496-15, 8.3.3.1).
func (p h265Sets) hvcC(sps h265.SPS, raw []byte) []byte {
	const (
		version       = 1
		levelAt       = 3  // of profile_tier_level in an SPS: header 2, ids and flags 1
		levelSize     = 12 // of its general part
		reserved4     = 0xF0
		reserved5     = 0xF8
		reserved6     = 0xFC
		lengthSize    = 4
		completeArray = 0x80
		maxSets       = 64
	)
	b := []byte{version}
	level := h264.EmulationPreventionRemove(raw)
	b = append(b, level[levelAt:levelAt+levelSize]...)
	b = append(b, reserved4, 0, reserved6) // no minimal segmentation, parallelism unknown
	b = append(b, reserved6|byte(sps.ChromaFormatIdc&3), reserved5|byte(sps.BitDepthLumaMinus8&7), reserved5|byte(sps.BitDepthChromaMinus8&7))
	b = append(b, 0, 0) // average frame rate unknown
	nested := byte(0)
	if sps.TemporalIDNestingFlag {
		nested = 1
	}
	b = append(b, (sps.MaxSubLayersMinus1+1)<<3|nested<<2|(lengthSize-1))
	b = append(b, 3)
	for _, kind := range []byte{h265VPS, h265SPS, h265PPS} {
		sets := p.of(kind)
		sets = sets[:min(len(sets), maxSets)]
		b = append(b, completeArray|kind)
		b = binary.BigEndian.AppendUint16(b, uint16(len(sets)))
		for _, set := range sets {
			b = binary.BigEndian.AppendUint16(b, uint16(len(set)))
			b = append(b, set...)
		}
	}
	return b
}
