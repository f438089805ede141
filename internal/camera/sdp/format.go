package sdp

import (
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/audio"
)

// The codecs that are known here; others keep the camera's name.
const (
	H264   = "H264"
	H265   = "H265"
	MPEGTS = "MP2T"
)

// firstDynamic is the first payload type without a fixed meaning (RFC 3551, section 3).
const firstDynamic = 96

const (
	videoClock = 90_000 // the default
	maxClock   = 1 << 30
	maxAudio   = 64 // channels
)

// static are the payload types with a fixed meaning (RFC 3551, section 6).
var static = map[uint8]Format{
	0: {Codec: "PCMU", Clock: 8000}, 2: {Codec: "G726-32", Clock: 8000},
	3: {Codec: "GSM", Clock: 8000}, 4: {Codec: "G723", Clock: 8000}, 5: {Codec: "DVI4", Clock: 8000},
	6: {Codec: "DVI4", Clock: 16_000}, 7: {Codec: "LPC", Clock: 8000}, 8: {Codec: "PCMA", Clock: 8000}, 9: {Codec: "G722", Clock: 8000},
	10: {Codec: "L16", Clock: 44_100, Channels: 2}, 11: {Codec: "L16", Clock: 44_100}, 14: {Codec: "MPA", Clock: 90_000},
	12: {Codec: "QCELP", Clock: 8000}, 13: {Codec: "CN", Clock: 8000},
	15: {Codec: "G728", Clock: 8000}, 16: {Codec: "DVI4", Clock: 11_025}, 17: {Codec: "DVI4", Clock: 22_050},
	18: {Codec: "G729", Clock: 8000}, 26: {Codec: "JPEG", Clock: 90_000},
	28: {Codec: "NV", Clock: 90_000}, 31: {Codec: "H261", Clock: 90_000}, 32: {Codec: "MPV", Clock: 90_000},
	33: {Codec: MPEGTS, Clock: 90_000}, 34: {Codec: "H263", Clock: 90_000},
}

// aliases are other names of codecs.
var aliases = map[string]string{
	"HEVC": H265, "H.265": H265, "HVC1": H265, "H.264": H264, "AVC": H264, "AVC1": H264, "MPEGTS": MPEGTS,
	"G711A": "PCMA", "ALAW": "PCMA", "G711U": "PCMU", "ULAW": "PCMU", "MPEG4-AUDIO": "MPEG4-GENERIC",
	"MP3": "MPA", "MPEG": "MPA", "X-MP3-DRAFT-00": "MPA", "AC-3": "AC3", "E-AC-3": "EAC3", "G726": "G726-32", "G.726": "G726-32",
}

// spoken are the names of video codecs for people.
var spoken = map[string]string{
	"JPEG": "MJPEG", "MPV": "MPEG-1/2 Video", "MP4V-ES": "MPEG-4 Video", MPEGTS: "MPEG-TS", "VP8": "VP8", "VP9": "VP9", "AV1": "AV1",
	H264: H264, H265: H265, "H263": "H263", "H261": "H261",
}

// newFormat reads an rtpmap such as "H264/90000", or else uses the fixed meaning of the payload type.
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
		if fixed := static[f.PayloadType].Clock; fixed != 0 {
			f.Clock = fixed
		} else if kind == "audio" {
			f.Clock = audio.DefaultClock(f.Codec)
		}
	}
	f.Channels = max(f.Channels, 1)
	return f
}

// Name returns the codec's name for people.
func (f Format) Name() string {
	if name := spoken[f.Codec]; name != "" {
		return name
	}
	return f.sound().Name()
}

// parameters reads an fmtp: names in lower case, values without surrounding blanks and quotes.
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
