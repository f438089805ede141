package mkv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv/element"
)

// errTorn means that the file ends, or stops being valid, within an element.
var errTorn = errors.New("the file is torn")

// maxHeaderElement bounds what is read into memory at once of Info and Tracks.
const maxHeaderElement = 1 << 20

// extent is a range of bytes in the file.
type extent struct{ from, to int64 }

// elementAt is an element of the file: its head, and the position of its data.
type elementAt struct {
	id      uint32
	offset  int64 // of the head
	data    int64 // of the first byte after the head
	size    int64 // of the data; element.Unknown when it is not known
	dataEnd int64 // data + size; -1 when it is not known
}

// scanner reads elements at offsets of a file of a known size.
type scanner struct {
	r    io.ReaderAt
	size int64
	head [16]byte
}

// at reads the head of the element at offset. It fails with errTorn when there is no valid one.
func (s *scanner) at(offset int64) (elementAt, error) {
	e := elementAt{offset: offset}
	if offset < 0 || offset >= s.size {
		return e, errTorn
	}
	n := min(int64(len(s.head)), s.size-offset)
	if read, err := s.r.ReadAt(s.head[:n], offset); int64(read) < n {
		return e, fmt.Errorf("cannot read the file at %d: %w", offset, err)
	}
	head, err := element.ParseHead(s.head[:n])
	if err != nil {
		return e, errTorn
	}
	e.id, e.data, e.size, e.dataEnd = head.ID, offset+int64(head.Len), head.Size, -1
	if e.size != element.Unknown {
		e.dataEnd = e.data + e.size
	}
	return e, nil
}

// bytes reads the data of a small element.
func (s *scanner) bytes(e elementAt) ([]byte, error) {
	if e.size < 0 || e.size > maxHeaderElement || e.dataEnd > s.size {
		return nil, errTorn
	}
	data := make([]byte, e.size)
	if _, err := s.r.ReadAt(data, e.data); err != nil {
		return nil, fmt.Errorf("cannot read the file at %d: %w", e.data, err)
	}
	return data, nil
}

// each calls fn for the children in data, whose offset in the file is base.
func each(data []byte, base int64, fn func(e elementAt, data []byte) error) error {
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

// scanned is the result of scanning one cluster.
type scanned struct {
	Fragment
	blocks   int
	complete bool  // its end is known: by its size, or by the element that follows
	sized    bool  // its size field has its size
	last     int64 // offset of the last block
}

// cluster scans the cluster at e from the heads of its blocks. When the file is torn within it, the complete part is
// returned with complete unset; Size then extends to the end of the last complete block.
func (s *scanner) cluster(e elementAt) (scanned, error) {
	c := scanned{Fragment: Fragment{Offset: e.offset}, sized: e.size >= 0}
	if e.data-e.offset != clusterPrefixSize {
		return c, errTorn // not a cluster that Writer made
	}
	stamp, err := s.at(e.data)
	if err != nil {
		return c, err
	}
	if stamp.id != element.IDTimestamp || stamp.size != 8 || stamp.dataEnd > s.size {
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
		if b.id == element.IDCluster || b.id == element.IDCues || (b.id == element.IDVoid && (b.size == sumContent || s.covers(b))) {
			// No block has such an ID: the size field is one whose patch was torn by a power cut.
			c.complete, c.sized = true, false
			return c, nil
		}
		if b.id != element.IDSimpleBlock || b.size < 4 || b.dataEnd > s.size || (c.sized && b.dataEnd > e.dataEnd) {
			return c, errTorn
		}
		if err := s.block(b, &c); err != nil {
			return c, err
		}
		offset = b.dataEnd
	}
}

// covers reports whether a Void element covers a GOP that was moved, see Writer.MoveGOP: a checksum follows.
func (s *scanner) covers(e elementAt) bool {
	if e.data-e.offset != smallestVoid || e.size < 0 {
		return false
	}
	next, err := s.at(e.dataEnd)
	return err == nil && next.id == element.IDVoid && next.size == sumContent
}

// block reads a block's own head: track, relative time, flags.
func (s *scanner) block(b elementAt, c *scanned) error {
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

func (s *scanner) blockHead(b elementAt) (head [4]byte, err error) {
	// The head was read together with the element's, unless the file ends there.
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
