package mkv

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"slices"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv/element"
)

// RecoverFile is a file that may have to be truncated and finished.
type RecoverFile interface {
	io.ReaderAt
	io.WriterAt
	Truncate(size int64) error
}

// Recovery is the result of Recover.
type Recovery struct {
	Fragments []Fragment
	Size      int64 // of the file now
	Cut       int64 // bytes of a torn tail that were removed
	Damaged   int64 // bytes between intact fragments that are damaged or cannot be read; they stay in the file
	Lost      int   // frames of video among them that could still be counted
	Finished  bool  // the file had to be finished
}

// ErrEmpty means that a file has no frame, so there is nothing to keep.
var ErrEmpty = errors.New("the segment holds no frame")

// tornHeader is the size up to which a file with a torn header is assumed to have no media. A larger one may have media and
// is left for a person to check.
const tornHeader = 64 << 10

// Recover repairs a torn file: it truncates the incomplete end and finishes the file as Close would. All complete fragments
// stay, also those after damage, and of a torn one all frames before the tear. A fragment whose checksum does not match is
// damaged: of it the frames before the first one that cannot be right stay, if there is such a frame, and otherwise none. An
// intact file is not touched. It fails with ErrEmpty when there is no frame, and otherwise when the file cannot be read, was
// not made by Writer or has a damaged header; then it is left as it was.
func Recover(f RecoverFile, size int64) (Recovery, error) {
	if err := repairSeekRoom(f, size); err != nil {
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
	found, err := r.survey(r.salvageAt)
	if err != nil {
		return result, err
	}
	if len(found.fragments) == 0 {
		return result, ErrEmpty
	}
	copied, err := r.settleMoves(&found)
	if err != nil {
		return result, err
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
		result.Damaged += d.to - d.from
	}
	for _, d := range append(found.damage, copied...) {
		// Players and this package ignore it, and a person can still examine it.
		if _, err := f.WriteAt(voidHead(d.to-d.from), d.from); err != nil {
			return result, err
		}
	}
	if err := f.Truncate(found.end); err != nil {
		return result, err
	}
	all, err := contentsOf(f, found.fragments)
	if err != nil {
		return result, err
	}
	result.Size, err = finish(f, r.at, found.end, all, found.incomplete)
	return result, err
}

// settleMoves finishes the moves of GOPs that a crash interrupted (see Writer.MoveGOP), in what was found: of the GOP and its copy the
// one with more frames stays. It returns what is to be covered.
func (r *Reader) settleMoves(found *survey) (copied []extent, err error) {
	for i := 1; i < len(found.fragments); i++ {
		a, b := found.fragments[i-1], found.fragments[i]
		if !b.Keyframe || b.Start <= a.Start || b.Start > a.Last+time.Millisecond {
			continue
		}
		k, err := newestGOP(r.scan.r, a)
		if err != nil {
			return copied, err
		} else if k.offset == 0 {
			continue
		}
		same, longer, err := r.compare(Fragment{Offset: k.offset - ClusterHeadSize, Size: a.Offset + a.Size - k.offset + ClusterHeadSize}, b)
		open := slices.IndexFunc(found.incomplete, func(c completion) bool { return c.Offset == a.Offset })
		switch {
		case err != nil:
			return copied, err
		case !same || open < 0:
		case longer:
			found.remove(i)
			copied = append(copied, extent{b.Offset, b.Offset + b.Size})
			i--
		default:
			copied = append(copied, extent{k.offset, a.Offset + a.Size})
			a.Size, a.Last, a.Frames = k.offset-a.Offset, k.last, k.frames
			found.fragments[i-1], found.incomplete[open].Fragment = a, a
			if found.incomplete[open].sum, err = sumOf(r.scan.r, a); err != nil {
				return copied, err
			}
		}
	}
	return slices.DeleteFunc(copied, func(e extent) bool { return e.from >= found.end }), nil
}

// compare reports whether two fragments have the same frames, whatever their times, as far as the shorter one goes, and whether the
// first one has more of them. The end of a last frame may be zeros, if it was not written.
func (r *Reader) compare(a, b Fragment) (same, longer bool, err error) {
	next, stop := iter.Pull2(r.blocks(b))
	defer stop()
	differ := false
	for x, err := range r.blocks(a) {
		if err != nil || differ {
			return false, false, ofDisk(err)
		}
		y, err, more := next()
		if err != nil || !more {
			return err == nil, true, ofDisk(err)
		}
		if x.Track != y.Track || x.Keyframe != y.Keyframe || len(x.Data) != len(y.Data) ||
			!bytes.HasPrefix(x.Data, bytes.TrimRight(y.Data, "\x00")) && !bytes.HasPrefix(y.Data, bytes.TrimRight(x.Data, "\x00")) {
			return false, false, nil
		}
		if differ = !bytes.Equal(x.Data, y.Data); differ {
			if _, err, more := next(); err != nil || !more {
				return err == nil, true, ofDisk(err)
			}
		}
	}
	return true, false, nil
}

// voidHead returns the head of a Void element of total bytes, whose content stays as it is.
func voidHead(total int64) []byte {
	return binary.BigEndian.AppendUint64([]byte{element.IDVoid}, element.Size8(total-smallestVoid))
}

// repairSeekRoom restores the room for the SeekHead, where finish wrote only a part of it. Nothing is lost by it, as its
// content follows from the rest; but without it the file could not be read. It does nothing to a file whose header is
// damaged elsewhere too.
func repairSeekRoom(f RecoverFile, size int64) error {
	s := scanner{r: f, size: size}
	head, err := s.at(0)
	if err != nil || head.id != element.IDEBML || head.size < 0 {
		return ofDisk(err)
	}
	segment, err := s.at(head.dataEnd)
	if err != nil || segment.id != element.IDSegment {
		return ofDisk(err)
	}
	if err := s.seekRoom(segment.data); err == nil || ofDisk(err) != nil {
		return err
	}
	room := element.Append(nil, &voidElement{element.VoidOf(seekRoom)})
	if _, err := Open(patched{f, room, segment.data}, size); err != nil {
		return ofDisk(err)
	}
	_, err = f.WriteAt(room, segment.data)
	return err
}

// ofDisk returns an error of the disk, and nil for one about the content of the file.
func ofDisk(err error) error {
	var system *fs.PathError
	if errors.As(err, &system) {
		return err
	}
	return nil
}

// patched is a file in which some bytes are replaced.
type patched struct {
	io.ReaderAt
	data []byte
	at   int64
}

// ReadAt implements io.ReaderAt.
func (p patched) ReadAt(to []byte, off int64) (int, error) {
	n, err := p.ReaderAt.ReadAt(to, off)
	for i := max(p.at, off); i < min(p.at+int64(len(p.data)), off+int64(n)); i++ {
		to[i-off] = p.data[i-p.at]
	}
	return n, err
}
