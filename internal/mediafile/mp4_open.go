package mediafile

import (
	"errors"
	"io"
	"slices"
)

func isMP4(head []byte) bool {
	return len(head) >= 8 && slices.Contains([]string{"ftyp", "styp", "moov", "mdat", "free", "skip", "wide", "pdin"}, string(head[4:8]))
}

func openMP4(r io.ReadSeeker) (*File, error) {
	m := &mp4{file: boxReader{r}}
	f := &File{}
	for at := int64(0); ; {
		b, err := m.file.header(at)
		if errors.Is(err, io.EOF) {
			return nil, broken("it has no index (moov), as of a recording that was cut off")
		}
		if err != nil {
			return nil, err
		}
		if at = b.end; b.kind != "moov" {
			continue
		}
		data, err := m.file.content(b)
		if errors.Is(err, io.EOF) {
			return nil, broken("its index (moov) is cut off")
		}
		if err != nil {
			return nil, err
		}
		fragmented, err := m.movie(data, f)
		if err != nil {
			return nil, err
		}
		if f.next = m.nextSample; fragmented {
			f.next = m.nextFragment
		}
		m.at = b.end
		return f, nil
	}
}

// movie reads a moov box and chooses the tracks.
func (m *mp4) movie(data []byte, f *File) (fragmented bool, err error) {
	var all []*mp4Track
	var scale int64 // of the movie, ticks per second
	defaults := make(map[uint32]fragmentDefaults)
	err = boxes(data, func(kind string, data []byte) error {
		switch kind {
		case "trak":
			t := &mp4Track{}
			if err := t.read(data, 0); err != nil {
				return err
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
	for _, t := range all {
		t.defaults = defaults[t.id]
		if scale > 0 {
			t.shift -= t.delay * t.scale / scale
		}
		if t.kind == "vide" && len(m.tracks) == 0 {
			if err := t.video(f); err != nil {
				return false, err
			}
			m.tracks = append(m.tracks, t)
		}
	}
	if len(m.tracks) == 0 {
		return false, ErrNoVideo
	}
	for _, t := range all {
		if t.kind == "soun" && t.audio != nil && f.Audio == nil {
			f.Audio = t.audio
			m.tracks = append(m.tracks, t)
		}
	}
	return fragmented, nil
}
