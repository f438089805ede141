package mkv

import (
	"errors"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv/element"
)

// Fragments returns the completed fragments from the heads of their blocks, without reading the media. A fragment at the end
// of an unfinished file is included only when its size is known. In a finished file parts that cannot be read are skipped.
func (r *Reader) Fragments() ([]Fragment, error) {
	list, _, err := r.list()
	return list, err
}

// Range is a range of bytes in a file.
type Range struct{ Offset, Size int64 }

// Unread returns the ranges between fragments of a finished file that cannot be read, in order.
func (r *Reader) Unread() ([]Range, error) {
	_, unread, err := r.list()
	list := make([]Range, 0, len(unread))
	for _, s := range unread {
		list = append(list, Range{Offset: s.from, Size: s.to - s.from})
	}
	return list, err
}

// list returns the completed fragments, and the other ranges between them in a finished file.
func (r *Reader) list() (list []Fragment, unread []extent, err error) {
	for offset := r.first; offset < r.scan.size; {
		e, err := r.scan.at(offset)
		if err != nil && !errors.Is(err, errTorn) {
			return nil, nil, err
		}
		if r.isVoid(e, err) {
			offset = e.dataEnd // a checksum, or damage, see Recover
			continue
		}
		if err == nil && e.id == element.IDCues {
			break
		}
		var c scanned
		if err == nil && e.id == element.IDCluster {
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
		unread = append(unread, extent{offset, next})
		offset = next
	}
	return list, unread, nil
}
