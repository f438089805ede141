// Package audio has the properties of audio codecs: their names, their RTP payload formats, their mapping to Matroska,
// and which of them Kinesis Video Streams plays. It knows neither cameras nor files, nor how frames are used.
package audio

import (
	"bytes"
	"fmt"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
)

// Codec is an audio codec that can be recorded.
type Codec uint8

// The codecs. Other stands for those that are only copied from Matroska to Matroska.
const (
	Unknown Codec = iota
	AAC
	Opus
	MuLaw
	ALaw
	PCM
	G722
	G726
	MP1
	MP2
	MP3
	AC3
	EAC3
	FLAC
	ALAC
	Other
)

// Upload is how Kinesis Video Streams handles audio.
type Upload uint8

// The values of Upload.
const (
	// Never is audio that the service cannot play: it stays on the hub.
	Never Upload = iota
	// Stored is audio whose presence prevents playback of its video in the console and over HLS.
	Stored
	// Played is audio that is played with its video.
	Played
)

// codecs has a row for each codec.
var codecs = map[Codec]struct {
	name    string
	upload  Upload
	track   func(f Format, t *mkv.Track) // sets the codec's ID and settings
	samples func(f Format, frame []byte) int
	silence func(f Format) []byte // returns a frame of silence; nil where none is needed
}{
	AAC:   {"AAC", Played, aacTrack, aacSamples, aacSilence},
	Opus:  {"Opus", Never, opusTrack, opusSamples, nil},
	MuLaw: {"G.711", Stored, waveTrack, waveSamples, muLawSilence},
	ALaw:  {"G.711", Stored, waveTrack, waveSamples, aLawSilence},
	PCM:   {"LPCM", Never, pcmTrack, waveSamples, nil},
	G722:  {"G.722", Never, waveTrack, waveSamples, nil},
	G726:  {"G.726", Never, waveTrack, waveSamples, nil},
	MP1:   {"MPEG audio layer 1", Never, named("A_MPEG/L1"), mpegSamples, nil},
	MP2:   {"MP2", Never, named("A_MPEG/L2"), mpegSamples, nil},
	MP3:   {"MP3", Never, named("A_MPEG/L3"), mpegSamples, nil},
	AC3:   {"AC-3", Never, named("A_AC3"), ac3Samples, nil},
	EAC3:  {"E-AC-3", Never, named("A_EAC3"), ac3Samples, nil},
	FLAC:  {"FLAC", Never, named("A_FLAC"), noSamples, nil},
	ALAC:  {"ALAC", Never, named("A_ALAC"), noSamples, nil},
	Other: {"", Never, func(f Format, t *mkv.Track) { t.CodecID = f.ID }, noSamples, nil},
}

// Format is a format of audio with everything that a decoder needs.
type Format struct {
	Codec    Codec
	Rate     int // samples per second of a channel; for AAC those of the core
	Channels int
	Bits     int    // of a sample: PCM and G.726
	Little   bool   // PCM with the least significant byte first
	Float    bool   // PCM of floating point numbers
	Config   []byte // AudioSpecificConfig of AAC, OpusHead, CodecPrivate of FLAC, ALAC and others
	ID       string // CodecID of Other
}

// equal reports whether all fields are equal: mostly they are, from one packet to the next.
func (f Format) equal(o Format) bool {
	return f.Codec == o.Codec && f.Rate == o.Rate && f.Channels == o.Channels && f.Bits == o.Bits && f.Little == o.Little &&
		f.Float == o.Float && f.ID == o.ID && bytes.Equal(f.Config, o.Config)
}

// maxChannels bounds the channels of a format: no camera has nearly as many.
const maxChannels = 64

// Valid reports whether the format can be recorded.
func (f Format) Valid() bool {
	_, known := codecs[f.Codec]
	return known && f.Rate > 0 && f.Rate <= 1<<24 && f.Channels > 0 && f.Channels <= maxChannels
}

// Name returns the codec's name for people.
func (f Format) Name() string {
	switch f.Codec {
	case AAC:
		return aacName(f)
	case Other:
		return otherName(f.ID)
	case Unknown:
		return "of an unknown codec"
	}
	return codecs[f.Codec].name
}

// Upload returns how Kinesis Video Streams handles the audio. It plays AAC with the profiles that browsers play, and G.711 in
// some of its APIs (KVS developer guide, "HLS playback", "GetClip").
func (f Format) Upload() Upload {
	if f.Codec == AAC && !aacPlayed(f) {
		return Never
	}
	return codecs[f.Codec].upload
}

// Silence returns a frame of silence, nil where none is needed: Kinesis Video Streams requires audio in each fragment, and audio that is
// never uploaded needs none.
func (f Format) Silence() []byte {
	if silence := codecs[f.Codec].silence; silence != nil && f.Upload() > Never {
		return silence(f)
	}
	return nil
}

// Samples returns the number of samples per channel in a frame; 0: unknown.
func (f Format) Samples(frame []byte) int {
	if row, ok := codecs[f.Codec]; ok {
		return row.samples(f, frame)
	}
	return 0
}

func noSamples(Format, []byte) int { return 0 }

// anyRate is the recorded rate of compressed audio, in bytes per second: 2 Mbit/s. Source: AAC has at most 6144 bits
// in 1024 samples of a channel (ISO/IEC 14496-3, 4.5.3), which is 1.15 Mbit/s of stereo at 96 kHz; AC-3 has 640 kbit/s.
const anyRate = 250_000

// MaxRate is the highest rate of the audio, in bytes per second.
func (f Format) MaxRate() int64 {
	switch f.Codec {
	case PCM, MuLaw, ALaw: // a quarter more, as clocks may run fast
		return max(anyRate, int64(f.Rate)*int64(f.blockBytes())*5/4)
	case AAC, FLAC, ALAC, Other:
		return anyRate * int64(max(1, (f.Channels+1)/2))
	}
	return anyRate
}

// withChannels adds the number of channels where it is unusual.
func withChannels(name string, channels int) string {
	if channels > 2 {
		return fmt.Sprintf("%s with %d channels", name, channels)
	}
	return name
}
