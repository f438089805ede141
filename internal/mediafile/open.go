package mediafile

import (
	"bufio"
	"errors"
	"io"
)

// Open reads a file's header: its first video track is taken, and the first audio that can be.
func Open(r io.ReadSeeker) (*File, error) {
	head := make([]byte, 2*tsPacket)
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
	case isTS(head):
		return openTS(r)
	case isM2TS(head):
		return openTS(&unstamped{r: bufio.NewReaderSize(r, 64<<10)})
	}
	return nil, ErrContainer
}
