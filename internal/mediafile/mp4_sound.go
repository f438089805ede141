package mediafile

import (
	"bytes"
	"math"

	"github.com/kvs-edge/kvs-edge-agent/internal/audio"
)

// soundEntry is an AudioSampleEntry of MP4 and of the versions of QuickTime (QuickTime File Format, "Sound
// Sample Descriptions").
type soundEntry struct {
	kind     string
	channels int
	bits     int
	rate     int
	flags    uint32 // of lpcm
	boxes    []byte // after it
	little   bool   // according to a box
}

// Flags of lpcm.
const (
	lpcmFloat = 1 << 0
	lpcmBig   = 1 << 1
	lpcmSign  = 1 << 2
)

func parseSoundEntry(kind string, data []byte) (e soundEntry, ok bool) {
	c := cursor{data: data}
	c.skip(8)
	version := c.u16()
	c.skip(6)
	e = soundEntry{kind: kind, channels: c.u16(), bits: c.u16()}
	c.skip(4)
	e.rate = int(c.u32() >> 16)
	switch version {
	case 1:
		c.skip(16)
	case 2:
		c.skip(4)
		if rate := math.Float64frombits(c.u64()); rate > 0 && rate < 1<<24 {
			e.rate = int(rate)
		}
		e.channels = int(min(c.u32(), 64))
		c.skip(4)
		e.bits, e.flags = int(min(c.u32(), 64)), c.u32()
		c.skip(8)
	}
	e.boxes = c.data
	return e, !c.short
}

// sound reads the description of a track's audio, as far as it can be recorded. Its faults do not affect
// the video.
func (t *mp4Track) sound() {
	e, ok := parseSoundEntry(t.entry, t.described)
	if !ok {
		return
	}
	t.soundBoxes(&e, e.boxes)
	if t.audio == nil {
		if f := e.format(); f.Valid() {
			t.audio = &f
		}
	}
	if t.audio != nil && (t.audio.Codec == audio.PCM || t.audio.Codec == audio.ALaw || t.audio.Codec == audio.MuLaw) {
		t.block = max(t.audio.Channels*e.bytes(), 1)
		if t.samples.size > 0 { // some have numbers of channels or bytes
			t.samples.size = uint32(t.block)
		}
	}
}

// bytes is the size of a sample of a channel.
func (e *soundEntry) bytes() int {
	if e.kind == "ulaw" || e.kind == "alaw" {
		return 1
	}
	return e.bits / 8
}

// soundBoxes reads the boxes of an entry.
func (t *mp4Track) soundBoxes(e *soundEntry, data []byte) {
	_ = boxes(data, func(kind string, data []byte) error { // errors after the last box do not matter
		switch kind {
		case "wave": // in QuickTime files it contains the others
			t.soundBoxes(e, data)
		case "esds":
			t.audio = t.describedByESDS(data, *e)
		case "enda":
			e.little = len(data) >= 2 && data[1] == 1
		case "pcmC": // ISO/IEC 23003-5
			if len(data) >= 6 {
				e.little, e.bits = data[4]&1 == 1, int(data[5])
			}
		case "dOps":
			if f, _, ok := audio.OpusFormat(data); ok { // the edit list has the skipped part
				t.audio = &f
			}
		case "dac3", "dec3":
			t.audio = e.dolby(kind, data)
		case "dfLa":
			if e.kind == "fLaC" && len(data) > 4 {
				t.audio = e.other(audio.FLAC, append([]byte("fLaC"), data[4:]...))
			}
		case "alac":
			if e.kind == "alac" && len(data) >= 28 {
				t.audio = e.other(audio.ALAC, bytes.Clone(data[4:]))
			}
		}
		return nil
	})
}

func (e *soundEntry) other(codec audio.Codec, config []byte) *Audio {
	return &Audio{Codec: codec, Rate: e.rate, Channels: e.channels, Config: config}
}

// dolby reads an AC3SpecificBox or EC3SpecificBox (ETSI TS 102 366, annex F), whose channels are more reliable.
func (e *soundEntry) dolby(kind string, data []byte) *Audio {
	channels := [...]int{2, 1, 2, 3, 3, 4, 4, 5}
	switch {
	case kind == "dac3" && len(data) >= 3:
		mode, low := data[1]>>3&7, data[1]>>2&1
		return &Audio{Codec: audio.AC3, Rate: e.rate, Channels: channels[mode] + int(low)}
	case kind == "dec3" && len(data) >= 4:
		mode, low := data[3]>>1&7, data[3]&1
		return &Audio{Codec: audio.EAC3, Rate: e.rate, Channels: channels[mode] + int(low)}
	}
	return nil
}

// format returns the format of an entry that its name fully describes.
func (e *soundEntry) format() (f Audio) {
	f = Audio{Codec: audio.PCM, Rate: e.rate, Channels: e.channels, Bits: e.bits, Little: e.little}
	switch e.kind {
	case "ulaw":
		f.Codec, f.Bits = audio.MuLaw, 8
	case "alaw":
		f.Codec, f.Bits = audio.ALaw, 8
	case ".mp3":
		f.Codec = audio.MP3
	case "sowt":
		f.Little = true
	case "raw ":
		f.Little = true
		e.flags |= lpcmSign // 8-bit samples are unsigned, as in Matroska
	case "in24":
		f.Bits = 24
	case "in32":
		f.Bits = 32
	case "fl32", "fl64", "fpcm":
		f.Float = true
		f.Bits = map[string]int{"fl32": 32, "fl64": 64, "fpcm": e.bits}[e.kind]
	case "lpcm":
		f.Float, f.Little = e.flags&lpcmFloat != 0, e.flags&lpcmBig == 0
	case "twos", "ipcm":
	default:
		return Audio{}
	}
	e.bits = f.Bits
	signed8 := f.Codec == audio.PCM && f.Bits == 8 && e.kind != "raw "
	if f.Codec != audio.MP3 && (f.Bits%8 != 0 || f.Bits == 0) || f.Float && !f.Little || signed8 {
		return Audio{} // Matroska has no codec ID for it
	}
	return f
}

// Object types of an esds box (the registration authority of MP4, "Object types").
const (
	objectAAC      = 0x40
	objectAAC2Main = 0x66 // MPEG-2 AAC, with the same configuration
	objectAAC2SSR  = 0x68
	objectMPEG2    = 0x69 // MPEG-2 audio, of any layer
	objectMPEG1    = 0x6B
	objectAC3      = 0xA5
	objectEAC3     = 0xA6
	objectOpus     = 0xAD
)

// describedByESDS reads an esds box (ISO/IEC 14496-1, 7.2.6); nil when the audio cannot be recorded.
func (t *mp4Track) describedByESDS(data []byte, e soundEntry) *Audio {
	object, specific := esds(data)
	switch object {
	case objectAAC, objectAAC2Main, objectAAC2Main + 1, objectAAC2SSR:
		if f, ok := audio.AACFormat(specific); ok {
			return &f
		}
	case objectMPEG1, objectMPEG2:
		return e.other(audio.MP3, nil)
	case objectAC3:
		return e.other(audio.AC3, nil)
	case objectEAC3:
		return e.other(audio.EAC3, nil)
	case objectOpus:
		if f, _, ok := audio.OpusFormat(specific); ok {
			return &f
		}
	}
	return nil
}

// esds reads the object type and the configuration of the codec; the type is 0 when there is none.
func esds(data []byte) (object int, specific []byte) {
	const tagES, tagConfig, tagSpecific = 3, 4, 5
	c := cursor{data: data}
	c.skip(4)
	length := 0
	tag := func() int {
		kind := c.u8()
		length = 0
		for range 4 {
			b := c.u8()
			length = length<<7 | b&0x7F
			if b&0x80 == 0 {
				break
			}
		}
		return kind
	}
	if tag() != tagES {
		return 0, nil
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
	if tag() != tagConfig {
		return 0, nil
	}
	object = c.u8()
	c.skip(12)
	if c.short {
		return 0, nil
	}
	if len(c.data) > 0 && tag() == tagSpecific {
		specific = c.take(min(length, len(c.data)))
	}
	return object, specific
}

// learn reads the first frame of audio that only its frames fully describe.
func (m *mp4) learn(t *mp4Track) {
	samples := t.samples // a copy, which continues from the same position
	if !samples.more() || t.audio.Codec != audio.MP3 && t.audio.Codec != audio.AC3 && t.audio.Codec != audio.EAC3 {
		return
	}
	s, err := samples.next()
	if err != nil || s.size > maxFrame {
		return
	}
	frame, err := m.load(t, s)
	if err != nil {
		return
	}
	f, ok := audio.MPEGFormat(frame.Data)
	if t.audio.Codec != audio.MP3 {
		f, ok = audio.AC3Format(frame.Data)
	}
	if ok && f.Valid() {
		t.audio = &f
	}
}

// blockRun is how many samples of PCM form a frame; in the file each one is a frame.
func (t *mp4Track) blockRun() int64 { return max(t.scale/50, 1) }

// joined adds the samples that follow one of PCM, up to a frame of some 20 ms.
func (t *mp4Track) joined(s sample) (sample, error) {
	for n := int64(1); n < t.blockRun() && t.samples.more() && t.samples.inChunk < t.samples.perChunk; n++ {
		next, err := t.samples.next()
		if err != nil {
			return s, err
		}
		s.size += next.size
	}
	return s, nil
}
