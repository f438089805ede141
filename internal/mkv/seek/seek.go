// Package seek finds keyframes and clusters in segment files without reading the heads of all blocks: keyframes by the cues that a finished
// file ends with, and one cluster after the other from any of them. It must not know what they are sought for.
package seek

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv"
	"github.com/kvs-edge/kvs-edge-agent/internal/mkv/element"
)

// Point is a keyframe that a file has a cue of.
type Point struct {
	Time    time.Duration // since the segment's start
	Cluster int64         // offset of its cluster in the file
}

// ErrNoCues means that a file has no cues that can be read: it is not finished, or damaged, or has no keyframe.
var ErrNoCues = errors.New("the file has no cues")

// The elements of a file that point to keyframes. Source: RFC 9559, section 5.1.
const (
	idSeekHead           = 0x114D9B74
	idSeek               = 0x4DBB
	idSeekID             = 0x53AB
	idSeekPosition       = 0x53AC
	idCuePoint           = 0xBB
	idCueTime            = 0xB3
	idCueTrackPositions  = 0xB7
	idCueClusterPosition = 0xF1
)

// What is read into memory at once, in bytes: the room for the SeekHead is 120, and the cues of an hour in which each frame is a keyframe
// are 1 MB.
const (
	maxSeekHead = 4 << 10
	maxCues     = 8 << 20
)

// Cues returns the keyframes that a finished file of size bytes has cues of, in the order of their times.
func Cues(r io.ReaderAt, size int64) ([]Point, error) {
	base, err := segmentOf(r, size)
	if err != nil {
		return nil, err
	}
	at, err := cuesAt(r, base, size)
	if err != nil {
		return nil, err
	}
	cues, err := headAt(r, base+at, size)
	if err != nil || cues.ID != element.IDCues || cues.Size < 0 || cues.Size > min(maxCues, size-base-at-int64(cues.Len)) {
		return nil, errors.Join(ErrNoCues, err)
	}
	content := make([]byte, cues.Size)
	if _, err := r.ReadAt(content, base+at+int64(cues.Len)); err != nil {
		return nil, fmt.Errorf("cannot read the cues: %w", err)
	}
	var list []Point
	each(content, func(id uint32, content []byte) {
		if p, ok := point(content, base); id == idCuePoint && ok && p.Cluster < size {
			list = append(list, p)
		}
	})
	if len(list) == 0 {
		return nil, ErrNoCues
	}
	slices.SortStableFunc(list, func(a, b Point) int { return int(a.Time - b.Time) })
	return list, nil
}

// segmentOf returns the offset of the Segment's first child, from which positions count.
func segmentOf(r io.ReaderAt, size int64) (base int64, err error) {
	for at := int64(0); ; {
		h, err := headAt(r, at, size)
		if err != nil {
			return 0, err
		}
		at += int64(h.Len)
		if h.ID == element.IDSegment {
			return at, nil
		}
		if h.Size < 0 {
			return 0, ErrNoCues
		}
		at += h.Size
	}
}

// cuesAt returns the position of the cues, according to the SeekHead at an offset.
func cuesAt(r io.ReaderAt, at, size int64) (position int64, err error) {
	h, err := headAt(r, at, size)
	if err != nil || h.ID != idSeekHead || h.Size < 0 || h.Size > maxSeekHead {
		return 0, errors.Join(ErrNoCues, err)
	}
	content := make([]byte, h.Size)
	if _, err := r.ReadAt(content, at+int64(h.Len)); err != nil {
		return 0, fmt.Errorf("cannot read the positions in the file: %w", err)
	}
	found := false
	each(content, func(id uint32, content []byte) {
		var of, position64 uint64
		each(content, func(id uint32, content []byte) {
			switch id {
			case idSeekID:
				of = element.Number(content)
			case idSeekPosition:
				position64 = element.Number(content)
			}
		})
		if id == idSeek && of == element.IDCues && position64 < uint64(size) {
			position, found = int64(position64), true
		}
	})
	if !found {
		return 0, ErrNoCues
	}
	return position, nil
}

// maxTime is the latest time that a cue is believed to have, in ms: a file has some minutes.
const maxTime = uint64(365 * 24 * time.Hour / time.Millisecond)

// point reads a CuePoint.
func point(content []byte, base int64) (p Point, ok bool) {
	var ms, cluster uint64
	times, clusters := 0, 0
	each(content, func(id uint32, content []byte) {
		switch id {
		case idCueTime:
			ms, times = element.Number(content), times+1
		case idCueTrackPositions:
			each(content, func(id uint32, content []byte) {
				if id == idCueClusterPosition {
					cluster, clusters = element.Number(content), clusters+1
				}
			})
		}
	})
	if times != 1 || clusters != 1 || ms > maxTime || cluster > 1<<62 {
		return p, false
	}
	return Point{time.Duration(ms) * time.Millisecond, base + int64(cluster)}, true
}

// each calls fn for the elements in content, up to one that is not valid.
func each(content []byte, fn func(id uint32, content []byte)) {
	for len(content) > 0 {
		h, err := element.ParseHead(content)
		if err != nil || h.Size < 0 || h.Size > int64(len(content)-h.Len) {
			return
		}
		end := h.Len + int(h.Size)
		fn(h.ID, content[h.Len:end])
		content = content[end:]
	}
}

// headAt reads the head of the element at an offset.
func headAt(r io.ReaderAt, at, size int64) (element.Head, error) {
	var data [element.MaxHead]byte
	n := min(int64(len(data)), size-at)
	if n <= 0 {
		return element.Head{}, io.ErrUnexpectedEOF
	}
	if read, err := r.ReadAt(data[:n], at); int64(read) < n {
		return element.Head{}, fmt.Errorf("cannot read the file at %d: %w", at, err)
	}
	return element.ParseHead(data[:n])
}

// Cluster returns the first cluster that begins at an offset of a file or later; one that does not state its size extends to size, up to
// which the file is read. Of the fragment, Last, Frames and Keyframe are not set. found is false where there is none: at the end, at the
// cues, and where the file cannot be understood.
func Cluster(r io.ReaderAt, offset, size int64) (f mkv.Fragment, found bool, err error) {
	for offset < size {
		h, err := headAt(r, offset, size)
		switch {
		case isParseError(err):
			return f, false, nil
		case err != nil:
			return f, false, err
		case h.ID == element.IDSegment:
			offset += int64(h.Len)
			continue
		case h.ID == element.IDCluster:
			return clusterAt(r, offset, size, h)
		case h.ID == element.IDCues || h.Size < 0:
			return f, false, nil
		}
		offset += int64(h.Len) + h.Size
	}
	return f, false, nil
}

// isParseError reports whether there is no element, or not all of its head.
func isParseError(err error) bool {
	return errors.Is(err, element.ErrShort) || errors.Is(err, element.ErrNoID) || errors.Is(err, element.ErrNoSize)
}

// clusterAt reads the cluster's own head.
func clusterAt(r io.ReaderAt, offset, size int64, h element.Head) (f mkv.Fragment, found bool, err error) {
	f = mkv.Fragment{Offset: offset, Size: size - offset}
	if h.Size >= 0 {
		f.Size = min(int64(h.Len)+h.Size, f.Size)
	}
	if f.Size < mkv.ClusterHeadSize {
		return f, false, nil
	}
	var head [mkv.ClusterHeadSize]byte
	if _, err := r.ReadAt(head[:], offset); err != nil {
		return f, false, fmt.Errorf("cannot read the file at %d: %w", offset, err)
	}
	stamp, err := element.ParseHead(head[h.Len:])
	if err != nil || stamp.ID != element.IDTimestamp || stamp.Size < 1 || h.Len+stamp.Len+int(stamp.Size) != len(head) {
		return f, false, nil // it was not written by this agent
	}
	ms := element.Number(head[h.Len+stamp.Len:])
	if ms > maxTime {
		return f, false, nil
	}
	f.Start = time.Duration(ms) * time.Millisecond
	return f, true, nil
}
