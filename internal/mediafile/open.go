package mediafile

import (
	"errors"
	"io"

	"github.com/kvs-edge/kvs-edge-agent/internal/mpegts"
)

// headSize is how many bytes are read to recognise a container.
const headSize = 8 << 10

// Open reads a file's header, and selects its first video track and the first audio that can be read.
func Open(r io.ReadSeeker) (*File, error) {
	head := make([]byte, headSize)
	n, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	switch head = head[:n]; {
	case isMatroska(head):
		f, err := openMatroska(r)
		if errors.Is(err, io.EOF) { // it ends before its tracks
			err = ErrNoVideo
		}
		return f, err
	case isMP4(head):
		return openMP4(r)
	case mpegts.Looks(head):
		return openTS(r)
	}
	return nil, ErrContainer
}
