package mediafile

import (
	"bytes"
	"compress/bzip2"
	"compress/zlib"
	"errors"
	"io"
)

// The ways in which a track's frames may be compressed (RFC 9559, 5.1.4.1.31.6), and one more.
const (
	encodedNot    = 0
	encodedZlib   = 1
	encodedBzip2  = 2
	encodedHeader = 4 // what all frames begin with is left out
)

// scopePrivate says that the codec's description is compressed as well (RFC 9559, 5.1.4.1.31.3).
const scopePrivate = 2

// errEncoding says that frames are compressed in another way: LZO, which nobody writes any more.
var errEncoding = errors.New("frames are compressed in an unknown way")

// encoding is how the frames of a track are compressed.
type encoding struct {
	algorithm uint64 // that of Matroska and 1; encodedNot
	prefix    []byte // of encodedHeader
}

// decode returns a frame as it was.
func (e encoding) decode(data []byte) ([]byte, error) {
	switch e.algorithm {
	case encodedNot:
		return data, nil
	case encodedHeader:
		return append(bytes.Clone(e.prefix), data...), nil
	case encodedZlib:
		r, err := zlib.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, errDamaged
		}
		return inflated(r)
	case encodedBzip2:
		return inflated(bzip2.NewReader(bytes.NewReader(data)))
	}
	return nil, errEncoding
}

// inflated reads a frame, or a table, of at most maxFrame.
func inflated(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxFrame+1))
	if err != nil || len(data) > maxFrame {
		return nil, errDamaged
	}
	return data, nil
}
