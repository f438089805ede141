package audio

import (
	"bytes"
	"slices"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
)

// Object types of MPEG-4 audio (ISO/IEC 14496-3, 1.5.1.1).
const (
	typeMain = 1
	typeLC   = 2
	typeSSR  = 3
	typeLTP  = 4
	typeSBR  = 5
	typeERLC = 17
	typeLTP2 = 19 // error resilient
	typeLD   = 23
	typePS   = 29
	typeELD  = 39
	typeUSAC = 42

	typeBSAC   = 22
	typeEscape = 31
)

// aacNames are the names of the types that decoders know, without SBR and PS.
var aacNames = map[int]string{
	typeMain: "AAC Main", typeLC: "AAC", typeSSR: "AAC SSR", typeLTP: "AAC LTP", typeERLC: "AAC (error resilient)",
	typeLTP2: "AAC LTP (error resilient)", typeLD: "AAC-LD", typeELD: "AAC-ELD", typeUSAC: "xHE-AAC",
}

// aacRates are the sampling rates by their index (ISO/IEC 14496-3, table 1.18).
var aacRates = [...]int{96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8000, 7350}

// aacChannels are the numbers of channels of a channel configuration (ISO/IEC 14496-3, table 1.19).
var aacChannels = [...]int{0, 1, 2, 3, 4, 5, 6, 8, 0, 0, 0, 7, 8, 0, 8, 0}

// AACConfig is the part of an AudioSpecificConfig that is read (ISO/IEC 14496-3, 1.6.2.1).
type AACConfig struct {
	Type       int // object type of the core
	Rate       int // samples per second of the core
	OutputRate int // with SBR, if it is given; else 0
	Channels   int // of the core
	PS         bool
	Frame      int // samples of the core in a frame

	bits int // its length
}

// ParseAAC reads an AudioSpecificConfig; ok is false for one that no AAC decoder supports.
func ParseAAC(raw []byte) (c AACConfig, ok bool) {
	b := bitReader{data: raw}
	return parseAAC(&b, true)
}

// parseAAC reads an AudioSpecificConfig that may be followed by other data. extended: an extension may follow it.
func parseAAC(b *bitReader, extended bool) (c AACConfig, ok bool) {
	from := b.at
	c.Type, c.Rate = aacType(b), aacRate(b)
	configuration := b.read(4)
	if c.Type == typeSBR || c.Type == typePS {
		c.PS = c.Type == typePS
		c.OutputRate = aacRate(b)
		if c.Type = aacType(b); c.Type == typeBSAC {
			b.skip(4)
		}
	}
	if aacNames[c.Type] == "" || c.Rate <= 0 {
		return c, false
	}
	c.Channels = aacChannels[configuration]
	switch c.Type {
	case typeUSAC:
		c.usac(b)
	case typeELD:
		c.Frame = 512
		if b.flag() {
			c.Frame = 480
		}
	default:
		c.general(b, configuration)
	}
	if extended && c.OutputRate == 0 && c.Type < typeERLC {
		c.extension(b)
	}
	c.bits = b.at - from
	return c, !b.short && c.Channels > 0 && c.Frame > 0
}

func aacType(b *bitReader) int {
	t := b.read(5)
	if t == typeEscape {
		t = 32 + b.read(6)
	}
	return t
}

func aacRate(b *bitReader) int {
	const explicit = 15
	switch index := b.read(4); {
	case index == explicit:
		return b.read(24)
	case index < len(aacRates):
		return aacRates[index]
	}
	return 0
}

// general reads a GASpecificConfig (ISO/IEC 14496-3, 4.4.1).
func (c *AACConfig) general(b *bitReader, configuration int) {
	short := b.flag()
	switch {
	case c.Type == typeLD && short:
		c.Frame = 480
	case c.Type == typeLD:
		c.Frame = 512
	case short:
		c.Frame = 960
	default:
		c.Frame = 1024
	}
	if b.flag() { // depends on another coder
		b.skip(14)
	}
	extended := b.flag()
	if configuration == 0 {
		c.Channels = programChannels(b)
	}
	if extended && c.Type >= typeERLC {
		b.skip(3) // error resilience
		b.skip(1)
	}
	if c.Type >= typeERLC {
		b.skip(2) // epConfig
	}
}

// programChannels reads a program_config_element (ISO/IEC 14496-3, 4.4.1.1).
func programChannels(b *bitReader) (channels int) {
	from := b.at
	b.skip(4 + 2 + 4)
	pairs := b.read(4) + b.read(4) + b.read(4) // front, side, back: single channels or pairs
	lfe, data, coupling := b.read(2), b.read(3), b.read(4)
	for _, bits := range []int{4, 4, 3} { // mixdowns
		if b.flag() {
			b.skip(bits)
		}
	}
	for range pairs {
		channels++
		if b.flag() {
			channels++
		}
		b.skip(4)
	}
	b.skip(4*(lfe+data) + 5*coupling)
	b.at = from + (b.at-from+7)&^7
	b.at = min(b.at, 8*len(b.data))
	b.skip(8 * b.read(8)) // a comment
	return channels + lfe
}

// usac reads the start of a UsacConfig (ISO/IEC 23003-3, 5.2).
func (c *AACConfig) usac(b *bitReader) {
	if b.read(5) == 0x1F {
		b.skip(24)
	}
	c.Frame = []int{768, 1024, 2048, 2048, 4096, 0, 0, 0}[b.read(3)]
	const said = 0
	if configuration := b.read(5); configuration != said && configuration < len(aacChannels) {
		c.Channels = aacChannels[configuration]
	}
}

// extension reads the backward-compatible announcement of SBR.
func (c *AACConfig) extension(b *bitReader) {
	const syncSBR, syncPS = 0x2B7, 0x548
	at := b.at
	if b.left() < 17 || b.read(11) != syncSBR || aacType(b) != typeSBR {
		b.at = at
		return
	}
	if !b.flag() {
		return
	}
	c.OutputRate = aacRate(b)
	if at = b.at; b.left() < 12 || b.read(11) != syncPS {
		b.at = at
		return
	}
	c.PS = b.flag()
}

// AACFormat returns the format of an AudioSpecificConfig; ok is false for one that no AAC decoder supports.
func AACFormat(raw []byte) (f Format, ok bool) {
	c, ok := ParseAAC(raw)
	return Format{Codec: AAC, Rate: c.Rate, Channels: c.Channels, Config: bytes.Clone(raw)}, ok
}

// guessAAC returns AAC-LC of a rate; ok is false when AAC does not have that rate.
func guessAAC(rate, channels int) (f Format, ok bool) {
	index := slices.Index(aacRates[:], rate)
	configuration := slices.Index(aacChannels[:], channels)
	if index < 0 || configuration < 1 {
		return Format{}, false
	}
	return AACFormat(lowComplexity(typeLC, index, configuration))
}

// lowComplexity returns an AudioSpecificConfig of two bytes.
func lowComplexity(objectType, rateIndex, configuration int) []byte {
	return []byte{byte(objectType<<3 | rateIndex>>1), byte(rateIndex<<7 | configuration<<3)}
}

func aacName(f Format) string {
	c, ok := ParseAAC(f.Config)
	name := "AAC"
	switch {
	case !ok:
	case c.PS:
		name = "HE-AAC v2"
	case c.OutputRate > 0 && c.Type == typeLC:
		name = "HE-AAC"
	default:
		name = aacNames[c.Type]
	}
	return withChannels(name, f.Channels)
}

// aacPlayed reports whether browsers play it: AAC-LC, also with SBR and PS, in mono or stereo. A config that cannot be read is
// from a version that recorded nothing else.
func aacPlayed(f Format) bool {
	c, ok := ParseAAC(f.Config)
	return !ok || c.Type == typeLC && c.Channels <= 2
}

func aacTrack(f Format, t *mkv.Track) {
	t.CodecID = mkv.CodecAAC
	if c, ok := ParseAAC(f.Config); ok {
		t.OutputRate = float64(c.OutputRate)
	}
}

func aacSamples(f Format, _ []byte) int {
	if c, ok := ParseAAC(f.Config); ok {
		return c.Frame
	}
	return 1024
}

// silentAAC are raw AAC-LC frames of silence, by number of channels. Each is one channel element
// with no spectral data (ISO/IEC 14496-3, 4.4.2.1).
var silentAAC = map[int][]byte{
	1: {0x00, 0xC8, 0x00, 0x80, 0x23, 0x80},
	2: {0x21, 0x00, 0x49, 0x90, 0x02, 0x19, 0x00, 0x23, 0x80},
}

func aacSilence(f Format) []byte { return silentAAC[f.Channels] }

// adts reads the header of an ADTS frame (ISO/IEC 13818-7, 6.2). size is the frame's size with its header; 0: not a frame.
func adts(data []byte) (config []byte, header, size int) {
	if len(data) < 7 || data[0] != 0xFF || data[1]&0xF6 != 0xF0 {
		return nil, 0, 0
	}
	header = 9
	if data[1]&1 == 1 { // without a checksum
		header = 7
	}
	size = int(data[3]&3)<<11 | int(data[4])<<3 | int(data[5])>>5
	rate := int(data[2] >> 2 & 15)
	if size < header || rate >= len(aacRates) {
		return nil, 0, 0
	}
	return lowComplexity(int(data[2]>>6)+1, rate, int(data[2]&1)<<2|int(data[3])>>6), header, size
}

// isADTS reports whether data consists of ADTS frames.
func isADTS(data []byte) bool {
	for n := 0; ; n++ {
		_, _, size := adts(data)
		if size == 0 || size > len(data) {
			return false
		}
		if data = data[size:]; len(data) == 0 {
			return true
		}
	}
}
