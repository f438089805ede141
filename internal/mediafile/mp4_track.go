package mediafile

import "math"

// mp4Track is a track of an MP4 file.
type mp4Track struct {
	id         uint32
	kind       string // "vide" or "soun"
	scale      int64  // ticks per second
	shift      int64  // subtracted from all times, by the edit list, in ticks
	delay      int64  // added to all times, by the edit list, in the movie's ticks
	entry      string // name of the sample entry
	private    []byte // avcC or hvcC
	audio      *Audio
	described  []byte // the sample entry
	block      int    // bytes of a sample of PCM in all channels; 0: not PCM
	lengthSize int
	defaults   fragmentDefaults // of trex
	samples    sampleTable
	end        int64 // decoding time after the last sample that was read, in ticks
	broken     error // the error in its description
}

// fragmentDefaults apply to samples for which a fragment has no other values.
type fragmentDefaults struct{ duration, size uint32 }

// codecs are the codecs of the sample entries that can be read, including Dolby Vision's.
var codecs = map[string]string{
	"avc1": H264, "avc2": H264, "avc3": H264, "avc4": H264, "dva1": H264, "dvav": H264, "H264": H264, "h264": H264,
	"hvc1": H265, "hvc2": H265, "hev1": H265, "dvh1": H265, "dvhe": H265, "HEVC": H265, "hevc": H265,
}

func (t *mp4Track) video(f *File) error {
	if t.broken != nil {
		return t.broken
	}
	codec := codecs[t.entry]
	if codec == "" {
		return &CodecError{entryName(t.entry)}
	}
	sets, lengthSize, err := describedBy(codec, t.private)
	if err != nil {
		return err
	}
	f.Video, t.lengthSize = Video{Codec: codec, Sets: sets}, lengthSize
	return nil
}

// entryName returns the common name of a sample entry's codec.
func entryName(entry string) string {
	switch entry {
	case "mp4v":
		return "MPEG-4 part 2, MPEG-2 or a picture (mp4v)"
	case "jpeg", "mjpa", "mjpb":
		return "MJPEG"
	case "encv":
		return "encrypted"
	}
	return plain(entry)
}

// maxDepth is the depth of boxes in a trak box: mdia contains minf, and that contains stbl.
const (
	maxDepth  = 3
	depthMdia = 1
)

// read handles the boxes in a trak box, or in a box at that depth in it.
func (t *mp4Track) read(data []byte, depth int) error {
	return boxes(data, func(kind string, data []byte) error {
		c := cursor{data: data}
		version := func() int { v := c.u8(); c.skip(3); return v }
		switch kind {
		case "mdia", "minf", "stbl", "edts":
			if depth == maxDepth {
				return broken("a box %s is nested too deep", kind)
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
			// QuickTime has a second one in minf, for the data.
			if depth == depthMdia {
				c.skip(8)
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

// edits reads an edit list (ISO/IEC 14496-12, 8.6.6): the first edit with media defines
// which time of the media is played first, and those without media before it define a delay.
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
		return nil // a second description is not needed
	}
	t.entry, t.described = kind, data
	const fixed = 78 // VisualSampleEntry
	if codecs[kind] == "" || len(data) < fixed {
		return nil // other entries are not needed
	}
	err := boxes(data[fixed:], func(kind string, data []byte) error {
		if kind == "avcC" || kind == "hvcC" {
			t.private = data
		}
		return nil
	})
	if t.private != nil {
		return nil // other boxes are not needed for playing
	}
	return err
}
