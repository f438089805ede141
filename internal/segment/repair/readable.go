package repair

import (
	"errors"
	"io"
	"io/fs"
	"syscall"
)

// triesUnread is how often in a row a repair fails as the disk cannot read the file, until it is repaired without those parts.
const triesUnread = 3

const (
	page     = 4 << 10  // what is left out at least
	mostSkip = 64 << 10 // and at most at once: where much in a row cannot be read, each try of the disk may take seconds
)

// cannotRead reports whether the disk found a part of a file that it cannot read.
func cannotRead(err error) bool {
	system, ok := errors.AsType[*fs.PathError](err)
	return ok && system.Op == "read" && errors.Is(system.Err, syscall.EIO)
}

// readable reads a file from its beginning. What the disk cannot read of it is zeros, which the judges of frames and the checksums find.
type readable struct {
	from     io.ReaderAt
	at, size int64
	single   int64 // up to there pages are read one by one
	skip     int64 // bytes that were left out last, 0 when they could be read
	lost     int64 // bytes that were left out
	last     int64 // where that was the last time
	unread   int64 // bytes from there that were tried then
}

// Read implements io.Reader.
func (r *readable) Read(p []byte) (int, error) {
	for {
		n := min(int64(len(p)), r.size-r.at)
		if n == 0 {
			return 0, r.end()
		}
		toPage := page - r.at%page
		if r.at < r.single {
			n = min(n, toPage)
		}
		read, err := r.from.ReadAt(p[:n], r.at)
		switch {
		case !cannotRead(err) || read > 0:
			if r.at += int64(read); read > 0 {
				r.skip, err = 0, nil // the next reading has the error, too
			}
			return read, err
		case n > toPage:
			r.single = r.at + n
			continue
		}
		r.last, r.unread = r.at, n
		r.skip = min(max(2*r.skip, page), mostSkip)
		n = min(r.skip, int64(len(p)), r.size-r.at)
		clear(p[:n])
		r.at, r.lost = r.at+n, r.lost+n
		if r.lost > r.size/2 {
			return 0, err // the fault is not of a sector but of the disk: it may end
		}
		return int(n), nil
	}
}

// end returns io.EOF, or an error when what was left out can be read now: then the disk was away for a moment, and all may be there.
func (r *readable) end() error {
	if r.lost == 0 {
		return io.EOF
	}
	if _, err := r.from.ReadAt(make([]byte, r.unread), r.last); !cannotRead(err) {
		return errors.Join(errors.New("a part of the file can be read at one time, and not at another"), err)
	}
	return io.EOF
}
