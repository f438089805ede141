package mkv

import (
	"errors"
	"fmt"
	"io"
	"iter"
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
// A fragment at the end of an unfinished file is listed only when its size is known.
func (r *Reader) Fragments() ([]Fragment, error) {
	var list []Fragment
	for offset := r.first; offset < r.scan.size; {
		e, err := r.scan.at(offset)
		if errors.Is(err, errTorn) {
			break
		}
		if err != nil {
			return nil, err
		}
		if e.id == idVoid && e.size >= 0 {
			offset = e.dataEnd // damage, see Recover
			continue
		}
		if e.id != idCluster {
			break
		}
		c, err := r.scan.cluster(e)
		if err != nil && !errors.Is(err, errTorn) {
			return nil, err
		}
		if !c.complete {
			break
		}
		list = append(list, c.Fragment)
		offset += c.Size
	}
	return list, nil
}

// Blocks reads the frames of a fragment in their order. A block's data is valid until the next one.
func (r *Reader) Blocks(f Fragment) iter.Seq2[Block, error] {
	return func(yield func(Block, error) bool) {
		s := scanner{r: r.scan.r, size: min(r.scan.size, f.Offset+f.Size)}
		var data []byte
		for offset := f.Offset + ClusterHeadSize; offset < s.size; {
			b, err := s.at(offset)
			if err == nil && (b.id != idSimpleBlock || b.size < 4 || b.dataEnd > s.size) {
				err = errTorn
			}
			if err != nil {
				yield(Block{}, fmt.Errorf("cannot read the fragment at %d: %w", f.Offset, err))
				return
			}
			if int64(cap(data)) < b.size {
				data = make([]byte, b.size)
			}
			data = data[:b.size]
			if _, err := s.r.ReadAt(data, b.data); err != nil {
				yield(Block{}, fmt.Errorf("cannot read the fragment at %d: %w", f.Offset, err))
				return
			}
			track, relative, keyframe := parseBlockHead([4]byte(data))
			if !yield(Block{Track: track, Time: f.Start + relative, Keyframe: keyframe, Data: data[4:]}, nil) {
				return
			}
			offset = b.dataEnd
		}
	}
}
