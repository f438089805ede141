package mediafile

import (
	"encoding/binary"
	"io"
)

// box is a box of a file.
type box struct {
	kind string
	at   int64 // of its start
	body int64 // of its content
	end  int64
}

// boxReader reads the boxes of a file.
type boxReader struct{ r io.ReadSeeker }

// header reads the header of the box at an offset of the file; io.EOF: there is none.
func (f boxReader) header(at int64) (b box, err error) {
	if _, err = f.r.Seek(at, io.SeekStart); err != nil {
		return b, err
	}
	var head [16]byte
	if _, err = io.ReadFull(f.r, head[:8]); err != nil {
		return b, endOf(err)
	}
	size := int64(binary.BigEndian.Uint32(head[:4]))
	b = box{kind: string(head[4:8]), at: at, body: at + 8}
	switch size {
	case 0: // to the end of the file
		if b.end, err = f.r.Seek(0, io.SeekEnd); err != nil {
			return b, err
		}
		return b, nil
	case 1:
		if _, err = io.ReadFull(f.r, head[8:]); err != nil {
			return b, endOf(err)
		}
		size = int64(binary.BigEndian.Uint64(head[8:]))
		b.body += 8
	}
	if b.end = at + size; size < b.body-at || b.end < at {
		return b, broken("a box of %d bytes", size)
	}
	return b, nil
}

// content reads a box of the file.
func (f boxReader) content(b box) ([]byte, error) {
	if b.end-b.body > maxHeader {
		return nil, broken("a header of %d bytes", b.end-b.body)
	}
	if _, err := f.r.Seek(b.body, io.SeekStart); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f.r, b.end-b.body))
	if err == nil && int64(len(data)) < b.end-b.body {
		err = io.EOF
	}
	return data, err
}

// boxes calls each for the boxes within one, as far as they are valid.
func boxes(data []byte, each func(kind string, data []byte) error) error {
	for len(data) >= 8 {
		size, body := uint64(binary.BigEndian.Uint32(data)), uint64(8)
		switch size {
		case 0:
			size = uint64(len(data))
		case 1:
			if len(data) < 16 {
				return nil
			}
			size, body = binary.BigEndian.Uint64(data[8:]), 16
		}
		if size < body {
			return nil // the rest is not valid
		}
		size = min(size, uint64(len(data))) // it cannot extend beyond its parent
		if err := each(string(data[4:8]), data[body:size]); err != nil {
			return err
		}
		data = data[size:]
	}
	return nil
}
