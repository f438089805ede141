package mkv

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// RecoverFile is a file that may have to be cut and finished.
type RecoverFile interface {
	io.ReaderAt
	io.WriterAt
	Truncate(size int64) error
}

// Recovery says what Recover found and did.
type Recovery struct {
	Fragments []Fragment
	Size      int64 // of the file now
	Cut       int64 // bytes of a torn tail that were taken away
	Damaged   int64 // bytes between sound fragments that cannot be read
	Finished  bool  // the file had to be finished
}

// ErrEmpty means that a file holds no frame, so there is nothing to keep.
var ErrEmpty = errors.New("the segment holds no frame")

// tornHeader is the size up to which a file whose header is torn is taken for one that never got
// further. A larger one may hold media and is left for a person to look at.
const tornHeader = 64 << 10

// Recover makes a torn file whole: it cuts what is not complete and finishes the file as Close
// would. All complete fragments stay, also those after damage, and of a torn one all frames before
// the tear. A file that is whole is not touched. It fails with ErrEmpty when there is no frame, and
// otherwise when the file cannot be read or is not one of ours; then it is left as it was.
func Recover(f RecoverFile, size int64) (Recovery, error) {
	r, err := Open(f, size)
	if errors.Is(err, errTorn) && size < tornHeader {
		return Recovery{}, fmt.Errorf("%w: %w", ErrEmpty, err)
	}
	if err != nil {
		return Recovery{}, err
	}
	result := Recovery{Size: size}
	if r.Complete() {
		result.Fragments, err = r.Fragments()
		return result, err
	}
	found, err := r.survey()
	if err != nil {
		return result, err
	}
	if len(found.fragments) == 0 {
		return result, ErrEmpty
	}
	result.Fragments, result.Cut, result.Finished = found.fragments, size-found.end, true
	for _, d := range found.damage {
		// Players and we ourselves pass over it, and a person can still look at it.
		if _, err := f.WriteAt(voidHead(d.to-d.from), d.from); err != nil {
			return result, err
		}
		result.Damaged += d.to - d.from
	}
	if err := f.Truncate(found.end); err != nil {
		return result, err
	}
	result.Size, err = finish(f, r.at, found.end, found.fragments, found.unsized)
	return result, err
}

// survey is what an unfinished file holds.
type survey struct {
	fragments []Fragment
	unsized   []Fragment // those of them whose head does not say how large they are
	damage    []span     // before and between them
	end       int64      // of the last one
}

// span is a part of a file.
type span struct{ from, to int64 }

// survey looks for what is sound, to the end of the file.
func (r *Reader) survey() (survey, error) {
	s := survey{end: r.first}
	for {
		if e, err := r.scan.at(s.end); err == nil && e.id == idVoid && e.size >= 0 && e.dataEnd <= r.scan.size {
			s.end = e.dataEnd // damage that an earlier recovery found
			continue
		}
		c, err := r.clusterAt(s.end)
		if err != nil {
			return s, err
		}
		if c.blocks > 0 {
			if !c.complete || !c.sized {
				s.unsized = append(s.unsized, c.Fragment)
			}
			s.fragments = append(s.fragments, c.Fragment)
			s.end += c.Size
		}
		if c.complete && c.blocks > 0 {
			continue
		}
		// Damage, the end, or a cluster without a frame, which is as good as damage. What is sound
		// after damage is not given up.
		further, found, err := r.clusterAfter(s.end)
		if err != nil || !found {
			return s, err
		}
		s.damage = append(s.damage, span{s.end, further})
		s.end = further
	}
}

// smallestVoid is the least that a Void element takes with our kind of head.
const smallestVoid = 9

// voidHead is the head of a Void element of total bytes, whose content stays as it is.
func voidHead(total int64) []byte {
	return binary.BigEndian.AppendUint64([]byte{idVoid}, sizeMarker8|uint64(total-smallestVoid))
}

// clusterAfter looks for the next sound cluster after offset, at such a distance that the bytes before
// it can be made a Void element.
func (r *Reader) clusterAfter(offset int64) (at int64, found bool, err error) {
	start := binary.BigEndian.AppendUint32(nil, idCluster)
	buffer := make([]byte, 256<<10)
	for from := offset + smallestVoid; from < r.scan.size; {
		n := min(int64(len(buffer)), r.scan.size-from)
		if _, err := r.scan.r.ReadAt(buffer[:n], from); err != nil {
			return 0, false, err
		}
		for at := 0; ; at++ {
			i := bytes.Index(buffer[at:n], start)
			if i < 0 {
				break
			}
			at += i
			c, err := r.clusterAt(from + int64(at))
			if err != nil {
				return 0, false, err
			}
			if c.blocks > 0 {
				return from + int64(at), true, nil
			}
		}
		from += max(n-int64(len(start))+1, 1)
	}
	return 0, false, nil
}

// clusterAt scans the cluster at offset. No block means that there is none.
func (r *Reader) clusterAt(offset int64) (scanned, error) {
	defer func(size int64) { r.scan.size = size }(r.scan.size)
	e, err := r.scan.at(offset)
	if errors.Is(err, errTorn) || (err == nil && e.id != idCluster) {
		return scanned{}, nil
	}
	if err != nil {
		return scanned{}, err
	}
	c, err := r.scan.cluster(e)
	for errors.Is(err, errTorn) {
		var hollow bool
		if hollow, err = r.endsInZeros(c); err != nil || !hollow {
			break
		}
		// Look again as if the file ended before that block.
		r.scan.size = c.last
		c, err = r.scan.cluster(e)
	}
	return c, err
}

// endsInZeros reports whether the last block of a torn cluster was filled up with zeros: a power
// cut can leave a file with its new size and without the data. A NAL unit never ends in a zero
// byte (H.264, 7.4.1), and no audio frame of a camera ends in so many.
func (r *Reader) endsInZeros(c scanned) (bool, error) {
	if c.blocks == 0 {
		return false, nil
	}
	var end [8]byte
	from := max(c.Offset+c.Size-int64(len(end)), c.last)
	n := c.Offset + c.Size - from
	if _, err := r.scan.r.ReadAt(end[:n], from); err != nil {
		return false, err
	}
	return end == [8]byte{}, nil
}
