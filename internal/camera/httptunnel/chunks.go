package httptunnel

import (
	"errors"
	"io"
)

var errChunks = errors.New("the chunks of the answer cannot be read")

// chunks removes the sizes of chunks (RFC 9112, section 7.1) from a stream that arrives in arbitrary portions.
type chunks struct {
	state chunkState
	left  int // remaining bytes of the chunk, or its size as far as it was read
	any   bool
}

type chunkState uint8

const (
	chunkSize chunkState = iota
	chunkExtension
	chunkData
	chunkEnd // the line end after the data
)

const maxChunk = 1 << 30

// decode moves the data of the chunks to the front of p, and returns its size. After the last chunk it returns io.EOF.
func (c *chunks) decode(p []byte) (n int, err error) {
	for i := 0; i < len(p); {
		b := p[i]
		switch c.state {
		case chunkData:
			part := min(c.left, len(p)-i)
			copy(p[n:], p[i:i+part])
			n, i, c.left = n+part, i+part, c.left-part
			if c.left == 0 {
				c.state = chunkEnd
			}
			continue
		case chunkEnd:
			if b == '\n' {
				*c = chunks{}
			} else if b != '\r' {
				return n, errChunks
			}
		case chunkExtension:
			if b == '\n' {
				err = c.begin()
			}
		case chunkSize:
			err = c.size(b)
		}
		if i++; err != nil {
			return n, err
		}
	}
	return n, nil
}

// size handles a byte of the line with the size.
func (c *chunks) size(b byte) error {
	digit := -1
	switch {
	case b >= '0' && b <= '9':
		digit = int(b - '0')
	case b|0x20 >= 'a' && b|0x20 <= 'f':
		digit = int(b|0x20-'a') + 10
	case b == '\n':
		return c.begin()
	case b == ';' || b == ' ' || b == '\t' || b == '\r':
		c.state = chunkExtension
		return nil
	}
	if c.left = 16*c.left + digit; digit < 0 || c.left > maxChunk {
		return errChunks
	}
	c.any = true
	return nil
}

// begin starts the data.
func (c *chunks) begin() error {
	switch {
	case !c.any:
		return errChunks
	case c.left == 0:
		return io.EOF
	}
	c.state = chunkData
	return nil
}
