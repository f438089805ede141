package mkv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"

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
	if err := r.verifyHeader(); err != nil {
		return result, err
	}
	result.Fragments = found.fragments
	if r.Complete() && found.whole() {
		return result, nil
	}
	result.Cut, result.Lost, result.Finished = size-found.end, found.lost, true
	for _, d := range found.damage {
		// Players and this package ignore it, and a person can still examine it.
		if _, err := f.WriteAt(voidHead(d.to-d.from), d.from); err != nil {
			return result, err
		}
		result.Damaged += d.to - d.from
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
