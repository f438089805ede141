package evidence

import (
	"bytes"
	"crypto/elliptic"
	"errors"
	"hash/crc32"
	mathrand "math/rand/v2"
	"testing"
)

func TestJoinedCRC(t *testing.T) {
	t.Parallel()
	data := make([]byte, 70_000)
	for i := range data {
		data[i] = byte(mathrand.Int())
	}
	for _, n := range []int{0, 1, 7, 300, 65_536, len(data)} {
		for _, all := range [][]byte{data, data[:n], bytes.Repeat([]byte{0}, n)} {
			first, rest := all[:min(n, len(all))/2], all[min(n, len(all))/2:]
			if got := JoinedCRC(first, crc32.ChecksumIEEE(rest), int64(len(rest))); got != crc32.ChecksumIEEE(all) {
				t.Errorf("%d and %d bytes: %08x, want %08x", len(first), len(rest), got, crc32.ChecksumIEEE(all))
			}
		}
	}
}

// TestASentArchive has the same bytes as one that is written to a file, and ends too early where the media is another one.
func TestASentArchive(t *testing.T) {
	t.Parallel()
	m, media := sample(t)
	text, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	signed, err := Sign(text, certificate(t, curve(t, elliptic.P256()), nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	want := packed(t, signed, media)
	head := media[:m.Media.Head.Bytes]
	sums := Sums{Head: head, CRC: crc32.ChecksumIEEE(media)}
	unfinished := append(make([]byte, len(head)), media[len(head):]...) // an export writes the head again at its end
	changed := append(bytes.Clone(media[:len(media)-1]), media[len(media)-1]^1)
	for name, c := range map[string]struct {
		media []byte
		err   error
	}{
		"the same": {unfinished, nil}, "shorter": {media[:len(media)-1], ErrShort}, "longer": {append(bytes.Clone(media), 1), ErrChanged},
		"changed": {changed, ErrChanged}, "nothing": {nil, ErrShort},
	} {
		var out bytes.Buffer
		s, err := NewSending(&out, signed, sums)
		if err != nil {
			t.Fatal(err)
		}
		if size := s.Size(); size != int64(len(want)) || s.Began() {
			t.Errorf("it says %d bytes, want %d", size, len(want))
		}
		err = send(s, c.media, len(head))
		if err == nil {
			err = s.Finish()
		}
		if !errors.Is(err, c.err) || (c.err == nil) != bytes.Equal(out.Bytes(), want) || s.Began() != (c.media != nil) {
			t.Errorf("%s: %v, %d bytes of %d", name, err, out.Len(), len(want))
		}
	}
	if _, err := NewSending(new(bytes.Buffer), signed, Sums{Head: make([]byte, len(media)+1)}); !errors.Is(err, ErrChanged) {
		t.Errorf("a head that is too long: %v", err)
	}
	if _, err := NewSending(new(bytes.Buffer), Signed{Manifest: []byte("{}\n")}, sums); err == nil {
		t.Error("another manifest is sent")
	}
}

// send writes media as an export does: the head at once, and again at the end.
func send(s *Sending, media []byte, head int) error {
	for at, next := 0, head; at < len(media); at, next = next, min(next+700, len(media)) {
		if _, err := s.WriteAt(media[at:next], int64(at)); err != nil {
			return err
		}
	}
	if len(media) > 0 {
		_, err := s.WriteAt([]byte("later"), 3)
		return err
	}
	return nil
}

func TestASentArchiveOfAnotherHead(t *testing.T) {
	t.Parallel()
	m, media := sample(t)
	text, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	signed, err := Sign(text, certificate(t, curve(t, elliptic.P256()), nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSending(new(bytes.Buffer), signed, Sums{Head: media[:m.Media.Head.Bytes], CRC: crc32.ChecksumIEEE(media)})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := s.Write(media[:10]); n != 0 || !errors.Is(err, ErrChanged) || s.Began() {
		t.Errorf("%d, %v", n, err)
	}
}
