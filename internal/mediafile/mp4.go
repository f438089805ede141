package mediafile

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
	"slices"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
)

func isMP4(head []byte) bool {
	return len(head) >= 8 && slices.Contains([]string{"ftyp", "styp", "moov", "mdat", "free", "skip", "wide", "pdin"}, string(head[4:8]))
}

// mp4 reads an MP4 file (ISO/IEC 14496-12), plain or in fragments.
type mp4 struct {
	r        io.ReadSeeker
	tracks   []*mp4Track // video, then audio if there is some
	at       int64       // of the next fragment
	fragment []fragmentSample
	buffer   []byte
	nalus    [][]byte
}

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

// box is one of a file.
type box struct {
	kind string
	at   int64 // of its begin
	body int64 // of its content
	end  int64
}

// header reads the header of the box at an offset of the file; io.EOF says that there is none.
func (m *mp4) header(at int64) (b box, err error) {
	if _, err = m.r.Seek(at, io.SeekStart); err != nil {
		return b, err
	}
	var head [16]byte
	if _, err = io.ReadFull(m.r, head[:8]); err != nil {
		return b, endOf(err)
	}
	size := int64(binary.BigEndian.Uint32(head[:4]))
	b = box{kind: string(head[4:8]), at: at, body: at + 8}
	switch size {
	case 0: // to the end of the file
		if b.end, err = m.r.Seek(0, io.SeekEnd); err != nil {
			return b, err
		}
		return b, nil
	case 1:
		if _, err = io.ReadFull(m.r, head[8:]); err != nil {
			return b, endOf(err)
		}
		size = int64(binary.BigEndian.Uint64(head[8:]))
		b.body += 8
	}
	if b.end = at + size; size < b.body-at || b.end < at {
		return b, broken("a box of %d bytes", size)
	}
	return b, nil
}

// content reads a box of the file.
func (m *mp4) content(b box) ([]byte, error) {
	if b.end-b.body > maxHeader {
		return nil, broken("a header of %d bytes", b.end-b.body)
	}
	if _, err := m.r.Seek(b.body, io.SeekStart); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(m.r, b.end-b.body))
	if err == nil && int64(len(data)) < b.end-b.body {
		err = io.EOF
	}
	return data, err
}

// boxes calls each for the boxes within one.
func boxes(data []byte, each func(kind string, data []byte) error) error {
	for len(data) >= 8 {
		size, body := uint64(binary.BigEndian.Uint32(data)), uint64(8)
		switch size {
		case 0:
			size = uint64(len(data))
		case 1:
			if len(data) < 16 {
				return broken("a box is too short")
			}
			size, body = binary.BigEndian.Uint64(data[8:]), 16
		}
		if size < body || size > uint64(len(data)) {
			return broken("a box reaches past its parent")
		}
		if err := each(string(data[4:8]), data[body:size]); err != nil {
			return err
		}
		data = data[size:]
	}
	return nil
}

func openMP4(r io.ReadSeeker) (*File, error) {
	m := &mp4{r: r}
	f := &File{}
	for at := int64(0); ; {
		b, err := m.header(at)
		if errors.Is(err, io.EOF) {
			return nil, broken("it has no index (moov), as of a recording that was cut off")
		}
		if err != nil {
			return nil, err
		}
		if at = b.end; b.kind != "moov" {
			continue
		}
		data, err := m.content(b)
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

func (t *mp4Track) video(f *File) (err error) {
	switch t.entry {
	case "avc1", "avc3":
		f.Video.Codec = H264
		f.Video.Sets, t.lengthSize, err = avcConfig(t.private)
	case "hvc1", "hev1":
		f.Video.Codec = H265
		f.Video.Sets, t.lengthSize, err = hevcConfig(t.private)
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

// aacOf finds the AudioSpecificConfig in an esds box (ISO/IEC 14496-1, 7.2.6); nil when it is not AAC.
func aacOf(data []byte) *Audio {
	const (
		tagES, tagConfig, tagSpecific = 3, 4, 5
		objectAAC                     = 0x40
	)
	c := cursor{data: data}
	c.skip(4)
	tag := func() int {
		kind := c.u8()
		for range 4 { // the length, of which there is no need
			if c.u8()&0x80 == 0 {
				break
			}
		}
		return kind
	}
	if tag() != tagES {
		return nil
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
	if tag() != tagConfig || c.u8() != objectAAC {
		return nil
	}
	c.skip(12)
	if c.u8() != tagSpecific {
		return nil
	}
	length := 0
	for range 4 {
		b := c.u8()
		length = length<<7 | b&0x7F
		if b&0x80 == 0 {
			break
		}
	}
	raw := c.take(min(length, len(c.data)))
	var config mpeg4audio.AudioSpecificConfig
	if c.short || config.Unmarshal(raw) != nil || config.SampleRate <= 0 {
		return nil
	}
	return &Audio{Codec: AAC, Config: raw, Rate: config.SampleRate, Channels: config.ChannelCount}
}

// load reads a frame.
func (m *mp4) load(t *mp4Track, s sample) (Frame, error) {
	if s.size > maxFrame {
		return Frame{}, broken("a frame of %d bytes", s.size)
	}
	if _, err := m.r.Seek(s.offset, io.SeekStart); err != nil {
		return Frame{}, broken("a frame lies at %d", s.offset)
	}
	m.buffer = slices.Grow(m.buffer[:0], int(s.size))[:s.size]
	if _, err := io.ReadFull(m.r, m.buffer); err != nil {
		return Frame{}, endOf(err)
	}
	at := ticksToDuration(s.pts-t.shift, t.scale)
	if t.kind == "soun" {
		return Frame{Audio: true, At: at, Data: m.buffer}, nil
	}
	var err error
	m.nalus, err = splitLengths(m.nalus[:0], m.buffer, t.lengthSize)
	return Frame{At: at, NALUs: m.nalus}, err
}

// nextSample plays a plain file: of both tracks, what is to be decoded first.
func (m *mp4) nextSample() (Frame, error) {
	var first *mp4Track
	for _, t := range m.tracks {
		if t.scale <= 0 {
			return Frame{}, broken("a track without time")
		}
		if t.samples.more() && (first == nil ||
			ticksToDuration(t.samples.dts-t.shift, t.scale) < ticksToDuration(first.samples.dts-first.shift, first.scale)) {
			first = t
		}
	}
	if first == nil {
		return Frame{}, io.EOF
	}
	s, err := first.samples.next()
	if err != nil {
		return Frame{}, err
	}
	return m.load(first, s)
}
