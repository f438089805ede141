package mkv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"time"
)

// errTorn means that the file ends, or stops making sense, within an element.
var errTorn = errors.New("the file is torn")

// maxHeaderElement bounds what is read into memory at once of Info and Tracks.
const maxHeaderElement = 1 << 20

// element is an element's head and where its data lies.
type element struct {
	id      uint32
	offset  int64 // of the head
	data    int64 // of the first byte after the head
	size    int64 // of the data; -1 when unknown
	dataEnd int64 // data + size; -1 when unknown
}

// scanner reads elements at offsets of a file of a known size.
type scanner struct {
	r    io.ReaderAt
	size int64
	head [16]byte
}

// at reads the head of the element at offset. It fails with errTorn when there is no sound one.
func (s *scanner) at(offset int64) (element, error) {
	e := element{offset: offset}
	n := int64(len(s.head))
	if offset < 0 || offset >= s.size {
		return e, errTorn
	}
	n = min(n, s.size-offset)
	if read, err := s.r.ReadAt(s.head[:n], offset); int64(read) < n {
		return e, fmt.Errorf("cannot read the file at %d: %w", offset, err)
	}
	b := s.head[:n]
	idLength := bits.LeadingZeros8(b[0]) + 1
	if idLength > 4 || len(b) < idLength+1 {
		return e, errTorn
	}
	for _, c := range b[:idLength] {
		e.id = e.id<<8 | uint32(c)
	}
	b = b[idLength:]
	sizeLength := bits.LeadingZeros8(b[0]) + 1
	if sizeLength > 8 || len(b) < sizeLength {
		return e, errTorn
	}
	var size, ones uint64
	for _, c := range b[:sizeLength] {
		size = size<<8 | uint64(c)
	}
	ones = 1<<(7*sizeLength) - 1
	size &= ones
	e.data = offset + int64(idLength+sizeLength)
	if size == ones {
		e.size, e.dataEnd = -1, -1
		return e, nil
	}
	e.size = int64(size)
	e.dataEnd = e.data + e.size
	return e, nil
}

// bytes reads the data of a small element.
func (s *scanner) bytes(e element) ([]byte, error) {
	if e.size < 0 || e.size > maxHeaderElement || e.dataEnd > s.size {
		return nil, errTorn
	}
	data := make([]byte, e.size)
	if _, err := s.r.ReadAt(data, e.data); err != nil {
		return nil, fmt.Errorf("cannot read the file at %d: %w", e.data, err)
	}
	return data, nil
}

// header reads everything before the first cluster, whose offset it returns.
func (s *scanner) header() (Header, layout, int64, error) {
	var h Header
	var at layout
	head, err := s.at(0)
	if err != nil && !errors.Is(err, errTorn) {
		return h, at, 0, err // the disk's word says nothing of the file
	}
	if err != nil || head.id != idEBML || head.size < 0 {
		return h, at, 0, fmt.Errorf("this is no Matroska file: %w", errTorn)
	}
	segment, err := s.at(head.dataEnd)
	if err != nil && !errors.Is(err, errTorn) {
		return h, at, 0, err
	}
	if err != nil || segment.id != idSegment || segment.data-segment.offset != 12 {
		return h, at, 0, fmt.Errorf("the segment's head is missing: %w", errTorn)
	}
	at.segmentSize, at.segmentData = segment.offset+4, segment.data
	if err := s.seekRoom(segment.data); err != nil {
		return h, at, 0, err
	}
	for offset := segment.data + seekRoom; ; {
		e, err := s.at(offset)
		torn := errors.Is(err, errTorn)
		if err != nil && !torn {
			return h, at, 0, err
		}
		if at.tracks > 0 && (torn || e.id != idVoid || e.size < 0 || e.dataEnd > s.size) {
			return s.headerDone(h, at, offset) // the first cluster, or what a power cut left of it
		}
		if torn {
			return h, at, 0, errTorn
		}
		switch e.id {
		case idCluster:
			return s.headerDone(h, at, offset)
		case idVoid:
			if at.sum == 0 && at.tracks > 0 && e.size == sumContent && e.dataEnd == offset+sumSize {
				at.sum = offset
			}
		case idInfo:
			at.info = offset
			err = s.info(e, &h, &at)
		case idTracks:
			at.tracks = offset
			err = s.tracks(e, &h)
		}
		if err != nil {
			return h, at, 0, err
		}
		if e.size < 0 {
			return h, at, 0, errTorn
		}
		offset = e.dataEnd
	}
}

// seekRoom checks that the room for the SeekHead is where our files have it: what is patched there
// must not hit anything else.
func (s *scanner) seekRoom(offset int64) error {
	end := offset + seekRoom
	e, err := s.at(offset)
	if err == nil && e.id == idSeekHead && e.size >= 0 && e.dataEnd < end {
		e, err = s.at(e.dataEnd)
	}
	if err != nil {
		return err
	}
	if e.id != idVoid || e.dataEnd != end {
		return errors.New("this is no segment of ours: the room for the seek head is missing")
	}
	return nil
}

func (s *scanner) headerDone(h Header, at layout, first int64) (Header, layout, int64, error) {
	if at.duration == 0 || len(h.Tracks) == 0 || h.Start.IsZero() {
		return h, at, 0, fmt.Errorf("the segment's header is not complete: %w", errTorn)
	}
	return h, at, first, nil
}

// each calls fn for the children in data, whose offset in the file is base.
func each(data []byte, base int64, fn func(e element, data []byte) error) error {
	s := scanner{r: sliceReader(data), size: int64(len(data))}
	for offset := int64(0); offset < s.size; {
		e, err := s.at(offset)
		if err != nil {
			return err
		}
		if e.size < 0 || e.dataEnd > s.size {
			return errTorn
		}
		content := data[e.data:e.dataEnd]
		offset = e.dataEnd
		e.offset, e.data, e.dataEnd = e.offset+base, e.data+base, e.dataEnd+base
		if err := fn(e, content); err != nil {
			return err
		}
	}
	return nil
}

type sliceReader []byte

func (r sliceReader) ReadAt(p []byte, off int64) (int, error) {
	n := copy(p, r[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (s *scanner) info(e element, h *Header, at *layout) error {
	data, err := s.bytes(e)
	if err != nil {
		return err
	}
	return each(data, e.data, func(child element, data []byte) error {
		switch child.id {
		case idVoid, idDuration:
			if child.dataEnd-child.offset == durationSize && at.duration == 0 {
				at.duration = child.offset
			}
		case idDateUTC:
			if len(data) != 8 {
				return errTorn
			}
			h.Start = dateEpoch.Add(time.Duration(binary.BigEndian.Uint64(data)))
		case idTitle:
			h.Title = string(data)
		}
		return nil
	})
}

func (s *scanner) tracks(e element, h *Header) error {
	data, err := s.bytes(e)
	if err != nil {
		return err
	}
	return each(data, e.data, func(child element, data []byte) error {
		if child.id != idTrackEntry {
			return nil
		}
		if len(h.Tracks) == maxTracks {
			return errTorn
		}
		var t Track
		if err := each(data, 0, t.element); err != nil {
			return err
		}
		if t.Number == 0 || int(t.Number) != len(h.Tracks)+1 {
			return errTorn
		}
		h.Tracks = append(h.Tracks, t)
		return nil
	})
}

func (t *Track) element(e element, data []byte) error {
	switch e.id {
	case idTrackNumber:
		n := number(data)
		if n > maxTracks {
			return errTorn
		}
		t.Number = uint8(n)
	case idTrackType:
		t.Kind = Kind(number(data))
	case idName:
		t.Name = string(data)
	case idCodecID:
		t.CodecID = string(data)
	case idCodecPrivate:
		t.CodecPrivate = append([]byte(nil), data...)
	case idPixelWidth:
		t.Width = int(number(data))
	case idPixelHeight:
		t.Height = int(number(data))
	case idSamplingFrequency:
		if len(data) == 8 {
			t.SampleRate = math.Float64frombits(binary.BigEndian.Uint64(data))
		}
	case idChannels:
		t.Channels = int(number(data))
	case idBitDepth:
		t.BitDepth = int(number(data))
	case idVideo, idAudio:
		return each(data, 0, t.element)
	}
	return nil
}

// number reads an unsigned integer of up to 8 bytes; a longer one is read by its last 8.
func number(data []byte) uint64 {
	var n uint64
	for _, c := range data {
		n = n<<8 | uint64(c)
	}
	return n
}

// scanned is what scanning found of one cluster.
type scanned struct {
	Fragment
	blocks   int
	complete bool  // its end is known: by its size, or by the element that follows
	sized    bool  // its size field holds its size
	last     int64 // offset of the last block
}

// cluster scans the cluster at e by the heads of its blocks. When the file is torn within it, what
// is complete is returned with complete unset; Size then reaches to the end of the last whole block.
func (s *scanner) cluster(e element) (scanned, error) {
	c := scanned{Fragment: Fragment{Offset: e.offset}, sized: e.size >= 0}
	if e.data-e.offset != clusterPrefixSize {
		return c, errTorn // not a cluster of ours
	}
	stamp, err := s.at(e.data)
	if err != nil {
		return c, err
	}
	if stamp.id != idTimestamp || stamp.size != 8 || stamp.dataEnd > s.size {
		return c, errTorn
	}
	data, err := s.bytes(stamp)
	if err != nil {
		return c, err
	}
	ticks := binary.BigEndian.Uint64(data)
	if ticks > math.MaxInt64/uint64(time.Millisecond)-math.MaxInt16 {
		return c, errTorn
	}
	c.Start = time.Duration(ticks) * time.Millisecond
	c.Last = c.Start
	offset := stamp.dataEnd
	for {
		c.Size = offset - c.Offset
		if c.sized && offset == e.dataEnd {
			c.complete = true
			return c, nil
		}
		b, err := s.at(offset)
		if err != nil {
			return c, err
		}
		if b.id == idCluster || b.id == idCues || (b.id == idVoid && b.size == sumContent) {
			// No block has such an ID: a size that says otherwise is one whose patch a power cut tore.
			c.complete, c.sized = true, false
			return c, nil
		}
		if b.id != idSimpleBlock || b.size < 4 || b.dataEnd > s.size || (c.sized && b.dataEnd > e.dataEnd) {
			return c, errTorn
		}
		if err := s.block(b, &c); err != nil {
			return c, err
		}
		offset = b.dataEnd
	}
}

// block reads a block's own head: track, relative time, flags.
func (s *scanner) block(b element, c *scanned) error {
	head, err := s.blockHead(b)
	if err != nil {
		return err
	}
	track, relative, keyframe := parseBlockHead(head)
	if track == 0 || track > maxTracks {
		return errTorn
	}
	if track == 1 {
		if c.Frames == 0 {
			c.Keyframe = keyframe
		}
		c.Frames++
	}
	c.blocks++
	c.last = b.offset
	c.Last = max(c.Last, c.Start+relative)
	return nil
}

func (s *scanner) blockHead(b element) (head [4]byte, err error) {
	// The head was read along with the element's, unless the file ends there.
	if from := b.data - b.offset; from+4 <= int64(len(s.head)) {
		copy(head[:], s.head[from:from+4])
		return head, nil
	}
	_, err = s.r.ReadAt(s.head[:len(head)], b.data) // of the scanner, as it would be allocated here
	copy(head[:], s.head[:])
	return head, err
}

func parseBlockHead(head [4]byte) (track uint8, relative time.Duration, keyframe bool) {
	if head[0]&0x80 != 0 {
		track = head[0] & 0x7F
	}
	relative = time.Duration(int16(binary.BigEndian.Uint16(head[1:]))) * time.Millisecond
	return track, relative, head[3]&flagKeyframe != 0
}
