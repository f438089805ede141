package mkv

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Verify reads a finished file as a whole: every element must be where the one before ends, every
// frame readable, every NAL unit complete. It returns the fragments, also those before a fault.
func (r *Reader) Verify() ([]Fragment, error) {
	list, err := r.Fragments()
	if err != nil {
		return list, err
	}
	for _, f := range list {
		for b, err := range r.Blocks(f) {
			if err != nil {
				return list, err
			}
			if int(b.Track) > len(r.header.Tracks) || (r.header.Tracks[b.Track-1].Kind == Video && !wholeUnits(b.Data)) {
				return list, fmt.Errorf("the frame at %s is damaged", b.Time)
			}
		}
	}
	if !r.Complete() {
		return list, errors.New("the file is not finished, or cut off")
	}
	end := r.first
	if n := len(list); n > 0 {
		end = list[n-1].Offset + list[n-1].Size
	}
	if end == r.scan.size {
		return list, nil
	}
	if e, err := r.scan.at(end); err != nil || e.id != idCues || e.dataEnd != r.scan.size {
		return list, fmt.Errorf("what follows byte %d cannot be read", end)
	}
	return list, nil
}

// wholeUnits reports whether a frame is NAL units with their lengths, and nothing else.
func wholeUnits(data []byte) bool {
	for len(data) > nalLengthSize {
		n := binary.BigEndian.Uint32(data)
		data = data[nalLengthSize:]
		if n == 0 || uint64(n) > uint64(len(data)) {
			return false
		}
		data = data[n:]
	}
	return len(data) == 0
}
