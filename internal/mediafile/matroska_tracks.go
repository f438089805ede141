package mediafile

import (
	"encoding/binary"
	"math"
)

// The kinds of tracks (RFC 9559, TrackType), and a codec's ID.
const (
	trackVideo = 1
	trackAudio = 2
	codecAAC   = "A_AAC"
)

// headerStripping is a ContentCompAlgo: a prefix that all frames have in common is left out of them.
const headerStripping = 3

// What is read of a file's description. Nothing in it is 0 but where the file does not say.
type (
	tracksElement struct {
		Tracks struct{ TrackEntry []trackEntry }
	}
	trackEntry struct {
		TrackNumber      uint64
		TrackType        uint64
		CodecID          string
		CodecPrivate     []byte
		Audio            audioSettings
		ContentEncodings struct{ ContentEncoding []contentEncoding }
	}
	audioSettings struct {
		SamplingFrequency float64
		Channels          uint64
	}
	contentEncoding struct {
		ContentCompression *compression
		ContentEncryption  *struct{}
	}
	compression struct {
		ContentCompAlgo     uint64
		ContentCompSettings []byte
	}
)

// matroskaTrack is a track that is read; its number is 0 when there is none.
type matroskaTrack struct {
	number     uint64
	codec      string
	private    []byte
	rate       float64
	channels   int
	prefix     []byte // was stripped from every frame
	unreadable string // how the frames are packed, when they cannot be read
	lengthSize int
}

// tracks is what of a file is read.
type tracks struct{ video, audio matroskaTrack }

// choose takes the first track of video, and the first of audio that can be read.
func (c *tracks) choose(list []trackEntry, f *File) (err error) {
	for _, entry := range list {
		t := entry.track()
		switch {
		case entry.TrackType == trackVideo && c.video.number == 0:
			c.video = t
		case entry.TrackType == trackAudio && c.audio.number == 0:
			if f.Audio = t.describe(); f.Audio != nil {
				c.audio = t
			}
		}
	}
	v := &c.video
	switch {
	case v.number == 0:
		return ErrNoVideo
	case v.unreadable != "":
		return &CodecError{v.unreadable}
	case v.codec == "V_MPEG4/ISO/AVC":
		f.Video.Codec = H264
		f.Video.Sets, v.lengthSize, err = h264Config(v.private)
	case v.codec == "V_MPEGH/ISO/HEVC":
		f.Video.Codec = H265
		f.Video.Sets, v.lengthSize, err = h265Config(v.private)
	default:
		return &CodecError{plain(v.codec)}
	}
	return err
}

func (e trackEntry) track() matroskaTrack {
	t := matroskaTrack{number: e.TrackNumber, codec: e.CodecID, private: e.CodecPrivate, rate: 8000, channels: 1} // the format's defaults
	if rate := e.Audio.SamplingFrequency; rate != 0 {
		t.rate = rate
	}
	if channels := e.Audio.Channels; channels != 0 {
		t.channels = int(min(channels, 64))
	}
	for _, encoding := range e.ContentEncodings.ContentEncoding {
		if c := encoding.ContentCompression; c != nil {
			t.prefix = c.ContentCompSettings
			if c.ContentCompAlgo != headerStripping {
				t.unreadable = "compressed once more by Matroska"
			}
		}
		if encoding.ContentEncryption != nil {
			t.unreadable = "encrypted"
		}
	}
	return t
}

// describe returns nil for audio that cannot be read.
func (t matroskaTrack) describe() *Audio {
	if t.number == 0 || t.unreadable != "" || !(t.rate >= 1 && t.rate <= math.MaxInt32) {
		return nil
	}
	rate := int(t.rate)
	switch t.codec {
	case codecAAC:
		if len(t.private) >= 2 {
			return &Audio{Codec: AAC, Config: t.private, Rate: rate, Channels: t.channels}
		}
	case "A_MS/ACM":
		if len(t.private) >= 2 {
			switch binary.LittleEndian.Uint16(t.private) { // RFC 2361
			case 6:
				return &Audio{Codec: ALaw, Rate: rate, Channels: t.channels}
			case 7:
				return &Audio{Codec: MuLaw, Rate: rate, Channels: t.channels}
			}
		}
	}
	return nil
}

// samples counts those of a frame of audio, in each channel.
func (t matroskaTrack) samples(frame []byte) int {
	if t.codec == codecAAC {
		return aacFrame
	}
	return len(frame) / t.channels // G.711 has a byte for each
}
