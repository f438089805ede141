package mediafile

import "math"

// mp4Track is a track of an MP4 file.
type mp4Track struct {
	id         uint32
	kind       string // "vide" or "soun"
	scale      int64  // ticks per second
	shift      int64  // taken from all times, by the edit list, in ticks
	delay      int64  // added to all times, by the edit list, in the movie's ticks
	entry      string // name of the sample entry
	private    []byte // avcC, hvcC or esds
	audio      *Audio
	lengthSize int
	defaults   fragmentDefaults // of trex
	samples    sampleTable
}

// fragmentDefaults hold for samples of which a fragment says nothing else.
type fragmentDefaults struct{ duration, size uint32 }

func (t *mp4Track) video(f *File) (err error) {
	switch t.entry {
	case "avc1", "avc3":
		f.Video.Codec = H264
		f.Video.Sets, t.lengthSize, err = h264Config(t.private)
	case "hvc1", "hev1":
		f.Video.Codec = H265
		f.Video.Sets, t.lengthSize, err = h265Config(t.private)
	default:
		return &CodecError{plain(t.entry)}
	}
	return err
}

// maxDepth of boxes in a trak box: stbl lies in minf, and that in mdia.
const maxDepth = 3

// read goes through a trak box, or one that lies that deep in it.
func (t *mp4Track) read(data []byte, depth int) error {
	return boxes(data, func(kind string, data []byte) error {
		c := cursor{data: data}
		version := func() int { v := c.u8(); c.skip(3); return v }
		switch kind {
		case "mdia", "minf", "stbl", "edts":
			if depth == maxDepth {
				return broken("a box %s lies too deep", kind)
			}
			return t.read(data, depth+1)
		case "tkhd":
			if version() == 1 {
				c.skip(16)
			} else {
				c.skip(8)
			}
			t.id = c.u32()
		case "mdhd":
			t.scale = timescale(&c)
		case "hdlr":
			// QuickTime has a second one in minf, which says where the data lies: its component type is dhlr.
			c.skip(4)
			if component := string(c.take(4)); component != "dhlr" {
				t.kind = string(c.take(4))
			}
		case "elst":
			t.edits(&c, version())
			c.short = false // it is not needed for playing
		case "stsd":
			c.skip(8)
			return boxes(c.data, t.sampleEntry)
		default:
			return t.samples.read(kind, data)
		}
		if c.short {
			return broken("the box %s is too short", kind)
		}
		return nil
	})
}

// timescale reads the ticks per second in an mvhd or mdhd box.
func timescale(c *cursor) int64 {
	version := c.u8()
	c.skip(3)
	if version == 1 {
		c.skip(16)
	} else {
		c.skip(8)
	}
	return int64(c.u32())
}

// edits reads an edit list (ISO/IEC 14496-12, 8.6.6): the first edit that plays something says
// which time of the media is played first, and those without media before it how much later.
func (t *mp4Track) edits(c *cursor, version int) {
	var delay int64
	for n := c.u32(); n > 0 && !c.short; n-- {
		var duration, from int64
		if version == 1 {
			duration, from = int64(c.u64()), int64(c.u64())
		} else {
			duration, from = int64(c.u32()), int64(int32(c.u32()))
		}
		c.skip(4)
		switch {
		case c.short:
		case from == -1 && duration >= 0 && duration < math.MaxInt32-delay:
			delay += duration
		case from >= 0 && from < math.MaxInt32:
			t.shift, t.delay = from, delay
			return
		}
	}
}

func (t *mp4Track) sampleEntry(kind string, data []byte) error {
	if t.entry != "" {
		return nil // a second description is of no use to us
	}
	t.entry = kind
	fixed := 78 // VisualSampleEntry
	if kind == "mp4a" && len(data) >= 10 {
		fixed = 28       // AudioSampleEntry
		switch data[9] { // the version, in QuickTime files
		case 1:
			fixed = 44
		case 2:
			fixed = 64
		}
	}
	if len(data) < fixed {
		return nil
	}
	return boxes(data[fixed:], func(kind string, data []byte) error {
		switch kind {
		case "avcC", "hvcC":
			t.private = data
		case "esds":
			t.audio = aacOf(data)
		case "wave": // in QuickTime files esds lies in it
			return boxes(data, func(kind string, data []byte) error {
				if kind == "esds" {
					t.audio = aacOf(data)
				}
				return nil
			})
		}
		return nil
	})
}
