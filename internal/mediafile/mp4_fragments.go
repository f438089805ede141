package mediafile

import (
	"cmp"
	"slices"
)

// maxSamples bounds the frames of a fragment.
const maxSamples = 100_000

// nextFragment plays a file of fragments.
func (m *mp4) nextFragment() (Frame, error) {
	for len(m.fragment) == 0 {
		b, err := m.file.header(m.at)
		if err != nil {
			return Frame{}, err
		}
		if m.at = b.end; b.kind != "moof" {
			continue
		}
		data, err := m.file.content(b)
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

// trackFragment is the state of a traf box that applies to its next sample.
type trackFragment struct {
	track    *mp4Track // nil: a track that is not read
	defaults fragmentDefaults
	base     int64 // offset to which those of runs are relative
	offset   int64
	dts      int64
}

// trackFragment reads a traf box (ISO/IEC 14496-12, 8.8.6 to 8.8.12).
func (m *mp4) trackFragment(data []byte, start int64) error {
	t := trackFragment{base: start, offset: start}
	return boxes(data, func(kind string, data []byte) (err error) {
		c := cursor{data: data}
		switch kind {
		case "tfhd":
			err = m.fragmentHeader(&t, &c)
		case "tfdt":
			if version := c.u32() >> 24; version == 1 {
				t.dts = int64(c.u64())
			} else {
				t.dts = int64(c.u32())
			}
		case "trun":
			err = m.run(&t, &c)
		}
		if err == nil && c.short {
			err = broken("the box %s is too short", kind)
		}
		return err
	})
}

// fragmentHeader reads a tfhd box.
func (m *mp4) fragmentHeader(t *trackFragment, c *cursor) error {
	has := flags(c.u32())
	id := c.u32()
	i := slices.IndexFunc(m.tracks, func(t *mp4Track) bool { return t.id == id })
	if i < 0 {
		return nil
	}
	if t.track = m.tracks[i]; t.track.scale <= 0 {
		return broken("a track without a time scale")
	}
	t.defaults, t.dts = t.track.defaults, t.track.end // unless a tfdt box follows
	if has(0x1) {
		t.base = int64(c.u64())
	}
	if has(0x2) {
		c.skip(4)
	}
	if has(0x8) {
		t.defaults.duration = c.u32()
	}
	if has(0x10) {
		t.defaults.size = c.u32()
	}
	t.offset = t.base
	return nil
}

// run reads a trun box.
func (m *mp4) run(t *trackFragment, c *cursor) error {
	if t.track == nil {
		return nil
	}
	has := flags(c.u32())
	count := c.u32()
	if has(0x1) {
		t.offset = t.base + int64(int32(c.u32()))
	}
	if has(0x4) {
		c.skip(4)
	}
	for ; count > 0 && !c.short; count-- {
		s := fragmentSample{track: t.track, due: ticksToDuration(t.dts-t.track.shift, t.track.scale)}
		s.offset, s.size = t.offset, t.defaults.size
		duration := t.defaults.duration
		if has(0x100) {
			duration = c.u32()
		}
		if has(0x200) {
			s.size = c.u32()
		}
		if has(0x400) {
			c.skip(4)
		}
		s.pts = t.dts
		if has(0x800) {
			s.pts += int64(int32(c.u32()))
		}
		t.dts += int64(duration)
		t.offset += int64(s.size)
		if n := len(m.fragment); n > 0 && s.joins(m.fragment[n-1]) {
			m.fragment[n-1].size += s.size
			continue
		}
		if m.fragment = append(m.fragment, s); len(m.fragment) > maxSamples {
			return broken("a fragment of more than %d frames", maxSamples)
		}
	}
	t.track.end = t.dts
	return nil
}

// joins reports whether a sample of PCM continues the frame that the previous one started.
func (s fragmentSample) joins(before fragmentSample) bool {
	block, size := int64(s.track.block), int64(before.size)
	return block > 0 && before.track == s.track && before.offset+size == s.offset && size/block < s.track.blockRun()
}

// flags reports whether a flag is set in those of a full box, which are the lower 24 bits.
func flags(of uint32) (has func(flag uint32) bool) {
	return func(flag uint32) bool { return of&flag != 0 }
}
