package mkv

import (
	"fmt"
	"io"
	"iter"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv/element"
)

// Reader reads a segment file that Writer made, finished or still being written.
type Reader struct {
	scan   scanner
	header Header
	at     layout
	first  int64 // offset of the first cluster
}

// Open reads the header of a file of size bytes.
func Open(r io.ReaderAt, size int64) (*Reader, error) {
	reader := &Reader{scan: scanner{r: r, size: size}}
	var err error
	if reader.header, reader.at, reader.first, err = reader.scan.header(); err != nil {
		return nil, fmt.Errorf("cannot read the segment: %w", err)
	}
	return reader, nil
}

// Header returns the content of the file before the first cluster.
func (r *Reader) Header() Header { return r.header }

// Complete reports whether the file was finished by Close or Recover.
func (r *Reader) Complete() bool {
	segment, err := r.scan.at(r.at.segmentSize - 4)
	return err == nil && segment.size >= 0 && segment.dataEnd == r.scan.size
}

// Blocks returns the frames of a fragment in order. A block's data is valid until the next one.
func (r *Reader) Blocks(f Fragment) iter.Seq2[Block, error] {
	return func(yield func(Block, error) bool) {
		for b, err := range r.blocks(f) {
			if !yield(b.Block, err) {
				return
			}
		}
	}
}

// rawBlock is a block with its complete element, which is valid as long as its data.
type rawBlock struct {
	Block
	raw []byte
}

func (r *Reader) blocks(f Fragment) iter.Seq2[rawBlock, error] {
	return func(yield func(rawBlock, error) bool) {
		s := scanner{r: r.scan.r, size: min(r.scan.size, f.Offset+f.Size)}
		var raw []byte
		for offset := f.Offset + ClusterHeadSize; offset < s.size; {
			b, err := s.at(offset)
			if err == nil && (b.id != element.IDSimpleBlock || b.size < 4 || b.dataEnd > s.size) {
				err = errTorn
			}
			if err == nil {
				raw = slices.Grow(raw[:0], int(b.dataEnd-b.offset))[:b.dataEnd-b.offset]
				_, err = s.r.ReadAt(raw, b.offset)
			}
			if err != nil {
				yield(rawBlock{}, fmt.Errorf("cannot read the fragment at %d: %w", f.Offset, err))
				return
			}
			data := raw[b.data-b.offset:]
			track, relative, keyframe := parseBlockHead([4]byte(data))
			if !yield(rawBlock{Block{Track: track, Time: f.Start + relative, Keyframe: keyframe, Data: data[4:]}, raw}, nil) {
				return
			}
			offset = b.dataEnd
		}
	}
}

// Place is where a frame is in the file.
type Place struct {
	Track    uint8
	Time     time.Duration // since Header.Start
	Keyframe bool
	Offset   int64 // of its data in the file
	Size     int64
}

// Places returns where the frames of a fragment are, in the order of the file, from the heads of the blocks: the media is not read.
func Places(r io.ReaderAt, f Fragment) iter.Seq2[Place, error] {
	return func(yield func(Place, error) bool) {
		var c Cut
		c.rewind(r, f)
		for offset := f.Offset + ClusterHeadSize; offset < c.scan.size; {
			b, err := c.block(offset, f.Start)
			if err != nil {
				yield(Place{}, fmt.Errorf("cannot read the fragment at %d: %w", f.Offset, err))
				return
			}
			data := b.head + 4 // track, time and flags precede it
			if b.track > 0 && !yield(Place{b.track, b.time, b.keyframe, data, b.to - data}, nil) {
				return
			}
			offset = b.to
		}
	}
}
