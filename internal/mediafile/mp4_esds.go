package mediafile

import "github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

// aacOf finds the AudioSpecificConfig in an esds box (ISO/IEC 14496-1, 7.2.6); nil when it is not AAC.
func aacOf(data []byte) *Audio {
	const (
		tagES, tagConfig, tagSpecific = 3, 4, 5
		objectAAC                     = 0x40
	)
	c := cursor{data: data}
	c.skip(4)
	tag := func() int {
		kind := c.u8()
		for range 4 { // the length, of which there is no need
			if c.u8()&0x80 == 0 {
				break
			}
		}
		return kind
	}
	if tag() != tagES {
		return nil
	}
	c.skip(2)
	flags := c.u8()
	if flags&0x80 != 0 {
		c.skip(2)
	}
	if flags&0x40 != 0 {
		c.skip(c.u8())
	}
	if flags&0x20 != 0 {
		c.skip(2)
	}
	if tag() != tagConfig || c.u8() != objectAAC {
		return nil
	}
	c.skip(12)
	if c.u8() != tagSpecific {
		return nil
	}
	length := 0
	for range 4 {
		b := c.u8()
		length = length<<7 | b&0x7F
		if b&0x80 == 0 {
			break
		}
	}
	raw := c.take(min(length, len(c.data)))
	var config mpeg4audio.AudioSpecificConfig
	if c.short || config.Unmarshal(raw) != nil || config.SampleRate <= 0 {
		return nil
	}
	return &Audio{Codec: AAC, Config: raw, Rate: config.SampleRate, Channels: config.ChannelCount}
}
