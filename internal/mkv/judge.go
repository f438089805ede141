package mkv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// ErrChecksum means that bytes differ from those that were written.
var ErrChecksum = errors.New("its checksum does not match")

var errChecksumTorn = errors.New("its checksum is damaged")

// suspect is a frame that may differ from what was written.
type suspect struct {
	offset int64 // of its block, 0 when there is none
	time   time.Duration
	sum    uint32 // of the cluster up to there
}

// note keeps the first suspect frame.
func (s *suspect) note(found suspect) {
	if s.offset == 0 {
		*s = found
	}
}

// judgement is the result of reading a cluster's bytes.
type judgement struct {
	stated uint32
	state  sumState
	sum    uint32  // of the bytes that were read
	units  suspect // video that is not NAL units, or of a track that does not exist
	holes  suspect // video with a run of zeros, which no encoder makes
	tails  suspect // a frame that ends in a zero, as if its end had not been written: of video, or the last one
}

// matches reports whether the checksum proves that the cluster is intact.
func (j *judgement) matches() bool { return j.state == sumStated && j.stated == j.sum }

// first returns the first frame that cannot be what was written.
func (j *judgement) first() (suspect, bool) {
	if j.matches() {
		return suspect{}, false
	}
	if j.holes.offset > 0 && (j.units.offset == 0 || j.holes.offset < j.units.offset) {
		return j.holes, true
	}
	return j.units, j.units.offset > 0
}

// err returns what is wrong with a complete cluster.
func (j *judgement) err() error {
	bad, found := j.first()
	switch {
	case j.matches() && j.units.offset > 0: // written so
		bad, found = j.units, true
	case !found && j.state == sumStated && !j.matches():
		return ErrChecksum
	case !found && j.state == sumTorn:
		return errChecksumTorn
	}
	if !found {
		return nil
	}
	return fmt.Errorf("the frame at %s is damaged", bad.time)
}

// judge reads the frames of a cluster. It fails when the file cannot be read, or is torn within it.
func (r *Reader) judge(f Fragment) (judgement, error) {
	var j judgement
	var err error
	if j.stated, j.state, err = sumBefore(r.scan.r, f.Offset); err != nil {
		return j, err
	}
	var head [ClusterHeadSize]byte
	if _, err := r.scan.r.ReadAt(head[:], f.Offset); err != nil {
		return j, err
	}
	j.sum = addSum(0, head[clusterPrefixSize:])
	offset := f.Offset + ClusterHeadSize
	var last suspect // the last frame, if it ends in a zero
	for b, err := range r.blocks(f) {
		if err != nil {
			return j, err
		}
		here := suspect{offset, b.Time, j.sum}
		cutOff := len(b.Data) > 0 && b.Data[len(b.Data)-1] == 0
		if last = (suspect{}); cutOff {
			last = here
		}
		switch known := b.Track > 0 && int(b.Track) <= len(r.header.Tracks); {
		case !known:
			j.units.note(here)
		case r.header.Tracks[b.Track-1].Kind == Video:
			whole, hole := units(b.Data)
			if !whole {
				j.units.note(here)
			} else if hole {
				j.holes.note(here)
			} else if cutOff {
				j.tails.note(here)
			}
		}
		j.sum = addSum(j.sum, b.raw)
		offset += int64(len(b.raw))
	}
	j.tails.note(last)
	return j, nil
}

// units reports whether a frame consists of NAL units with their lengths, and whether one of them has a hole: zeros within
// it, as from a page that a disk lost. Some encoders end a unit in zeros.
func units(data []byte) (whole, hole bool) {
	for len(data) > nalLengthSize {
		n := binary.BigEndian.Uint32(data)
		data = data[nalLengthSize:]
		if n == 0 || uint64(n) > uint64(len(data)) {
			return false, hole
		}
		end := n
		for end > 0 && data[end-1] == 0 {
			end--
		}
		hole = hole || holdsZeros(data[:end])
		data = data[n:]
	}
	return len(data) == 0, hole
}

// zeroRun is how many zero bytes in a row no frame has. A NAL unit never has three (H.264 and H.265, 7.4.1): they are
// escaped.
const zeroRun = 64

// holdsZeros reports whether there is a run of zeroRun zero bytes in data. It reads a quarter of it.
func holdsZeros(data []byte) bool {
	const step = zeroRun / 2 // so that a run holds a whole word at a multiple of it
	for i := 0; i+8 <= len(data); i += step {
		if binary.NativeEndian.Uint64(data[i:]) != 0 {
			continue
		}
		from, to := i, i+8
		for from > 0 && data[from-1] == 0 {
			from--
		}
		for to < len(data) && data[to] == 0 {
			to++
		}
		if to-from >= zeroRun {
			return true
		}
		i = max(i, to/step*step-step)
	}
	return false
}
