package mediafile

import (
	"cmp"
	"slices"
	"time"
)

// maxSamples bounds the frames of a fragment.
const maxSamples = 100_000

// fragmentDefaults hold for samples of which a fragment says nothing else.
type fragmentDefaults struct{ duration, size uint32 }

// fragmentSample is a sample of a fragment.
type fragmentSample struct {
	track *mp4Track
	sample
	due time.Duration // of decoding
}

// nextFragment plays a file of fragments.
func (m *mp4) nextFragment() (Frame, error) {
	for len(m.fragment) == 0 {
		b, err := m.header(m.at)
		if err != nil {
			return Frame{}, err
		}
		if m.at = b.end; b.kind != "moof" {
			continue
		}
		data, err := m.content(b)
		if err != nil {
			return Frame{}, err
		}
		err = boxes(data, func(kind string, data []byte) error {
			if kind == "traf" {
				return m.trackFragment(data, b.at)
			}
			return nil
		})
		if err != nil {
			return Frame{}, err
		}
		slices.SortStableFunc(m.fragment, func(a, b fragmentSample) int { return cmp.Compare(a.due, b.due) })
	}
	s := m.fragment[0]
	m.fragment = m.fragment[1:]
	return m.load(s.track, s.sample)
}

// trackFragment reads a traf box (ISO/IEC 14496-12, 8.8.6 to 8.8.12).
func (m *mp4) trackFragment(data []byte, begin int64) error {
	var (
		track    *mp4Track
		defaults fragmentDefaults
		base     = begin
		offset   = begin
		dts      int64
	)
	return boxes(data, func(kind string, data []byte) error {
		c := cursor{data: data}
		flags := c.u32()
		version := flags >> 24
		has := func(flag uint32) bool { return flags&flag != 0 }
		switch kind {
		case "tfhd":
			id := c.u32()
			i := slices.IndexFunc(m.tracks, func(t *mp4Track) bool { return t.id == id })
			if i < 0 {
				return nil
			}
			if track = m.tracks[i]; track.scale <= 0 {
				return broken("a track without time")
			}
			defaults = track.defaults
			if has(0x1) {
				base = int64(c.u64())
			}
			if has(0x2) {
				c.skip(4)
			}
			if has(0x8) {
				defaults.duration = c.u32()
			}
			if has(0x10) {
				defaults.size = c.u32()
			}
			offset = base
		case "tfdt":
			if version == 1 {
				dts = int64(c.u64())
			} else {
				dts = int64(c.u32())
			}
		case "trun":
			if track == nil {
				return nil
			}
			count := c.u32()
			if has(0x1) {
				offset = base + int64(int32(c.u32()))
			}
			if has(0x4) {
				c.skip(4)
			}
			for ; count > 0 && !c.short; count-- {
				s := fragmentSample{track: track, due: ticksToDuration(dts-track.shift, track.scale)}
				s.offset, s.size, s.dts = offset, defaults.size, dts
				duration := defaults.duration
				if has(0x100) {
					duration = c.u32()
				}
				if has(0x200) {
					s.size = c.u32()
				}
				if has(0x400) {
					c.skip(4)
				}
				s.pts = dts
				if has(0x800) {
					s.pts += int64(int32(c.u32()))
				}
				dts += int64(duration)
				offset += int64(s.size)
				if m.fragment = append(m.fragment, s); len(m.fragment) > maxSamples {
					return broken("a fragment of more than %d frames", maxSamples)
				}
			}
		}
		if c.short {
			return broken("the box %s is too short", kind)
		}
		return nil
	})
}
