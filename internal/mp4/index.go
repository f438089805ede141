package mp4

import (
	"bufio"
	"context"
	"encoding/binary"
	"math"
)

// part is a part of an index: bytes, or a table that is computed while it is written.
type part struct {
	bytes   []byte
	kind    tableKind
	track   uint32
	version byte
	entries uint32
}

func (p part) size() int64 {
	if p.bytes != nil {
		return int64(len(p.bytes))
	}
	return p.kind.size(p.entries)
}

func sizeOf(parts []part) (n int64) {
	for _, p := range parts {
		n += p.size()
	}
	return n
}

// around returns a box with the parts as its content.
func around(kind string, parts []part) []part {
	head := append(u32(uint32(boxHead+sizeOf(parts))), kind...)
	return append([]part{{bytes: head}}, parts...)
}

// index returns the moov box of the file, from the one of the stream: with tables, durations and edits, and without what is of fragments.
func (s *survey) index(end int64) (parts []part, err error) {
	var tracks, others []part
	var longest uint64
	valid := true
	ok := children(s.header[boxHead:], func(kind string, b []byte) {
		switch {
		case kind == "mvhd":
			parts = append(parts, part{bytes: b})
		case kind == "trak":
			list, duration := s.track(b, end > math.MaxUint32)
			valid = valid && (list != nil || duration == 0)
			longest = max(longest, duration)
			tracks = append(tracks, list...)
		case kind != "mvex":
			others = append(others, part{bytes: b})
		}
	})
	if !ok || !valid || len(tracks) == 0 || len(parts) != 1 || len(parts[0].bytes) < movieDuration+8 {
		return nil, errNotMovie
	}
	binary.BigEndian.PutUint64(parts[0].bytes[movieDuration:], longest)
	return around("moov", append(append(parts, tracks...), others...)), nil
}

// track returns the box of a track, nil for one that has no samples, and its end in ticks of the movie.
func (s *survey) track(trak []byte, wide bool) (parts []part, end uint64) {
	var head, edit, media, scale []byte
	var inner []part // of the media box, before the information
	children(trak[boxHead:], func(kind string, b []byte) {
		switch kind {
		case "tkhd":
			head = b
		case "edts":
			edit = b
		case "mdia":
			media = b
		}
	})
	if len(head) < trackDuration+8 || media == nil {
		return nil, 1
	}
	id := binary.BigEndian.Uint32(head[fullHead+16:])
	c := s.counts[id]
	if c == nil {
		return nil, 0
	}
	children(media[boxHead:], func(kind string, b []byte) {
		switch {
		case kind == "mdhd" && len(b) >= mediaDuration+8:
			scale = b
			binary.BigEndian.PutUint64(b[mediaDuration:], c.duration())
			inner = append(inner, part{bytes: b})
		case kind == "minf":
			inner = append(inner, around("minf", s.information(b, id, c, wide))...)
		default:
			inner = append(inner, part{bytes: b})
		}
	})
	if scale == nil {
		return nil, 1
	}
	perSecond := uint64(binary.BigEndian.Uint32(scale[mediaScale:]))
	if perSecond == 0 {
		return nil, 1
	}
	start, length := movieTicks(c.first, perSecond), movieTicks(c.duration(), perSecond)
	binary.BigEndian.PutUint64(head[trackDuration:], start+length)
	parts = []part{{bytes: head}}
	if edit = edits(start, length, skippedBy(edit)); edit != nil {
		parts = append(parts, part{bytes: edit})
	}
	return around("trak", append(parts, around("mdia", inner)...)), start + length
}

func movieTicks(ticks, perSecond uint64) uint64 {
	return ticks/perSecond*MovieTimescale + (ticks%perSecond*MovieTimescale+perSecond/2)/perSecond
}

// information returns the content of a MediaInformationBox, with tables.
func (s *survey) information(minf []byte, id uint32, c *count, wide bool) (parts []part) {
	children(minf[boxHead:], func(kind string, b []byte) {
		if kind != "stbl" {
			parts = append(parts, part{bytes: b})
			return
		}
		var samples []part
		children(b[boxHead:], func(kind string, b []byte) {
			if kind == "stsd" {
				samples = append(samples, part{bytes: b})
			}
		})
		for i, k := range tableKinds {
			if c.needed(k, wide) {
				samples = append(samples, part{kind: k, track: id, version: c.version(k), entries: c.entries[i]})
			}
		}
		parts = append(parts, around("stbl", samples)...)
	})
	return parts
}

// write writes the part; a table from the fragments.
func (p part) write(ctx context.Context, s *survey, out *bufio.Writer) error {
	if p.bytes != nil {
		_, err := out.Write(p.bytes)
		return err
	}
	head := append(u32(uint32(p.size())), p.kind.kind...)
	head = append(head, p.version, 0, 0, 0)
	if p.kind.kind == "stsz" {
		head = append(head, u32(0)...)
	}
	_, failed := out.Write(append(head, u32(p.entries)...))
	entry := make([]byte, p.kind.entry)
	put := func(r row) {
		for i := range len(entry) / 4 {
			binary.BigEndian.PutUint32(entry[4*i:], r[i])
		}
		if _, err := out.Write(entry); err != nil {
			failed = err
		}
	}
	t := p.kind.open(put)
	err := s.each(ctx, func(track uint32, offset uint64, samples []Sample) {
		if track == p.track {
			t.add(offset, samples)
		}
	})
	t.end()
	if err != nil {
		return err
	}
	return failed
}
