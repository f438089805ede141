package audio

import (
	"encoding/binary"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
)

// Format tags of WAVEFORMATEX (RFC 2361).
const (
	waveALaw  = 6
	waveMuLaw = 7
	waveG726  = 0x45
	waveG722  = 0x28F
)

var waveTags = map[Codec]uint16{ALaw: waveALaw, MuLaw: waveMuLaw, G726: waveG726, G722: waveG722}

// bitsOf is the number of bits per sample and channel in a frame.
func (f Format) bitsOf() int {
	switch f.Codec {
	case G722:
		return 4 // a byte has two samples
	case ALaw, MuLaw:
		return 8
	}
	return f.Bits
}

// blockBytes is the smallest unit by which a frame can be cut, in bytes: a sample of each channel, or some of them.
func (f Format) blockBytes() int {
	switch f.Codec {
	case G722:
		return f.Channels
	case G726: // eight samples have as many bytes as a sample has bits
		return max(f.Bits, 1)
	}
	return max(f.Channels*f.bitsOf()/8, 1)
}

// waveTrack describes A_MS/ACM, whose private data is a WAVEFORMATEX.
func waveTrack(f Format, t *mkv.Track) {
	t.CodecID, t.BitDepth = mkv.CodecACM, f.bitsOf()
	wave := binary.LittleEndian.AppendUint16(nil, waveTags[f.Codec])
	wave = binary.LittleEndian.AppendUint16(wave, uint16(f.Channels))
	wave = binary.LittleEndian.AppendUint32(wave, uint32(f.Rate))
	wave = binary.LittleEndian.AppendUint32(wave, uint32(f.Rate*f.Channels*f.bitsOf()/8)) // bytes per second
	wave = binary.LittleEndian.AppendUint16(wave, uint16(f.blockBytes()))
	wave = binary.LittleEndian.AppendUint16(wave, uint16(f.bitsOf()))
	t.CodecPrivate = binary.LittleEndian.AppendUint16(wave, 0) // nothing follows
}

// waveFormat reads a WAVEFORMATEX, even if truncated, of a track that has the settings of f. Known codecs are recognised;
// others are copied with it.
func waveFormat(private []byte, f Format) (Format, bool) {
	if len(private) < 2 {
		return Format{}, false
	}
	if len(private) >= 8 {
		f.Channels, f.Rate = int(binary.LittleEndian.Uint16(private[2:])), int(binary.LittleEndian.Uint32(private[4:]))
	}
	if f.Bits = 0; len(private) >= 16 {
		f.Bits = int(binary.LittleEndian.Uint16(private[14:]))
	}
	tag := binary.LittleEndian.Uint16(private)
	switch {
	case tag == waveG726 && f.Bits >= 2 && f.Bits <= 5:
		f.Codec = G726
	case tag == waveALaw:
		f.Codec = ALaw
	case tag == waveMuLaw:
		f.Codec = MuLaw
	case tag == waveG722:
		f.Codec = G722
	default:
		f.Codec, f.ID, f.Config = Other, mkv.CodecACM, private
	}
	return f, f.Valid()
}

// waveSamples counts the samples of codecs with a fixed number of bits.
func waveSamples(f Format, frame []byte) int {
	bits := f.bitsOf() * f.Channels
	if bits == 0 {
		return 0
	}
	return 8 * len(frame) / bits
}

// SamplesIn returns how many samples a channel has in a frame of that size, in bytes, where the codec does not compress its samples
// further (G.711, LPCM). It reports false for others, of which only a frame itself says it.
func (f Format) SamplesIn(size int64) (n int, ok bool) {
	bits := int64(f.bitsOf() * f.Channels)
	if f.Codec != MuLaw && f.Codec != ALaw && f.Codec != PCM || bits == 0 {
		return 0, false
	}
	return int(8 * size / bits), true
}

// silenceG711 is the length of silence that a fragment gets, in samples: 20 ms at 8 kHz.
const silenceG711 = 160

func muLawSilence(f Format) []byte { return silenceOf(0xFF, f.Channels) }
func aLawSilence(f Format) []byte  { return silenceOf(0xD5, f.Channels) }

func silenceOf(zero byte, channels int) []byte {
	silence := make([]byte, silenceG711*channels)
	for i := range silence {
		silence[i] = zero
	}
	return silence
}

// pcmTrack describes plain samples (RFC 9559, codec mappings).
func pcmTrack(f Format, t *mkv.Track) {
	t.BitDepth = f.Bits
	switch {
	case f.Float:
		t.CodecID = codecPCMFloat
	case f.Little || f.Bits == 8: // 8-bit samples are unsigned
		t.CodecID = codecPCMLittle
	default:
		t.CodecID = codecPCMBig
	}
}

// The codec IDs of PCM.
const (
	codecPCMLittle = "A_PCM/INT/LIT"
	codecPCMBig    = "A_PCM/INT/BIG"
	codecPCMFloat  = "A_PCM/FLOAT/IEEE"
)

// leftJustified converts G.726 whose first sample has the least significant bits (RFC 3551, section 4.5.4) to the form
// with the most significant ones first (ITU-T I.366.2, annex E), which files use.
func leftJustified(to, data []byte, bits int) []byte {
	var in, out uint64
	have, filled := 0, 0
	for _, b := range data {
		in |= uint64(b) << have
		have += 8
		for have >= bits {
			out = out<<bits | in&(1<<bits-1)
			in >>= bits
			have -= bits
			filled += bits
			for filled >= 8 {
				to = append(to, byte(out>>(filled-8)))
				filled -= 8
			}
		}
	}
	return to
}
