package mpegts

import (
	"encoding/binary"

	"github.com/kvs-edge/kvs-edge-agent/internal/audio"
)

// kind is the kind of a stream.
type kind uint8

const (
	otherKind kind = iota
	videoKind
	audioKind
)

// stream is the description of a stream in a program's table.
type stream struct {
	pid      int
	kind     kind
	name     string // name of the codec, for people
	readable bool
	// container and format are the audio's framing and format, as far as known.
	container audio.Container
	format    audio.Format
	unknown   bool // only its data will show what it is
	checks    int  // how often its data was checked
}

// Streams by their types (table 2-34, and types used by ATSC and others).
var byType = map[byte]stream{
	0x01: {kind: videoKind, name: "MPEG-1 video"}, 0x02: {kind: videoKind, name: "MPEG-2 video"},
	0x10: {kind: videoKind, name: "MPEG-4 part 2 video"},
	0x1B: {kind: videoKind, name: H264, readable: true}, 0x24: {kind: videoKind, name: H265, readable: true},
	0x21: {kind: videoKind, name: "JPEG 2000"}, 0x32: {kind: videoKind, name: "JPEG XS"}, 0x33: {kind: videoKind, name: "H.266"},
	0x42: {kind: videoKind, name: "AVS"}, 0xD1: {kind: videoKind, name: "Dirac"}, 0xD2: {kind: videoKind, name: "AVS2"},
	0xD4: {kind: videoKind, name: "AVS3"}, 0xEA: {kind: videoKind, name: "VC-1"},
	0x03: sound("MPEG audio", audio.MPEG), 0x04: sound("MPEG audio", audio.MPEG),
	0x0F: sound("AAC", audio.ADTS), 0x11: sound("AAC", audio.LOAS),
	0x81: sound("AC-3", audio.Dolby), 0x87: sound("E-AC-3", audio.Dolby), 0x8A: {kind: audioKind, name: "DTS"},
}

// sound returns a stream of audio that can be read.
func sound(name string, c audio.Container) stream {
	return stream{kind: audioKind, name: name, readable: true, container: c}
}

// Streams by the registration in their descriptors (2.6.8), for unknown types.
var byRegistration = map[string]stream{
	"H264": byType[0x1B], "AVC1": byType[0x1B], "avc1": byType[0x1B], "HEVC": byType[0x24], "hvc1": byType[0x24],
	"AV01": {kind: videoKind, name: "AV1"}, "VC-1": byType[0xEA], "drac": byType[0xD1], "VVC ": byType[0x33],
	"AC-3": byType[0x81], "EAC3": byType[0x87], "AC-4": {kind: audioKind, name: "AC-4"},
	"DTS1": byType[0x8A], "DTS2": byType[0x8A], "DTS3": byType[0x8A],
	"Opus": sound("Opus", audio.TSOpus), "BSSD": {kind: audioKind, name: "LPCM"},
}

// Streams by their other descriptors (table 2-45, and EN 300 468, 6.1).
var byDescriptor = map[byte]stream{
	0x28: byType[0x1B], 0x38: byType[0x24],
	0x6A: byType[0x81], 0x7A: byType[0x87], 0x7B: byType[0x8A],
}

const (
	typePrivate  = 0x06
	firstPrivate = 0x80 // the first type for private use

	tagRegistration = 0x05
)

// newStream reads an entry of a program's table: descriptors decide where its type does not.
func newStream(streamType byte, pid int, program, own []byte) stream {
	s, ok := byType[streamType]
	if !ok && (streamType == typePrivate || streamType >= firstPrivate || streamType == 0) {
		s, ok = described(own)
		if !ok && streamType >= firstPrivate {
			s, _ = described(program)
		}
	}
	s.pid, s.unknown = pid, streamType == typePrivate && s.kind == otherKind
	if s.container == audio.TSOpus {
		s.format = opus(own)
	}
	return s
}

// described finds a codec among descriptors.
func described(list []byte) (s stream, ok bool) {
	for len(list) >= 2 {
		tag, body := list[0], list[2:]
		body = body[:min(int(list[1]), len(body))]
		if tag == tagRegistration && len(body) >= 4 {
			if s, ok = byRegistration[string(body[:4])]; ok {
				return s, true
			}
		}
		if s, ok = byDescriptor[tag]; ok {
			return s, true
		}
		list = list[2+len(body):]
	}
	return stream{}, false
}

// opus returns the format in the extension of its descriptor (ETSI TS 103 491), or else stereo.
func opus(list []byte) audio.Format {
	const tagExtension, tagOpus = 0x7F, 0x80
	f := audio.Format{Codec: audio.Opus, Rate: 48_000, Channels: 2}
	for len(list) >= 2 {
		body := list[2:]
		body = body[:min(int(list[1]), len(body))]
		if list[0] == tagExtension && len(body) >= 2 && body[0] == tagOpus && body[1] > 0 && body[1] <= 8 {
			f.Channels = int(body[1])
		}
		list = list[2+len(body):]
	}
	return f
}

// guessAfter is the number of packets after which no table is expected any more.
const guessAfter = 500

// guess examines the first packet of a PES packet of a stream whose kind is in no table.
func (d *Demuxer) guess(p packet) {
	entry := d.entry(p.pid)
	switch {
	case p.scrambled, entry != nil && !entry.unknown:
		return
	case entry == nil && d.tables.Video != "":
		if d.current == d.guessed && d.packets > guessAfter && !d.tables.Settled {
			d.choose()
		}
		return
	}
	var header pesHeader
	body, ok := header.take(p.payload)
	if !ok || !hasHeader(header.data[3]) {
		return
	}
	s := looksLike(body)
	s.pid = p.pid
	switch {
	case entry != nil && s.kind == otherKind:
		const most = 100 // PES packets: keyframes are rare
		if entry.checks++; entry.checks < most {
			return
		}
		entry.unknown = false
	case entry != nil:
		*entry = s
	case s.kind == videoKind:
		d.guessed = &program{pid: noPID, streams: []stream{s}}
	default:
		return
	}
	d.choose()
}

// entry returns the description of a stream in the tables; nil when there is none.
func (d *Demuxer) entry(pid int) *stream {
	for _, g := range d.programs {
		for i := range g.streams {
			if g.streams[i].pid == pid {
				return &g.streams[i]
			}
		}
	}
	return nil
}

// looksLike recognises video by parameter sets at its start, and AAC by the heads of its frames.
func looksLike(data []byte) stream {
	if len(data) >= 7 {
		switch word := binary.BigEndian.Uint16(data); {
		case word&0xFFF6 == 0xFFF0 && data[2]>>2&0xF < 13: // adts_frame
			return byType[0x0F]
		case word>>5 == 0x2B7: // AudioSyncStream
			return byType[0x11]
		}
	}
	for i := 0; i+5 < len(data); i++ {
		if data[i] != 0 || data[i+1] != 0 || data[i+2] != 1 {
			continue
		}
		switch first, second := data[i+3], data[i+4]; {
		case first == 0xB3: // sequence_header_code
			return byType[0x02]
		case (first == 0x40 || first == 0x42) && second == 1:
			return byType[0x24]
		case first&0x9F == 7 && first&0x60 != 0:
			return byType[0x1B]
		}
	}
	return stream{}
}
