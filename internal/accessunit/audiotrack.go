package accessunit

import (
	"encoding/binary"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
)

// The numbers of the tracks in a file.
const (
	VideoNumber = 1
	AudioNumber = 2
)

// AudioTrack is a camera's audio, when it has some that KVS takes.
type AudioTrack struct {
	Track   mkv.Track
	Rate    int    // RTP ticks per second
	Silence []byte // a frame of it, for fragments in which the camera sends none
}

// Format tags of WAVEFORMATEX (RFC 2361).
const (
	waveALaw  = 6
	waveMuLaw = 7
)

// silenceG711 is how much silence a fragment gets, in samples: 20 ms at 8 kHz.
const silenceG711 = 160

// G711Track describes G.711 as A_MS/ACM, whose private data is a WAVEFORMATEX.
func G711Track(muLaw bool, rate, channels int) AudioTrack {
	tag, zero := uint16(waveALaw), byte(0xD5)
	if muLaw {
		tag, zero = waveMuLaw, 0xFF
	}
	const bits = 8
	wave := binary.LittleEndian.AppendUint16(nil, tag)
	wave = binary.LittleEndian.AppendUint16(wave, uint16(channels))
	wave = binary.LittleEndian.AppendUint32(wave, uint32(rate))
	wave = binary.LittleEndian.AppendUint32(wave, uint32(rate*channels)) // bytes per second
	wave = binary.LittleEndian.AppendUint16(wave, uint16(channels))      // bytes per sample of all channels
	wave = binary.LittleEndian.AppendUint16(wave, bits)
	wave = binary.LittleEndian.AppendUint16(wave, 0) // nothing follows
	silence := make([]byte, silenceG711*channels)
	for i := range silence {
		silence[i] = zero
	}
	return AudioTrack{Rate: rate, Silence: silence, Track: mkv.Track{
		Number: AudioNumber, Kind: mkv.Audio, CodecID: mkv.CodecACM, CodecPrivate: wave, Name: "audio",
		SampleRate: float64(rate), Channels: channels, BitDepth: bits,
	}}
}

// silentAAC are raw AAC-LC frames of silence, by number of channels. Each is one channel element
// with no spectral data (ISO/IEC 14496-3, 4.4.2.1).
var silentAAC = map[int][]byte{
	1: {0x00, 0xC8, 0x00, 0x80, 0x23, 0x80},
	2: {0x21, 0x00, 0x49, 0x90, 0x02, 0x19, 0x00, 0x23, 0x80},
}

// AACTrack describes AAC, whose AudioSpecificConfig is config; ok is false for more channels than cameras have.
func AACTrack(config []byte, rate, channels int) (t AudioTrack, ok bool) {
	silence, ok := silentAAC[channels]
	return AudioTrack{Rate: rate, Silence: silence, Track: mkv.Track{
		Number: AudioNumber, Kind: mkv.Audio, CodecID: mkv.CodecAAC, CodecPrivate: config, Name: "audio",
		SampleRate: float64(rate), Channels: channels,
	}}, ok
}
