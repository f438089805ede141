package strictmkv

import (
	"errors"
	"hash/crc32"
	"io"
)

// peek reads the identifier and size of the next element without consuming them. It asks the
// source for no byte beyond them. io.EOF means that the input ends here.
func (r *Reader) peek() (child id, size int64, head int, err error) {
	at := r.off
	if err := r.fill(1); err != nil {
		return 0, 0, 0, err
	}
	n := 0
	for want := 1; ; want++ {
		if err := r.fill(want); err != nil {
			return 0, 0, 0, r.tornHead(at, err)
		}
		child, n = parseID(r.buf[r.r:r.w])
		if n < 0 {
			return 0, 0, 0, &Error{Element: "element", Offset: at, Rule: "has a malformed identifier"}
		}
		if n > 0 {
			break
		}
	}
	for want := n + 1; want <= maxHead; want++ {
		if err := r.fill(want); err != nil {
			return 0, 0, 0, r.tornHead(at, err)
		}
		s, m := parseSize(r.buf[r.r+n : r.w])
		if m < 0 {
			break
		}
		if m > 0 {
			return child, s, n + m, nil
		}
	}
	return 0, 0, 0, broken(child, at, "has a malformed size")
}

func (r *Reader) tornHead(at int64, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &Error{Element: "element", Offset: at, Rule: "the input ends inside its identifier or size", err: io.ErrUnexpectedEOF}
	}
	return err
}

// fill makes at least n bytes unread in the buffer, n ≤ bufferSize. io.EOF means that there is none,
// io.ErrUnexpectedEOF that there are too few.
func (r *Reader) fill(n int) error {
	if r.w-r.r >= n {
		return nil
	}
	if r.r == r.w {
		r.r, r.w = 0, 0
	} else if len(r.buf)-r.r < n {
		r.w = copy(r.buf, r.buf[r.r:r.w])
		r.r = 0
	}
	for empty := 0; r.w-r.r < n; {
		got, err := r.src.Read(r.buf[r.w:])
		r.w += got
		if r.w-r.r >= n {
			return nil // the next read returns the error, if any
		}
		switch {
		case errors.Is(err, io.EOF) && r.w > r.r:
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		case got > 0:
			empty = 0
		default:
			if empty++; empty == 100 {
				return io.ErrNoProgress
			}
		}
	}
	return nil
}

// take consumes n bytes that lie in the buffer.
func (r *Reader) take(n int) error {
	p := r.buf[r.r : r.r+n]
	r.r += n
	r.off += int64(n)
	tap := r.o.Outside
	if r.stage == inCluster {
		tap = r.o.Tap
		if r.cluster.checked {
			r.cluster.crc = crc32.Update(r.cluster.crc, crc32.IEEETable, p)
		}
	}
	if tap == nil {
		return nil
	}
	return tap(p)
}

// stream consumes n bytes of the element, however many, and shows them to see in chunks.
func (r *Reader) stream(child id, at, n int64, see func(p []byte) error) error {
	for n > 0 {
		if r.r == r.w {
			if err := r.fill(1); err != nil {
				if errors.Is(err, io.EOF) {
					return torn(child, at)
				}
				return err
			}
		}
		chunk := int(min(n, int64(r.w-r.r)))
		if see != nil {
			if err := see(r.buf[r.r : r.r+chunk]); err != nil {
				return err
			}
		}
		if err := r.take(chunk); err != nil {
			return err
		}
		n -= int64(chunk)
	}
	return nil
}

func (r *Reader) skip(child id, at int64, head int, size int64) error {
	if err := r.take(head); err != nil {
		return err
	}
	return r.stream(child, at, size, nil)
}

// load consumes a whole element into memory of its own.
func (r *Reader) load(child id, at int64, head int, size int64) (element, error) {
	if size > maxMaster {
		return element{}, broken(child, at, "has %d bytes; at most %d are read", size, maxMaster)
	}
	// Grown as the bytes arrive: a size alone must not reserve memory.
	whole := append(make([]byte, 0, head+int(min(size, bufferSize))), r.buf[r.r:r.r+head]...)
	if err := r.take(head); err != nil {
		return element{}, err
	}
	err := r.stream(child, at, size, func(p []byte) error {
		whole = append(whole, p...)
		return nil
	})
	return element{id: child, offset: at, body: whole[head:], at: at + int64(head), raw: whole}, err
}
