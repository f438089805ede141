package mediafile

import (
	"bytes"
	"compress/bzip2"
	"compress/zlib"
	"errors"
	"io"
)

// How a track's frames may be compressed (RFC 9559, 5.1.4.1.31.6), and one more value.
const (
	encodedNot    = 0
	encodedZlib   = 1
	encodedBzip2  = 2
	encodedHeader = 4 // a header that all frames share is left out
)

// scopePrivate: the codec's description is compressed as well (RFC 9559, 5.1.4.1.31.3).
const scopePrivate = 2

// errEncoding: frames are compressed in another way: LZO, which is no longer written.
var errEncoding = errors.New("frames are compressed in an unknown way")

// encoding is the compression of a track's frames.
type encoding struct {
	algorithm uint64 // Matroska's value plus 1; encodedNot
	prefix    []byte // of encodedHeader
}

// decode returns the uncompressed frame.
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

// inflated decompresses a frame, or a table, of at most maxFrame.
func inflated(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxFrame+1))
	if err != nil || len(data) > maxFrame {
		return nil, errDamaged
	}
	return data, nil
}
