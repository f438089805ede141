package mediafile

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"io"
	"slices"
)

// isMP4 looks for a box that files have, possibly after others at their start.
func isMP4(head []byte) bool {
	for range 8 {
		if len(head) < 8 {
			return false
		}
		if slices.Contains([]string{"ftyp", "styp", "moov", "mdat", "free", "skip", "wide", "pdin", "uuid", "udta", "meta",
			"sidx", "moof", "pnot", "PICT", "junk"}, string(head[4:8])) {
			return true
		}
		size := binary.BigEndian.Uint32(head)
		if size < 8 || uint64(size) > uint64(len(head)) {
			return false
		}
		head = head[size:]
	}
	return false
}

func openMP4(r io.ReadSeeker) (*File, error) {
	m := &mp4{file: boxReader{r}}
	f := &File{}
	for at := int64(0); ; {
		b, err := m.file.header(at)
		if errors.Is(err, io.EOF) {
			return nil, broken("it has no index (moov), like a recording that was interrupted")
		}
		if err != nil {
			return nil, err
		}
		if at = b.end; b.kind != "moov" {
			continue
		}
		data, err := m.file.content(b)
		if errors.Is(err, io.EOF) {
			return nil, broken("its index (moov) is truncated")
		}
		if err != nil {
			return nil, err
		}
		if data, err = unpacked(data); err != nil {
			return nil, err
		}
		fragmented, err := m.movie(data, f)
		if err != nil {
			return nil, err
		}
		if f.next = m.nextSample; fragmented {
			f.next = m.nextOfBoth
		}
		m.at = b.end
		return f, nil
	}
}

// movie reads a moov box and chooses the tracks.
func (m *mp4) movie(data []byte, f *File) (fragmented bool, err error) {
	var all []*mp4Track
	var scale int64 // of the movie, in ticks per second
	defaults := make(map[uint32]fragmentDefaults)
	err = boxes(data, func(kind string, data []byte) error {
		switch kind {
		case "trak":
			t := &mp4Track{}
			if t.broken = t.read(data, 0); t.broken != nil && t.kind != "" && t.kind != "vide" {
				return nil // the video can be played all the same
			}
			all = append(all, t)
		case "mvhd":
			scale = timescale(&cursor{data: data})
		case "mvex":
			fragmented = true
			return boxes(data, func(kind string, data []byte) error {
				if kind == "trex" {
					c := cursor{data: data}
					c.skip(4)
					id := c.u32()
					c.skip(4)
					defaults[id] = fragmentDefaults{c.u32(), c.u32()}
				}
				return nil
			})
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	refused := ErrNoVideo
	for _, t := range all {
		t.defaults = defaults[t.id]
		if scale > 0 {
			t.shift -= t.delay * t.scale / scale
		}
		if t.kind != "vide" && t.broken == nil || len(m.tracks) > 0 {
			continue
		}
		switch err := t.video(f); {
		case err == nil:
			m.tracks = append(m.tracks, t)
		case refused == ErrNoVideo:
			refused = err // a cover picture may precede the video
		}
	}
	if len(m.tracks) == 0 {
		return false, refused
	}
	m.chooseSound(all, f)
	return fragmented, nil
}

// chooseSound selects the first audio that can be read.
func (m *mp4) chooseSound(all []*mp4Track, f *File) {
	for _, t := range all {
		if t.kind != "soun" || t.broken != nil || t.scale <= 0 {
			continue
		}
		if t.sound(); t.audio != nil {
			m.learn(t)
			f.Audio = t.audio
			m.tracks = append(m.tracks, t)
			return
		}
	}
}

// unpacked returns the content of a moov box, decompressed if QuickTime has compressed it.
func unpacked(data []byte) (movie []byte, err error) {
	movie = data
	err = boxes(data, func(kind string, data []byte) error {
		if kind != "cmov" {
			return nil
		}
		movie = nil
		return boxes(data, func(kind string, data []byte) error {
			if kind != "cmvd" || len(data) < 4 {
				return nil
			}
			r, err := zlib.NewReader(bytes.NewReader(data[4:])) // after its size
			if err != nil {
				return broken("its index (moov) is compressed in an unknown way")
			}
			inner, err := inflated(r)
			if err != nil {
				return err
			}
			return boxes(inner, func(kind string, data []byte) error {
				if kind == "moov" {
					movie = data
				}
				return nil
			})
		})
	})
	return movie, err
}
