package sdp

import (
	"fmt"
	"strings"
)

// The codecs that have a meaning here; others are named as the camera does.
const (
	H264   = "H264"
	H265   = "H265"
	MPEGTS = "MP2T"
	AAC    = "MPEG4-GENERIC"
	PCMA   = "PCMA"
	PCMU   = "PCMU"
)

// firstDynamic is the first payload type whose meaning is agreed on (RFC 3551, section 3).
const firstDynamic = 96

const (
	videoClock = 90_000 // what is meant where a camera does not say
	maxClock   = 1 << 30
	maxAudio   = 64 // channels
)

// static are the payload types with a meaning of their own (RFC 3551, section 6).
var static = map[uint8]Format{
	0: {Codec: PCMU, Clock: 8000}, 3: {Codec: "GSM", Clock: 8000}, 4: {Codec: "G723", Clock: 8000}, 5: {Codec: "DVI4", Clock: 8000},
	6: {Codec: "DVI4", Clock: 16_000}, 7: {Codec: "LPC", Clock: 8000}, 8: {Codec: PCMA, Clock: 8000}, 9: {Codec: "G722", Clock: 8000},
	10: {Codec: "L16", Clock: 44_100, Channels: 2}, 11: {Codec: "L16", Clock: 44_100}, 14: {Codec: "MPA", Clock: 90_000},
	15: {Codec: "G728", Clock: 8000}, 18: {Codec: "G729", Clock: 8000}, 26: {Codec: "JPEG", Clock: 90_000},
	28: {Codec: "NV", Clock: 90_000}, 31: {Codec: "H261", Clock: 90_000}, 32: {Codec: "MPV", Clock: 90_000},
	33: {Codec: MPEGTS, Clock: 90_000}, 34: {Codec: "H263", Clock: 90_000},
}

// aliases are other names of codecs.
var aliases = map[string]string{
	"HEVC": H265, "H.265": H265, "HVC1": H265, "H.264": H264, "AVC": H264, "AVC1": H264, "MPEGTS": MPEGTS,
	"G711A": PCMA, "ALAW": PCMA, "G711U": PCMU, "ULAW": PCMU,
}

// spoken are names of codecs for people, where they have another one.
var spoken = map[string]string{
	"JPEG": "MJPEG", "MPV": "MPEG-1/2 Video", "MP4V-ES": "MPEG-4 Video", MPEGTS: "MPEG-TS", PCMA: "G711", PCMU: "G711",
	"OPUS": "Opus", "MULTIOPUS": "Opus", "MP4A-LATM": "MPEG-4 Audio LATM", "MPA": "MPEG-1/2 Audio", "AC3": "AC-3", "SPEEX": "Speex",
	"VORBIS": "Vorbis", "L8": "LPCM", "L16": "LPCM", "L24": "LPCM", "VP8": "VP8", "VP9": "VP9", "AV1": "AV1", "G722": "G722",
	H264: H264, H265: H265, "H263": "H263", "H261": "H261", "G729": "G729", "G723": "G723", "GSM": "GSM",
}

// newFormat reads an rtpmap such as "H264/90000", or takes what the payload type means by itself.
func newFormat(kind string, payloadType uint8, rtpmap string) Format {
	f := static[payloadType]
	f.PayloadType = payloadType
	parts := strings.Split(rtpmap, "/")
	if name := strings.ToUpper(strings.TrimSpace(parts[0])); name != "" {
		f = Format{PayloadType: payloadType, Codec: name}
	}
	if known := aliases[f.Codec]; known != "" {
		f.Codec = known
	}
	if len(parts) > 1 {
		if n, _ := leadingNumber(strings.TrimSpace(parts[1])); n > 0 && n <= maxClock {
			f.Clock = n
		}
	}
	if len(parts) > 2 && kind == "audio" {
		if n, _ := leadingNumber(strings.TrimSpace(parts[2])); n > 0 && n <= maxAudio {
			f.Channels = n
		}
	}
	return f.withDefaults(kind)
}

func (f Format) withDefaults(kind string) Format {
	if f.Clock == 0 {
		f.Clock = videoClock
		if usual := static[f.PayloadType].Clock; usual != 0 {
			f.Clock = usual
		} else if kind == "audio" {
			f.Clock = 8000
		}
	}
	f.Channels = max(f.Channels, 1)
	return f
}

// Name is the codec for people.
func (f Format) Name() string {
	if f.Codec == AAC {
		return f.nameOfAAC()
	}
	if name := spoken[f.Codec]; name != "" {
		return name
	}
	if g, _, ok := strings.Cut(strings.TrimPrefix(f.Codec, "AAL2-"), "-"); ok && g == "G726" {
		return g
	}
	if f.Codec == "" {
		return "an unknown codec"
	}
	return "an unknown codec (" + f.Codec + ")"
}

func (f Format) nameOfAAC() string {
	switch config, ok := f.AAC(); {
	case f.Parameters["config"] == "":
		return "AAC without a config"
	case !ok:
		return "AAC of an unknown kind"
	case config.Channels > maxChannels:
		return fmt.Sprintf("AAC with %d channels", config.Channels)
	default:
		return "AAC"
	}
}

// parameters reads an fmtp: names in lower case, values without blanks and quotes around them.
func parameters(fmtp string) map[string]string {
	list := make(map[string]string)
	for part := range strings.SplitSeq(fmtp, ";") {
		name, value, ok := strings.Cut(part, "=")
		name = strings.ToLower(strings.Trim(name, " \t"))
		if _, twice := list[name]; ok && !twice && name != "" && len(list) < maxFormats {
			list[name] = strings.Trim(value, " \t\"")
		}
	}
	return list
}
