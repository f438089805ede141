package mediafile

import (
	"bytes"
	"encoding/binary"
)

type matroskaTrack struct {
	number     uint64 // 0: there is none
	kind       uint64
	codec      string
	private    []byte
	rate       float64
	channels   int
	prefix     []byte // was stripped from every frame
	unreadable string // how the frames are packed, when they cannot be read
	lengthSize int
}

// tracks is what of a file is read.
type tracks struct {
	video matroskaTrack
	audio matroskaTrack // its number is 0 when there is none that can be read
}

// choose reads the content of Tracks: the first track of video is taken, and the first of audio that can be read.
func (c *tracks) choose(data []byte, f *File) error {
	err := children(data, func(id uint32, data []byte) error {
		if id != idTrackEntry {
			return nil
		}
		t, err := readTrack(data)
		if err != nil {
			return err
		}
		switch {
		case t.kind == trackVideo && c.video.number == 0:
			c.video = t
		case t.kind == trackAudio && c.audio.number == 0:
			if f.Audio = t.describe(); f.Audio != nil {
				c.audio = t
			}
		}
		return nil
	})
	if err != nil {
		return err
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

func readTrack(data []byte) (t matroskaTrack, err error) {
	t.channels, t.rate = 1, 8000 // the format's defaults
	return t, children(data, func(id uint32, data []byte) error {
		switch id {
		case idTrackNumber:
			t.number = number(data)
		case idTrackType:
			t.kind = number(data)
		case idCodecID:
			t.codec = string(bytes.TrimRight(data, "\x00"))
		case idCodecPrivate:
			t.private = data
		case idAudio:
			return children(data, func(id uint32, data []byte) error {
				switch id {
				case idSamplingFrequency:
					t.rate = float(data)
				case idChannels:
					t.channels = int(min(number(data), 64))
				}
				return nil
			})
		case idContentEncodings:
			return children(data, func(id uint32, data []byte) error {
				if id != idContentEncoding {
					return nil
				}
				return t.encoding(data)
			})
		}
		return nil
	})
}

// encoding reads how frames are packed: a prefix that all have in common may be left out.
func (t *matroskaTrack) encoding(data []byte) error {
	const headerStripping = 3
	return children(data, func(id uint32, data []byte) error {
		switch id {
		case idEncryption:
			t.unreadable = "encrypted"
		case idCompression:
			algorithm := uint64(0) // zlib
			err := children(data, func(id uint32, data []byte) error {
				switch id {
				case idCompAlgo:
					algorithm = number(data)
				case idCompSettings:
					t.prefix = data
				}
				return nil
			})
			if algorithm != headerStripping {
				t.unreadable = "compressed once more by Matroska"
			}
			return err
		}
		return nil
	})
}

// describe is nil for audio that cannot be read.
func (t matroskaTrack) describe() *Audio {
	rate := int(t.rate)
	if t.number == 0 || t.unreadable != "" || rate <= 0 || t.channels <= 0 {
		return nil
	}
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
