// Package mp4 writes MP4: fragmented, as it is streamed, and as a file with an index in front. Descriptions of tracks and samples go in,
// boxes come out. It knows neither where samples come from nor who reads the boxes.
//
// Sources: ISO/IEC 14496-12 (boxes), 14496-14 (MPEG-4 audio), 14496-15 (H.264, H.265); Encapsulation of Opus in ISO Base Media File
// Format; QuickTime File Format (G.711).
package mp4

import (
	"bytes"
	"encoding/binary"

	"github.com/kvs-edge/kvs-edge-agent/internal/audio"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
)

// MovieTimescale is the ticks per second of durations of the file, and of the times of video: those of Matroska, so that nothing is
// rounded.
const MovieTimescale = 1000

// Track describes a track.
type Track struct {
	ID        uint32 // from 1
	Timescale uint32 // ticks per second of its samples' times
	// Delay is how much later than presented the samples' times say, in ticks: so much that none is presented before it is decoded.
	Delay uint32
	media mkv.Track
	entry []byte // the sample entry
}

// NewTrack describes a track of Matroska. inBand says that keyframes of the video carry their parameter sets, as these change. ok is
// false where players do not play the codec in MP4.
func NewTrack(id uint32, t mkv.Track, inBand bool) (track Track, ok bool) {
	track = Track{ID: id, Timescale: MovieTimescale, media: t}
	if t.Kind == mkv.Video {
		track.entry = videoEntry(t, inBand)
		return track, track.entry != nil
	}
	f, _, known := audio.Of(t)
	if !known {
		return track, false
	}
	track.Timescale, track.entry = uint32(f.Rate), audioEntry(f)
	return track, track.entry != nil
}

// Video reports whether it is video.
func (t Track) Video() bool { return t.media.Kind == mkv.Video }

// videoEntry returns a VisualSampleEntry (14496-12, 12.1.3).
func videoEntry(t mkv.Track, inBand bool) []byte {
	kind, record, private := "", "", t.CodecPrivate
	switch {
	case t.CodecID == mkv.CodecAVC && inBand:
		kind, record = "avc3", "avcC"
	case t.CodecID == mkv.CodecAVC:
		kind, record = "avc1", "avcC"
	case t.CodecID == mkv.CodecHEVC && inBand:
		kind, record, private = "hev1", "hvcC", incompleteArrays(private)
	case t.CodecID == mkv.CodecHEVC:
		kind, record = "hvc1", "hvcC"
	default:
		return nil
	}
	const (
		resolution = 72 << 16 // dots per inch
		depth      = 24       // bits per pixel
		noTable    = 0xFFFF   // of colours
	)
	return box(kind, make([]byte, 6), u16(1), make([]byte, 16), u16(uint16(t.Width), uint16(t.Height)),
		u32(resolution, resolution, 0), u16(1), make([]byte, 32), u16(depth, noTable),
		box(record, private), colour(t.Picture), pixelShape(t))
}

// colour returns a ColourInformationBox where something is known.
func colour(p mkv.Picture) []byte {
	if p.Primaries == 0 && p.Transfer == 0 && p.Matrix == 0 && p.Range == 0 {
		return nil
	}
	const (
		unspecified = 2
		fullRange   = 0x80
	)
	codes := []byte("nclx")
	for _, code := range []int{p.Primaries, p.Transfer, p.Matrix} {
		if code == 0 {
			code = unspecified
		}
		codes = append(codes, u16(uint16(code))...)
	}
	wide := byte(0)
	if p.Range == 2 {
		wide = fullRange
	}
	return box("colr", append(codes, wide))
}

// pixelShape returns a PixelAspectRatioBox where pixels are not square.
func pixelShape(t mkv.Track) []byte {
	across, down := t.Picture.DisplayWidth*t.Height, t.Picture.DisplayHeight*t.Width
	if across <= 0 || down <= 0 || across == down {
		return nil
	}
	divisor := gcd(across, down)
	return box("pasp", u32(uint32(across/divisor), uint32(down/divisor)))
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// audioEntry returns an AudioSampleEntry (14496-12, 12.2.3), nil where players do not play the codec.
func audioEntry(f audio.Format) []byte {
	rate := uint32(0) // one that does not fit is in the codec's own description
	if f.Rate <= 0xFFFF {
		rate = fixed(f.Rate)
	}
	entry := func(kind string, description []byte) []byte {
		const sampleBits = 16
		return box(kind, make([]byte, 6), u16(1), make([]byte, 8), u16(uint16(f.Channels), sampleBits, 0, 0), u32(rate), description)
	}
	const (
		objectAAC   = 0x40
		objectMPEG2 = 0x69
		objectMPEG1 = 0x6B
		lowestMPEG1 = 32_000 // samples per second
	)
	switch f.Codec {
	case audio.AAC:
		return entry("mp4a", elementaryStream(objectAAC, f.Config))
	case audio.MP2, audio.MP3:
		object := byte(objectMPEG1)
		if f.Rate < lowestMPEG1 {
			object = objectMPEG2
		}
		return entry("mp4a", elementaryStream(object, nil))
	case audio.Opus:
		return entry("Opus", opusDescription(f.Config))
	case audio.MuLaw:
		return entry("ulaw", nil)
	case audio.ALaw:
		return entry("alaw", nil)
	}
	return nil
}

// elementaryStream returns the box of an ES_Descriptor (14496-1, 7.2.6.5).
func elementaryStream(object byte, config []byte) []byte {
	const (
		tagStream, tagDecoder, tagConfig, tagSync = 3, 4, 5, 6
		audioStream                               = 5<<2 | 1
	)
	decoder := append([]byte{object, audioStream, 0, 0, 0}, make([]byte, 8)...) // no buffer size or bitrate
	if config != nil {
		decoder = append(decoder, descriptor(tagConfig, config)...)
	}
	stream := append([]byte{0, 0, 0}, descriptor(tagDecoder, decoder)...)
	return full("esds", 0, 0, descriptor(tagStream, append(stream, descriptor(tagSync, []byte{2})...)))
}

// descriptor returns a descriptor with a length of four bytes.
func descriptor(tag byte, content []byte) []byte {
	n := len(content)
	head := []byte{tag, 0x80 | byte(n>>21&0x7F), 0x80 | byte(n>>14&0x7F), 0x80 | byte(n>>7&0x7F), byte(n & 0x7F)}
	return append(head, content...)
}

// opusDescription returns the box of an OpusHead (RFC 7845, section 5.1), whose numbers have the other order of bytes there.
func opusDescription(head []byte) []byte {
	const magic, fixedSize = 8, 19
	if len(head) < fixedSize {
		return nil
	}
	head = head[magic:]
	b := []byte{0, head[1]}
	b = binary.BigEndian.AppendUint16(b, binary.LittleEndian.Uint16(head[2:]))
	b = binary.BigEndian.AppendUint32(b, binary.LittleEndian.Uint32(head[4:]))
	b = binary.BigEndian.AppendUint16(b, binary.LittleEndian.Uint16(head[8:]))
	return box("dOps", append(b, head[10:]...))
}

// incompleteArrays returns an hvcC record that says that there are more parameter sets in the stream.
func incompleteArrays(record []byte) []byte {
	record = bytes.Clone(record)
	const completeArray = 0x80
	eachH265Array(record, func(at int) { record[at] &^= completeArray })
	return record
}
