package mkv

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
)

// Reader reads a segment file of ours, finished or still being written.
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

// Header gives what stands before the first cluster.
func (r *Reader) Header() Header { return r.header }

// Complete reports whether the file was finished by Close or Recover.
func (r *Reader) Complete() bool {
	segment, err := r.scan.at(r.at.segmentSize - 4)
	return err == nil && segment.size >= 0 && segment.dataEnd == r.scan.size
}

// Fragments lists the completed fragments by the heads of their blocks, without reading the media.
// A fragment at the end of an unfinished file is listed only when its size is known. In a finished file
// what cannot be read is passed over.
func (r *Reader) Fragments() ([]Fragment, error) {
	list, _, err := r.list()
	return list, err
}

// Range is bytes of a file.
type Range struct{ Offset, Size int64 }

// Unread lists where a finished file has something between its fragments that cannot be read, in order.
func (r *Reader) Unread() ([]Range, error) {
	_, unread, err := r.list()
	list := make([]Range, 0, len(unread))
	for _, s := range unread {
		list = append(list, Range{Offset: s.from, Size: s.to - s.from})
	}
	return list, err
}

// list gives the completed fragments, and where a finished file has something else between them.
func (r *Reader) list() (list []Fragment, unread []span, err error) {
	for offset := r.first; offset < r.scan.size; {
		e, err := r.scan.at(offset)
		if err != nil && !errors.Is(err, errTorn) {
			return nil, nil, err
		}
		if r.isVoid(e, err) {
			offset = e.dataEnd // a checksum, or damage, see Recover
			continue
		}
		if err == nil && e.id == idCues {
			break
		}
		var c scanned
		if err == nil && e.id == idCluster {
			if c, err = r.scan.cluster(e); err != nil && !errors.Is(err, errTorn) {
				return nil, nil, err
			}
		}
		if c.complete {
			list = append(list, c.Fragment)
			offset += c.Size
			continue
		}
		if !r.Complete() {
			break
		}
		next, found, err := r.clusterAfter(offset, r.clusterAt)
		if err != nil {
			return nil, nil, err
		}
		if !found {
			next = r.scan.size
		}
		unread = append(unread, span{offset, next})
		offset = next
	}
	return list, unread, nil
}

// isVoid reports whether an element was read that is to be passed over.
func (r *Reader) isVoid(e element, err error) bool {
	return err == nil && e.id == idVoid && e.size >= 0 && e.dataEnd <= r.scan.size
}

// Blocks reads the frames of a fragment in their order. A block's data is valid until the next one.
func (r *Reader) Blocks(f Fragment) iter.Seq2[Block, error] {
	return func(yield func(Block, error) bool) {
		for b, err := range r.blocks(f) {
			if !yield(b.Block, err) {
				return
			}
		}
	}
}

// rawBlock is a block with its element as a whole, which is valid as long as its data.
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
			if err == nil && (b.id != idSimpleBlock || b.size < 4 || b.dataEnd > s.size) {
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
