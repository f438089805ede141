package mediafile

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"github.com/kvs-edge/kvs-edge-agent/internal/mkv/element"
)

// maxDescription bounds Info and Tracks; some files have cover pictures elsewhere.
const maxDescription = 16 << 20

// elementReader reads the elements of a file in order.
type elementReader struct{ r *bufio.Reader }

// head reads the head of an element. At the end of the file it returns io.EOF, even within an element:
// a truncated recording is read as far as possible.
func (f elementReader) head() (element.Head, error) {
	data, err := f.r.Peek(element.MaxHead)
	h, malformed := element.ParseHead(data)
	switch {
	case malformed == nil:
		_, err = f.r.Discard(h.Len)
		return h, err
	case errors.Is(malformed, element.ErrShort) && err != nil:
		return h, endOf(err)
	}
	return h, broken("%w", malformed)
}

// content reads an element's content of at most that many bytes. It uses the memory of into, which may
// be nil, and more as data arrives: a size may be wrong.
func (f elementReader) content(into []byte, h element.Head, most int64) ([]byte, error) {
	if h.Size == element.Unknown {
		return nil, errUnknownSize
	}
	if h.Size > most {
		return nil, broken("an element of %d bytes", h.Size)
	}
	buffer := bytes.NewBuffer(into[:0])
	if _, err := io.CopyN(buffer, f.r, h.Size); err != nil {
		return nil, endOf(err)
	}
	return buffer.Bytes(), nil
}

// describe reads an element into the struct at v, which has fields with ebml-go's tags.
func (f elementReader) describe(h element.Head, v any) error {
	content, err := f.content(nil, h, maxDescription)
	if err != nil {
		return err
	}
	if err := element.Unmarshal(h, content, v); err != nil {
		return broken("%w", err)
	}
	return nil
}

func (f elementReader) skip(h element.Head) error {
	if h.Size == element.Unknown {
		return errUnknownSize
	}
	_, err := io.CopyN(io.Discard, f.r, h.Size)
	return endOf(err)
}

// resync skips bytes that are not an element, to the next cluster. Its error is errDamaged, or the reader's.
func (f elementReader) resync() error {
	for {
		if _, err := f.r.Discard(1); err != nil {
			return err
		}
		next, err := f.r.Peek(4)
		if err != nil {
			return endOf(err)
		}
		if binary.BigEndian.Uint32(next) == element.IDCluster {
			return errDamaged
		}
	}
}

var errUnknownSize = broken("an element of unknown size")
