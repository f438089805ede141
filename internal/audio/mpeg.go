package audio

// mpegHeader is the header of a frame of MPEG-1 or MPEG-2 audio (ISO/IEC 11172-3, 2.4.1.3).
type mpegHeader struct {
	codec                Codec
	rate, channels       int
	size                 int // of the frame, in bytes; 0: not given
	samples              int
	version2, version2_5 bool
}

// mpegRates in kbit/s: by version and layer, then by index.
var (
	mpegRates1 = [3][15]int{
		{0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448},
		{0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384},
		{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320},
	}
	mpegRates2 = [3][15]int{
		{0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256},
		{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
		{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
	}
)

// parseMPEG reads the header of a frame.
func parseMPEG(data []byte) (h mpegHeader, ok bool) {
	if len(data) < 4 || data[0] != 0xFF || data[1]&0xE0 != 0xE0 {
		return h, false
	}
	version, layer := data[1]>>3&3, 3-int(data[1]>>1&3) // layer counts from 0
	bitrate, rate := int(data[2]>>4), int(data[2]>>2&3)
	if version == 1 || layer == 3 || bitrate == 15 || rate == 3 {
		return h, false
	}
	h.version2, h.version2_5 = version == 2, version == 0
	h.codec = MP1 + Codec(layer)
	h.rate = []int{44_100, 48_000, 32_000}[rate]
	rates := mpegRates1
	if h.version2 || h.version2_5 {
		rates, h.rate = mpegRates2, h.rate/2
	}
	if h.version2_5 {
		h.rate /= 2
	}
	const mono = 3
	if h.channels = 2; data[3]>>6 == mono {
		h.channels = 1
	}
	h.samples = []int{384, 1152, 1152}[layer]
	if layer == 2 && (h.version2 || h.version2_5) {
		h.samples = 576
	}
	padding := int(data[2] >> 1 & 1)
	kbps := rates[layer][bitrate]
	switch {
	case kbps == 0:
	case layer == 0:
		h.size = (12*kbps*1000/h.rate + padding) * 4
	default:
		h.size = h.samples/8*kbps*1000/h.rate + padding
	}
	return h, true
}

// MPEGFormat returns the format of a frame of MPEG-1 or MPEG-2 audio.
func MPEGFormat(frame []byte) (f Format, ok bool) {
	h, ok := parseMPEG(frame)
	return Format{Codec: h.codec, Rate: h.rate, Channels: h.channels}, ok
}

func mpegSamples(_ Format, frame []byte) int {
	h, _ := parseMPEG(frame)
	return h.samples
}
