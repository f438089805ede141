package mkv

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
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
	Damaged   int64 // bytes between sound fragments that are damaged or cannot be read; they stay in the file
	Lost      int   // frames of video among them that could still be counted
	Finished  bool  // the file had to be finished
}

// ErrEmpty means that a file holds no frame, so there is nothing to keep.
var ErrEmpty = errors.New("the segment holds no frame")

// tornHeader is the size up to which a file whose header is torn is taken for one that never got
// further. A larger one may hold media and is left for a person to look at.
const tornHeader = 64 << 10

// Recover makes a torn file whole: it cuts what is not complete and finishes the file as Close
// would. All complete fragments stay, also those after damage, and of a torn one all frames before
// the tear. A fragment whose checksum does not match is damage: of it the frames before the first that
// cannot be one stay, if there is such a frame, and else none. A file that is whole is not touched. It fails
// with ErrEmpty when there is no frame, and otherwise when the file cannot be read, is not one of ours or
// has a damaged header; then it is left as it was.
func Recover(f RecoverFile, size int64) (Recovery, error) {
	if err := mendRoom(f, size); err != nil {
		return Recovery{}, err
	}
	r, err := Open(f, size)
	if errors.Is(err, errTorn) && size < tornHeader {
		return Recovery{}, fmt.Errorf("%w: %w", ErrEmpty, err)
	}
	if err != nil {
		return Recovery{}, err
	}
	result := Recovery{Size: size}
	found, err := r.survey(r.soundAt)
	if err != nil {
		return result, err
	}
	if len(found.fragments) == 0 {
		return result, ErrEmpty
	}
	if err := r.verifyHeader(); err != nil {
		return result, err
	}
	result.Fragments = found.fragments
	if r.Complete() && found.whole() {
		return result, nil
	}
	result.Cut, result.Lost, result.Finished = size-found.end, found.lost, true
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
	result.Size, err = finish(f, r.at, found.end, found.fragments, found.unsealed)
	return result, err
}

// survey is what an unfinished file holds.
type survey struct {
	fragments []Fragment
	unsealed  []seal // those of them whose head does not say how large they are, or that lack their checksum
	damage    []span // before and between them
	lost      int    // frames of video in damage, as far as they could be counted
	end       int64  // of the last one
}

// whole reports whether nothing is missing, damaged or to be written.
func (s *survey) whole() bool { return len(s.unsealed) == 0 && len(s.damage) == 0 && s.lost == 0 }

// hasRoom reports whether the checksum of the cluster at offset, the next after those surveyed, can be
// written: in its place, or into damage behind the head of its Void element.
func (r *Reader) hasRoom(s *survey, offset int64) bool {
	before := r.at.sum + sumSize
	if len(s.fragments) > 0 {
		before = s.end
	}
	if r.at.sum == 0 || offset < before+sumSize {
		return false // an earlier version wrote the file, or nobody
	}
	if len(s.damage) == 0 || s.damage[len(s.damage)-1].to != offset {
		return true
	}
	size := offset - s.damage[len(s.damage)-1].from
	return size == sumSize || size >= sumSize+smallestVoid
}

// span is a part of a file.
type span struct{ from, to int64 }

// LastFrame is the time of the newest frame of an unfinished file by the heads of the blocks, also when it
// is damaged: what Recover keeps does not go further. It is 0 when there is no frame.
func (r *Reader) LastFrame() (time.Duration, error) {
	s, err := r.survey(func(offset int64) (sound, error) {
		c, err := r.clusterAt(offset)
		return sound{scanned: c}, err
	})
	last := time.Duration(0)
	for _, f := range s.fragments {
		last = max(last, f.Last)
	}
	return last, err
}

// survey looks for what look finds sound, to the end of the file.
func (r *Reader) survey(look func(offset int64) (sound, error)) (survey, error) {
	s := survey{end: r.first}
	for at := r.first; ; {
		if e, err := r.scan.at(at); r.isVoid(e, err) {
			at = e.dataEnd // room for a checksum, or damage that an earlier recovery found
			continue
		}
		c, err := look(at)
		if err != nil {
			return s, err
		}
		s.lost += c.lost
		if c.blocks > 0 {
			if room := r.hasRoom(&s, at); !c.complete || !c.sized || (room && c.state != sumStated) {
				s.unsealed = append(s.unsealed, seal{c.Fragment, c.sum, room})
			}
			s.fragments = append(s.fragments, c.Fragment)
			at += c.Size
			s.end = at
		}
		if c.complete && c.blocks > 0 {
			continue
		}
		// Damage, the end, or a cluster without a frame, which is as good as damage. What is sound
		// after damage is not given up.
		further, found, err := r.clusterAfter(at, func(offset int64) (scanned, error) {
			c, err := look(offset)
			return c.scanned, err
		})
		if err != nil || !found {
			return s, err
		}
		s.damage = append(s.damage, span{at, further})
		at = further
	}
}

// smallestVoid is the least that a Void element takes with our kind of head.
const smallestVoid = 9

// voidHead is the head of a Void element of total bytes, whose content stays as it is.
func voidHead(total int64) []byte {
	return binary.BigEndian.AppendUint64([]byte{idVoid}, sizeMarker8|uint64(total-smallestVoid))
}

// clusterAfter looks for the next cluster after offset that look finds sound, at such a distance that the
// bytes before it can be made a Void element. Its checksum may be among those: it is read by its place.
func (r *Reader) clusterAfter(offset int64, look func(int64) (scanned, error)) (at int64, found bool, err error) {
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
			c, err := look(from + int64(at))
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

// sound is what of a cluster can be kept.
type sound struct {
	scanned
	judgement
	lost int // frames of video that cannot be, as far as they can be counted
}

// soundAt scans and reads the cluster at offset. No block means that nothing of it can be kept.
func (r *Reader) soundAt(offset int64) (sound, error) {
	c, err := r.clusterAt(offset)
	if err != nil || c.blocks == 0 {
		return sound{scanned: c}, err
	}
	j, err := r.judge(c.Fragment)
	if err != nil {
		return sound{}, err
	}
	bad, found := j.first()
	if !found {
		if c.complete && j.state == sumStated && !j.matches() {
			return sound{lost: c.Frames}, nil
		}
		return sound{c, j, 0}, nil
	}
	defer func(size int64) { r.scan.size = size }(r.scan.size)
	r.scan.size = bad.offset
	e, err := r.scan.at(offset)
	if err != nil {
		return sound{}, err
	}
	kept, err := r.scan.cluster(e)
	if err != nil && !errors.Is(err, errTorn) {
		return sound{}, err
	}
	kept.complete, j.sum = false, bad.sum
	return sound{kept, j, c.Frames - kept.Frames}, nil
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
		if hollow, err = r.isHollow(c); err != nil || !hollow {
			break
		}
		// Look again as if the file ended before that block.
		r.scan.size = c.last
		c, err = r.scan.cluster(e)
	}
	return c, err
}

// isHollow reports whether the last block of a torn cluster is not what was written. A power cut can leave
// a file with its new size and without the data, so that the block ends in zeros, as no NAL unit does
// (H.264, 7.4.1) and no audio frame of a camera in so many. Where something else follows than a block, its
// own size may be wrong, which of audio nothing else shows.
func (r *Reader) isHollow(c scanned) (bool, error) {
	if c.blocks == 0 {
		return false, nil
	}
	b, err := r.scan.at(c.last)
	if err != nil {
		return false, err
	}
	head, err := r.scan.blockHead(b)
	if err != nil {
		return false, err
	}
	track, _, _ := parseBlockHead(head)
	video := int(track) <= len(r.header.Tracks) && r.header.Tracks[track-1].Kind == Video
	var end [9]byte // the last 8 of the block, and what follows
	after := end[8:]
	from := max(b.dataEnd-8, b.data+4)
	if _, err := r.scan.r.ReadAt(end[8-(b.dataEnd-from):8], from); err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	zeros := func(n int) bool { return bytes.Equal(end[8-n:8], make([]byte, n)) }
	next, err := r.scan.at(b.dataEnd)
	switch {
	case b.dataEnd+blockHeadSize > r.scan.size, err == nil && next.id == idSimpleBlock && next.dataEnd > r.scan.size:
		return zeros(8), nil // the file ends there
	case err != nil && !errors.Is(err, errTorn):
		return false, err
	}
	if _, err := r.scan.r.ReadAt(after, b.dataEnd); err != nil {
		return false, err
	}
	return zeros(1) || (!video && after[0] != 0), nil
}
