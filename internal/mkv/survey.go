package mkv

import (
	"errors"
	"slices"
	"time"
)

// survey is the usable content of an unfinished file.
type survey struct {
	fragments  []Fragment
	incomplete []completion // those of them whose head does not state their size, or that lack their checksum
	damage     []extent     // before and between them
	lost       int          // frames of video in damage, as far as they could be counted
	end        int64        // of the last one
}

// whole reports whether nothing is missing, damaged or to be written.
func (s *survey) whole() bool { return len(s.incomplete) == 0 && len(s.damage) == 0 && s.lost == 0 }

// remove leaves out a fragment; the last one is cut off.
func (s *survey) remove(i int) {
	gone := s.fragments[i]
	s.fragments = slices.Delete(s.fragments, i, i+1)
	s.incomplete = slices.DeleteFunc(s.incomplete, func(c completion) bool { return c.Offset == gone.Offset })
	if i == len(s.fragments) {
		s.end = s.fragments[i-1].Offset + s.fragments[i-1].Size
		s.damage = slices.DeleteFunc(s.damage, func(e extent) bool { return e.from >= s.end })
	}
}

// hasRoom reports whether the checksum of the cluster at offset, the next after those surveyed, can be written: into its
// room, or into damage after the head of its Void element.
func (r *Reader) hasRoom(s *survey, offset int64) bool {
	before := r.at.sum + sumSize
	if len(s.fragments) > 0 {
		before = s.end
	}
	if r.at.sum == 0 || offset < before+sumSize {
		return false // an earlier version wrote the file, or another program
	}
	if len(s.damage) == 0 || s.damage[len(s.damage)-1].to != offset {
		return true
	}
	size := offset - s.damage[len(s.damage)-1].from
	return size == sumSize || size >= sumSize+smallestVoid
}

// LastFrame returns the time of the newest frame of an unfinished file from the heads of the blocks, also when it is
// damaged: Recover keeps nothing after it. It is 0 when there is no frame.
func (r *Reader) LastFrame() (time.Duration, error) {
	s, err := r.survey(func(offset int64) (salvage, error) {
		c, err := r.clusterAt(offset)
		return salvage{scanned: c}, err
	})
	last := time.Duration(0)
	for _, f := range s.fragments {
		last = max(last, f.Last)
	}
	return last, err
}

// survey finds everything that can be kept, according to scanAt, to the end of the file.
func (r *Reader) survey(scanAt func(offset int64) (salvage, error)) (survey, error) {
	s := survey{end: r.first}
	for at := r.first; ; {
		if e, err := r.scan.at(at); r.isVoid(e, err) {
			at = e.dataEnd // room for a checksum, or damage that an earlier recovery found
			continue
		}
		c, err := scanAt(at)
		if err != nil {
			return s, err
		}
		s.lost += c.lost
		if c.blocks > 0 {
			if room := r.hasRoom(&s, at); !c.complete || !c.sized || (room && c.state != sumStated) {
				s.incomplete = append(s.incomplete, completion{c.Fragment, c.sum, room})
			}
			s.fragments = append(s.fragments, c.Fragment)
			at += c.Size
			s.end = at
		}
		if c.complete && c.blocks > 0 {
			continue
		}
		// Damage, the end, or a cluster without a frame, which counts as damage. Intact fragments after damage are kept.
		further, found, err := r.clusterAfter(at, func(offset int64) (scanned, error) {
			c, err := scanAt(offset)
			return c.scanned, err
		})
		if err != nil || !found {
			return s, err
		}
		s.damage = append(s.damage, extent{at, further})
		at = further
	}
}

// salvage is the part of a cluster that can be kept.
type salvage struct {
	scanned
	judgement
	lost int // frames of video that cannot be kept, as far as they can be counted
}

// salvageAt scans and reads the cluster at offset. Without a block no part of it can be kept.
func (r *Reader) salvageAt(offset int64) (salvage, error) {
	c, err := r.clusterAt(offset)
	if err != nil || c.blocks == 0 {
		return salvage{scanned: c}, err
	}
	j, err := r.judge(c.Fragment)
	if err != nil {
		return salvage{}, err
	}
	bad, found := j.first()
	if damaged := c.complete && j.state == sumStated && !j.matches(); damaged && !found {
		if bad, found = j.tails, j.tails.offset > 0; !found {
			return salvage{lost: c.Frames}, nil
		}
	}
	if !found {
		return salvage{c, j, 0}, nil
	}
	defer func(size int64) { r.scan.size = size }(r.scan.size)
	r.scan.size = bad.offset
	e, err := r.scan.at(offset)
	if err != nil {
		return salvage{}, err
	}
	kept, err := r.scan.cluster(e)
	if err != nil && !errors.Is(err, errTorn) {
		return salvage{}, err
	}
	kept.complete, j.sum = false, bad.sum
	return salvage{kept, j, c.Frames - kept.Frames}, nil
}
