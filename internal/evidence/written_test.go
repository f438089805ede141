package evidence

import (
	"context"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"hash/crc32"
	"math"
	"testing"
)

// TestNumbersThatWrapAreRefused: sizes whose sum is right only as it has no more than 64 bits.
func TestNumbersThatWrapAreRefused(t *testing.T) {
	t.Parallel()
	m, _ := sample(t)
	m.Media.Head.Bytes, m.Media.Tail.Bytes = math.MaxInt64, math.MaxInt64
	sum := m.Media.Head.Bytes + m.Media.Tail.Bytes
	for _, f := range m.Fragments {
		sum += f.Bytes
	}
	m.Media.Bytes = sum
	text, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parseManifest(text); sum <= 0 || err == nil {
		t.Errorf("%d bytes of media: %v", sum, err)
	}
}

// TestNamesThatAreNotUTF8 are in a manifest that can be read.
func TestNamesThatAreNotUTF8(t *testing.T) {
	t.Parallel()
	m, media := sample(t)
	m.Lost = []Lost{{From: m.From, To: m.To, File: "/data/\xff\xfe/a.mkv"}}
	text, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	device := certificate(t, curve(t, elliptic.P256()), nil, nil)
	signed, err := Sign(text, device)
	if err != nil {
		t.Fatal(err)
	}
	v, err := verify(packed(t, signed, media), Trust{Certificate: device.Leaf})
	if err != nil || v.Manifest.Lost[0].File != "/data/\uFFFD\uFFFD/a.mkv" {
		t.Errorf("%q, %v", v.Manifest.Lost, err)
	}
}

// TestFinishingEnds with its context, and says when media is missing.
func TestFinishingEnds(t *testing.T) {
	t.Parallel()
	m, media := sample(t)
	text, _ := m.Encode()
	signed, err := Sign(text, certificate(t, curve(t, elliptic.P256()), nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	for missing, want := range map[int]error{0: context.Canceled, 1: ErrShort} {
		a, err := NewArchive(new(memory), signed)
		if err == nil {
			_, err = a.Media().Write(media[missing:])
		}
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		if missing == 0 {
			cancel()
		}
		if _, err = a.Finish(ctx); !errors.Is(err, want) {
			t.Errorf("%d bytes missing: %v", missing, err)
		}
		cancel()
	}
}

// TestEveryFlippedBitIsRefusedWithItsChecksum: who changes a file of the archive also writes the checksum that the archive has of it.
func TestEveryFlippedBitIsRefusedWithItsChecksum(t *testing.T) {
	t.Parallel()
	issuer := certificate(t, curve(t, elliptic.P256()), nil, func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true })
	device := certificate(t, curve(t, elliptic.P256()), issuer, nil)
	device.Certificate = append(device.Certificate, issuer.Certificate[0])
	m, media := sample(t)
	text, _ := m.Encode()
	signed, err := Sign(text, device)
	if err != nil {
		t.Fatal(err)
	}
	trust := Trust{Certificate: device.Leaf}
	if _, err := verify(packed(t, signed, media), trust); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		nameManifest: signed.Manifest, nameSignature: signed.Signature, nameCertificate: signed.Certificate, nameMedia: media[:400],
	} {
		for bit := range 8 * len(data) {
			data[bit/8] ^= 1 << (bit % 8)
			var wrong *Fault
			if _, err := verify(repacked(signed, media), trust); !errors.As(err, &wrong) {
				t.Errorf("bit %d of byte %d of %s: %v", bit%8, bit/8, name, err)
			}
			data[bit/8] ^= 1 << (bit % 8)
		}
	}
}

// repacked is an archive with these files, also where none of the kind is written.
func repacked(s Signed, media []byte) (out []byte) {
	var entries []entry
	for i, data := range [][]byte{s.Manifest, s.Signature, s.Certificate, media} {
		e := entry{name: names[i], size: int64(len(data)), crc: crc32.ChecksumIEEE(data), offset: int64(len(out))}
		out = append(append(out, e.local()...), data...)
		entries = append(entries, e)
	}
	return append(out, directory(entries, int64(len(out)))...)
}
