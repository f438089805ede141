package mkv

import (
	"errors"
	"io"
	"io/fs"
)

// mendRoom makes the room for the SeekHead whole again, of which finish wrote a part only. Nothing is lost by it, as
// what belongs there follows from the rest; but without it the file could not be read. It does nothing to a file of
// which that is not all that is wrong with the header.
func mendRoom(f RecoverFile, size int64) error {
	s := scanner{r: f, size: size}
	head, err := s.at(0)
	if err != nil || head.id != idEBML || head.size < 0 {
		return ofDisk(err)
	}
	segment, err := s.at(head.dataEnd)
	if err != nil || segment.id != idSegment {
		return ofDisk(err)
	}
	if err := s.seekRoom(segment.data); err == nil || ofDisk(err) != nil {
		return err
	}
	room := appendVoid(nil, seekRoom)
	if _, err := Open(patched{f, room, segment.data}, size); err != nil {
		return ofDisk(err)
	}
	_, err = f.WriteAt(room, segment.data)
	return err
}

// ofDisk gives an error of the disk, and nil for one that says what is in the file.
func ofDisk(err error) error {
	var system *fs.PathError
	if errors.As(err, &system) {
		return err
	}
	return nil
}

// patched is a file as if some bytes of it were others.
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
