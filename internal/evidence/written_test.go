package evidence

import (
	"context"
	"crypto/elliptic"
	"errors"
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
