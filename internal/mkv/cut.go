package mkv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv/element"
)

// ErrNoFrame means that a fragment has no frame of a selected track. KVS accepts a fragment only with a frame of every track
// of its session.
var ErrNoFrame = errors.New("the fragment has no frame of a selected track")

// Cut reads fragments without the blocks of tracks that are not selected, or only a part of them. It is used for one
// fragment after the other and reuses its memory, 16 bytes for each extent and each patch.
type Cut struct {
	heads   headReader
	scan    scanner
	extents []extent
	patches []patch // in the order of the file
	size    int64
	read    cutPosition
}

// cutPosition is the position of the next read.
type cutPosition struct {
	next    int   // index in extents
	done    int64 // bytes of the next extent
	patched int   // index in patches: the previous ones are before the next byte
}

// Load finds the selected tracks' part of a fragment from the heads of the blocks. Only blocks are kept: a checksum or a
// position would be wrong.
func (c *Cut) Load(r io.ReaderAt, f Fragment, s Selection) error {
	return c.LoadPart(r, f, s, wholeOf(f))
}

// LoadPart is Load for one part of the fragment. The blocks' times then count from the part's Start.
func (c *Cut) LoadPart(r io.ReaderAt, f Fragment, s Selection, p Part) error {
	c.extents, c.patches = c.extents[:0], c.patches[:0] // reuses their memory
	c.size = 0
	c.read = cutPosition{}
	var seen [maxTracks + 1]bool
	c.rewind(r, f)
	for offset := f.Offset + ClusterHeadSize; offset < c.scan.size; {
		b, err := c.block(offset, f.Start)
		if err != nil {
			return fmt.Errorf("cannot read the fragment at %d: %w", f.Offset, err)
		}
		offset = b.to
		if !s.kept[b.track] || !p.has(b.time) {
			continue
		}
		seen[b.track] = true
		c.keep(b.from, b.to)
		if p.Start != f.Start {
			c.patches = append(c.patches, timePatch(b, p.Start))
		}
	}
	if i := slices.IndexFunc(s.Header.Tracks, func(t Track) bool { return !seen[t.Number] }); i >= 0 {
		return fmt.Errorf("track %d of the fragment at %d: %w", s.Header.Tracks[i].Number, f.Offset, ErrNoFrame)
	}
	return nil
}

// rewind goes to the start of a fragment.
func (c *Cut) rewind(r io.ReaderAt, f Fragment) {
	c.heads = headReader{r: r, end: f.Offset + f.Size}
	c.scan.r, c.scan.size = &c.heads, c.heads.end
}

// cutBlock is a block of a fragment, or other elements between blocks: then its track is 0.
type cutBlock struct {
	from, to int64 // in the file
	head     int64 // offset of the block's own head
	track    uint8
	keyframe bool
	time     time.Duration // since Header.Start
}

// block reads the heads of the element at offset, in a cluster with that timestamp.
func (c *Cut) block(offset int64, start time.Duration) (cutBlock, error) {
	e, err := c.scan.at(offset)
	if err == nil && (e.size < 0 || e.dataEnd > c.scan.size) {
		err = errTorn
	}
	if err != nil {
		return cutBlock{}, err
	}
	b := cutBlock{from: e.offset, to: e.dataEnd}
	if e.id != element.IDSimpleBlock && e.id != element.IDBlockGroup {
		return b, nil
	}
	simple := e.id == element.IDSimpleBlock
	if e, err = c.inner(e); err != nil {
		return b, err
	}
	head, err := c.scan.blockHead(e)
	if err != nil {
		return b, err
	}
	track, relative, keyframe := parseBlockHead(head)
	if track == 0 || track > maxTracks {
		return b, errTorn
	}
	b.head, b.track, b.time, b.keyframe = e.data, track, start+relative, simple && keyframe
	return b, nil
}

// inner returns the block itself, or the one in a group.
func (c *Cut) inner(e elementAt) (elementAt, error) {
	for end := e.dataEnd; e.id != element.IDSimpleBlock && e.id != element.IDBlock; {
		at := e.dataEnd
		if e.id == element.IDBlockGroup {
			at = e.data
		}
		var err error
		if e, err = c.scan.at(at); err != nil {
			return e, err
		}
		if e.size < 0 || e.dataEnd > end {
			return e, errTorn
		}
	}
	if e.size < 4 {
		return e, errTorn
	}
	return e, nil
}

// keep adds bytes to the last extent, or starts another.
func (c *Cut) keep(from, to int64) {
	c.size += to - from
	if n := len(c.extents); n > 0 && c.extents[n-1].to == from {
		c.extents[n-1].to = to
		return
	}
	c.extents = append(c.extents, extent{from, to})
}

// Size returns how many bytes Read returns in all: those after the cluster's head.
func (c *Cut) Size() int64 { return c.size }

// Read fills p with the next bytes, as far as there are any.
func (c *Cut) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) && c.read.next < len(c.extents) {
		s := c.extents[c.read.next]
		from := s.from + c.read.done
		want := int(min(int64(len(p)-n), s.to-from))
		read, err := c.heads.r.ReadAt(p[n:n+want], from)
		c.patch(p[n:n+read], from)
		n += read
		c.read.done += int64(read)
		if read < want {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return n, err
		}
		if from+int64(read) == s.to {
			c.read.next++
			c.read.done = 0
		}
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// patch is a block's new time, which replaces the one in the file.
type patch struct {
	at   int64 // offset in the file
	time [2]byte
}

// timePatch returns the patch that makes a block's time count from start.
func timePatch(b cutBlock, start time.Duration) patch {
	p := patch{at: b.head + 1}
	binary.BigEndian.PutUint16(p.time[:], uint16(int16((b.time - start).Milliseconds())))
	return p
}

// patch writes the new times into bytes that were read from the file at offset from.
func (c *Cut) patch(data []byte, from int64) {
	end := from + int64(len(data))
	for c.read.patched < len(c.patches) {
		p := c.patches[c.read.patched]
		if p.at >= end {
			return
		}
		for i, b := range p.time {
			if at := p.at + int64(i) - from; at >= 0 && at < int64(len(data)) {
				data[at] = b
			}
		}
		if p.at+int64(len(p.time)) > end {
			return // its second byte is in the next read
		}
		c.read.patched++
	}
}

// headRead is how much is read of the file for the head of a block: the audio blocks between two video frames are found with
// one read.
const headRead = 1 << 10

// headReader reads the heads of blocks.
type headReader struct {
	r    io.ReaderAt
	end  int64 // of the readable part
	at   int64 // offset of bytes in the file
	n    int   // how many bytes are valid
	data [headRead]byte
}

// ReadAt implements io.ReaderAt for reads of at most headRead bytes.
func (h *headReader) ReadAt(p []byte, off int64) (int, error) {
	if off < h.at || off+int64(len(p)) > h.at+int64(h.n) {
		n, err := h.r.ReadAt(h.data[:min(headRead, max(h.end-off, 0))], off)
		if h.at, h.n = off, n; n < len(p) {
			return copy(p, h.data[:n]), errors.Join(err, io.ErrUnexpectedEOF)
		}
	}
	return copy(p, h.data[off-h.at:h.n]), nil
}
