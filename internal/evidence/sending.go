package evidence

import (
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
)

// ErrChanged means that the media that is sent is not the media that was signed: it was deleted or changed since.
var ErrChanged = errors.New("the media is no longer that which was signed")

// Sums are what the sender of an archive has to know of the media before it sends the first byte of it.
type Sums struct {
	Head []byte // as it is in the end: an export writes it first, and parts of it again last
	CRC  uint32 // of all of the media
}

// Sending is an archive that is sent while its media is exported, and not written to a file: a mkv.File for the media.
type Sending struct {
	w       io.Writer
	sums    Sums
	before  []byte // the media
	entries []entry
	written int64 // of the media
	crc     hash.Hash32
}

// NewSending returns an archive whose media has these sums. Nothing is sent yet.
func NewSending(w io.Writer, s Signed, sums Sums) (*Sending, error) {
	entries, before, err := front(s)
	if err != nil {
		return nil, err
	}
	media := &entries[len(entries)-1]
	if int64(len(sums.Head)) > media.size {
		return nil, fmt.Errorf("%w: its head is longer than all of it", ErrChanged)
	}
	media.crc = sums.CRC
	return &Sending{w: w, sums: sums, before: append(before, media.local()...), entries: entries, crc: crc32.NewIEEE()}, nil
}

// Size is how many bytes all of the archive has.
func (s *Sending) Size() int64 {
	at := s.mediaOffset() + s.media().size
	return at + int64(len(directory(s.entries, at)))
}

func (s *Sending) media() *entry { return &s.entries[len(s.entries)-1] }

func (s *Sending) mediaOffset() int64 { return int64(len(s.before)) }

// Began reports whether a byte was sent.
func (s *Sending) Began() bool { return s.written > 0 }

// Write sends more of the media. The head comes at once, and is sent as it is in the end.
func (s *Sending) Write(p []byte) (int, error) {
	if s.written+int64(len(p)) > s.media().size {
		return 0, ErrChanged
	}
	sent := p
	if s.written == 0 {
		if len(p) != len(s.sums.Head) {
			return 0, ErrChanged
		}
		sent = s.sums.Head
		if _, err := s.w.Write(s.before); err != nil {
			return 0, err
		}
	}
	n, err := s.w.Write(sent)
	s.written += int64(n)
	_, _ = s.crc.Write(sent[:n]) // it never fails
	return n, err
}

// WriteAt implements mkv.File. What is written again of the head was sent already; what is written again of fragments is left out wherever
// an export is sent while it is written.
func (s *Sending) WriteAt(p []byte, offset int64) (int, error) {
	if offset == s.written {
		return s.Write(p)
	}
	return len(p), nil
}

// Finish sends what follows the media, unless that is another one than was signed: without it nobody can take what was sent for an archive.
func (s *Sending) Finish() error {
	switch {
	case s.written < s.media().size:
		return ErrShort
	case s.crc.Sum32() != s.sums.CRC:
		return ErrChanged
	}
	_, err := s.w.Write(directory(s.entries, s.mediaOffset()+s.written))
	return err
}

// front are the entries of an archive, without the checksum of the media, and the bytes before the media's own entry.
func front(s Signed) (entries []entry, before []byte, err error) {
	for i, data := range [][]byte{s.Manifest, s.Signature, s.Certificate} {
		if int64(len(data)) > limits[i] {
			return nil, nil, fmt.Errorf("%s has %d bytes, at most %d are read", names[i], len(data), limits[i])
		}
		e := entry{name: names[i], size: int64(len(data)), crc: crc32.ChecksumIEEE(data), offset: int64(len(before))}
		before = append(append(before, e.local()...), data...)
		entries = append(entries, e)
	}
	manifest, err := parseManifest(s.Manifest)
	if err != nil {
		return nil, nil, err
	}
	return append(entries, entry{name: nameMedia, size: manifest.Media.Bytes, offset: int64(len(before))}), before, nil
}

// JoinedCRC is the CRC-32 of bytes of which the first ones are known, and of the rest the CRC-32 and how many they are. A CRC is linear:
// that of the first ones counts as that many zeros later.
func JoinedCRC(first []byte, rest uint32, size int64) uint32 {
	var zero [32]uint32 // what a zero bit makes of each bit
	zero[0] = crc32.IEEE
	for i := 1; i < len(zero); i++ {
		zero[i] = 1 << (i - 1)
	}
	const bits = 3 // of a byte: 1<<3
	for range bits {
		zero = squared(zero)
	}
	sum := crc32.ChecksumIEEE(first)
	for ; size > 0; size >>= 1 {
		if size&1 != 0 {
			sum = times(zero, sum)
		}
		zero = squared(zero)
	}
	return sum ^ rest
}

// times applies a matrix over GF(2) to a vector of bits.
func times(m [32]uint32, v uint32) (sum uint32) {
	for i := 0; v != 0; i, v = i+1, v>>1 {
		if v&1 != 0 {
			sum ^= m[i]
		}
	}
	return sum
}

// squared is a matrix applied twice.
func squared(m [32]uint32) (out [32]uint32) {
	for i := range m {
		out[i] = times(m, m[i])
	}
	return out
}
