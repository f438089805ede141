package mkv

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv/element"
)

// smallestVoid is the least size of a Void element with a head as this package writes it.
const smallestVoid = 9

// clusterAfter searches for the next cluster after offset in which scanAt finds a block, at such a distance that the bytes
// before it can be made a Void element. Its checksum may be among those: it is found by its position.
func (r *Reader) clusterAfter(offset int64, scanAt func(int64) (scanned, error)) (at int64, found bool, err error) {
	start := binary.BigEndian.AppendUint32(nil, element.IDCluster)
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
			c, err := scanAt(from + int64(at))
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

// clusterAt scans the cluster at offset. Without a block there is none.
func (r *Reader) clusterAt(offset int64) (scanned, error) {
	defer func(size int64) { r.scan.size = size }(r.scan.size)
	e, err := r.scan.at(offset)
	if errors.Is(err, errTorn) || (err == nil && e.id != element.IDCluster) {
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
		// Scan again as if the file ended before that block.
		r.scan.size = c.last
		c, err = r.scan.cluster(e)
	}
	return c, err
}

// isHollow reports whether the last block of a torn cluster differs from what was written. A power cut can leave a file with
// its new size and without the data, so that the block ends in zeros, as no NAL unit does (H.264, 7.4.1) and no audio frame
// of a camera with that many. Where something other than a block follows, the block's own size may be wrong, which in audio
// nothing else reveals.
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
	var end [9]byte // the last 8 of the block, and the next one
	after := end[8:]
	from := max(b.dataEnd-8, b.data+4)
	if _, err := r.scan.r.ReadAt(end[8-(b.dataEnd-from):8], from); err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	zeros := func(n int) bool { return bytes.Equal(end[8-n:8], make([]byte, n)) }
	next, err := r.scan.at(b.dataEnd)
	switch {
	case b.dataEnd+blockHeadSize > r.scan.size, err == nil && next.id == element.IDSimpleBlock && next.dataEnd > r.scan.size:
		return zeros(8), nil // the file ends there
	case err != nil && !errors.Is(err, errTorn):
		return false, err
	}
	if _, err := r.scan.r.ReadAt(after, b.dataEnd); err != nil {
		return false, err
	}
	return zeros(1) || (!video && after[0] != 0), nil
}

// isVoid reports whether the element that was read is to be ignored.
func (r *Reader) isVoid(e elementAt, err error) bool {
	return err == nil && e.id == element.IDVoid && e.size >= 0 && e.dataEnd <= r.scan.size
}
