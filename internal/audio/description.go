package audio

import (
	"cmp"
	"encoding/hex"
	"strings"
)

// Description is the description of a track in a session description (RFC 8866).
type Description struct {
	Encoding   string // of rtpmap, in upper case
	Clock      int    // ticks of the RTP timestamp per second; 0: not given
	Channels   int    // 1 when not given
	Parameters map[string]string
}

// Stream is audio that is sent over RTP.
type Stream struct {
	Format Format // its Codec is Unknown where only the packets show it
	Clock  int    // ticks of the RTP timestamp per second
	// Pending is its future name, for people, while the format is unknown.
	Pending string
	decoder func(s Stream) decoder
}

// encodings has the encodings that can be recorded, by their names in rtpmap.
var encodings = map[string]func(d Description) (Stream, bool){
	"MPEG4-GENERIC": mpeg4Stream,
	"MP4A-LATM":     latmStream,
	"OPUS":          opusStream,
	"MULTIOPUS":     multiOpusStream,
	"PCMU":          sampledStream(Format{Codec: MuLaw}),
	"PCMA":          sampledStream(Format{Codec: ALaw}),
	"L8":            sampledStream(Format{Codec: PCM, Bits: 8}),
	"L16":           sampledStream(Format{Codec: PCM, Bits: 16}),
	"L24":           sampledStream(Format{Codec: PCM, Bits: 24}),
	"G722":          g722Stream,
	"G721":          g726Stream(4, false), // the former name of G726-32
	"G726-16":       g726Stream(2, false),
	"G726-24":       g726Stream(3, false),
	"G726-32":       g726Stream(4, false),
	"G726-40":       g726Stream(5, false),
	"AAL2-G726-16":  g726Stream(2, true),
	"AAL2-G726-24":  g726Stream(3, true),
	"AAL2-G726-32":  g726Stream(4, true),
	"AAL2-G726-40":  g726Stream(5, true),
	"MPA":           learnedStream("MP2 or MP3", newMPEGDecoder),
	"AC3":           learnedStream("AC-3", newAC3Decoder),
	"EAC3":          learnedStream("E-AC-3", newEAC3Decoder),
}

// otherEncodings names those that cannot be recorded, for people.
var otherEncodings = map[string]string{
	"SPEEX": "Speex", "VORBIS": "Vorbis", "G729": "G.729", "G723": "G.723.1", "G728": "G.728", "GSM": "GSM", "GSM-EFR": "GSM-EFR",
	"AMR": "AMR", "AMR-WB": "AMR-WB", "ILBC": "iLBC", "DVI4": "DVI4", "LPC": "LPC", "QCELP": "QCELP", "MPA-ROBUST": "MP3 in parts",
	"L20": "LPCM of 20 bits", "DAT12": "LPCM of 12 bits", "EVS": "EVS", "BV16": "BroadVoice", "BV32": "BroadVoice", "SILK": "SILK",
	"G7221": "G.722.1", "ATRAC3": "ATRAC", "X-QT": "a stream of QuickTime", "VDVI": "VDVI", "DTS": "DTS", "UEMCLIP": "UEMCLIP",
}

// Signals reports whether an encoding is not audio, but an addition to it.
func Signals(encoding string) bool {
	switch encoding {
	case "TELEPHONE-EVENT", "CN", "TONE", "RED", "PARITYFEC", "ULPFEC", "FLEXFEC", "RTX":
		return true
	}
	return false
}

// DefaultClock returns the clock rate of an encoding for which none is given; 0: its sample rate.
func DefaultClock(encoding string) int {
	switch encoding {
	case "OPUS", "MULTIOPUS":
		return opusRate
	case "MPA", "MP4A-LATM":
		return elementaryClock
	case "MPEG4-GENERIC":
		return 0
	case "AC3", "EAC3":
		return ac3Rates[0]
	}
	return 8000
}

// Stream returns the stream to record; ok is false when it cannot be recorded.
func (d Description) Stream() (s Stream, ok bool) {
	describe := encodings[d.Encoding]
	if describe == nil {
		return Stream{}, false
	}
	s, ok = describe(d)
	s.Clock = cmp.Or(s.Clock, d.Clock, s.Format.Rate)
	return s, ok && s.Clock > 0 && (s.Format.Codec == Unknown || s.Format.Valid())
}

// Name returns the codec's name for people.
func (d Description) Name() string {
	s, ok := d.Stream()
	switch {
	case ok && s.Format.Codec != Unknown:
		return s.Format.Name()
	case ok:
		return s.Pending
	case otherEncodings[d.Encoding] != "":
		return otherEncodings[d.Encoding]
	case (d.Encoding == "MPEG4-GENERIC" || d.Encoding == "MP4A-LATM") && d.config() == nil:
		return "AAC without a config"
	case d.Encoding == "MPEG4-GENERIC" || d.Encoding == "MP4A-LATM":
		return "AAC of an unknown kind"
	case encodings[d.Encoding] != nil:
		return d.Encoding + " with settings that are not possible"
	case d.Encoding == "":
		return "an unknown codec"
	}
	return "an unknown codec (" + d.Encoding + ")"
}

// Upload returns how Kinesis Video Streams handles the audio; formats learned from packets are not played,
// except AAC.
func (s Stream) Upload() Upload {
	if s.Format.Codec == Unknown && s.Pending == "AAC" {
		return Played
	}
	return s.Format.Upload()
}

// number reads a parameter, 0 if there is none; most bounds it.
func (d Description) number(name string, most int) (n int) {
	for _, r := range d.Parameters[name] {
		if r < '0' || r > '9' {
			break
		}
		if n = 10*n + int(r-'0'); n > most {
			return most
		}
	}
	return n
}

// config reads the parameter with the decoder's configuration, in hexadecimal digits; nil: there is none.
func (d Description) config() []byte {
	text := strings.Map(func(r rune) rune {
		if r == ' ' || r == '\t' {
			return -1
		}
		return r
	}, strings.ToLower(d.Parameters["config"]))
	text = strings.TrimPrefix(text, "0x")
	raw, err := hex.DecodeString(text[:len(text)&^1])
	if err != nil || len(raw) == 0 {
		return nil
	}
	return raw
}

// sampledStream is a stream whose packets consist of samples.
func sampledStream(f Format) func(Description) (Stream, bool) {
	return func(d Description) (Stream, bool) {
		f := f
		f.Rate, f.Channels = d.Clock, d.Channels
		return Stream{Format: f, decoder: newPlainDecoder}, true
	}
}

// g722Stream has twice as many samples as its clock says (RFC 3551, section 4.5.2), unless the camera states the real rate.
func g722Stream(d Description) (Stream, bool) {
	const rate = 16_000
	return Stream{Format: Format{Codec: G722, Rate: rate, Channels: d.Channels}, decoder: newPlainDecoder}, true
}

// g726Stream is G.726 with a number of bits per sample; most streams over RTP start with the least significant ones.
func g726Stream(bits int, leftJustified bool) func(Description) (Stream, bool) {
	return func(d Description) (Stream, bool) {
		s := Stream{Format: Format{Codec: G726, Rate: d.Clock, Channels: 1, Bits: bits}, decoder: newPlainDecoder}
		if !leftJustified {
			s.decoder = newG726Decoder
		}
		return s, d.Channels == 1
	}
}

// opusStream has two channels, unless the camera announces one (RFC 7587, section 6.1): a packet may have either.
func opusStream(d Description) (Stream, bool) {
	channels := 2
	if stereo, said := d.Parameters["sprop-stereo"]; said && stereo == "0" {
		channels = 1
	}
	return Stream{Clock: opusRate, Format: opusFormat(channels, nil), decoder: newPlainDecoder}, true
}

// multiOpusStream has several streams of Opus in a packet, which is how browsers send surround.
func multiOpusStream(d Description) (Stream, bool) {
	streams, coupled := d.number("num_streams", 255), d.number("coupled_streams", 255)
	mapping := []byte{1, byte(streams), byte(coupled)}
	for text := range strings.SplitSeq(d.Parameters["channel_mapping"], ",") {
		if n := (Description{Parameters: map[string]string{"n": strings.TrimSpace(text)}}).number("n", 255); len(mapping) < 3+maxChannels {
			mapping = append(mapping, byte(n))
		}
	}
	ok := d.Parameters["channel_mapping"] != "" && len(mapping) == 3+d.Channels && streams > 0 && streams+coupled == d.Channels
	return Stream{Clock: opusRate, Format: opusFormat(d.Channels, mapping), decoder: newPlainDecoder}, ok
}

// learnedStream is a stream whose frames show the format.
func learnedStream(name string, decoder func(Stream) decoder) func(Description) (Stream, bool) {
	return func(Description) (Stream, bool) { return Stream{Pending: name, decoder: decoder}, true }
}
