package evidence

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"
)

var made = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// memory is a file in memory.
type memory struct{ data []byte }

func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	if need := int(off) + len(p); need > len(m.data) {
		m.data = append(m.data, make([]byte, need-len(m.data))...)
	}
	return copy(m.data[off:], p), nil
}

func (m *memory) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(m.data).ReadAt(p, off)
}

// certificate is a certificate of a key, by an issuer or itself.
func certificate(tb testing.TB, key crypto.Signer, issuer *tls.Certificate, change func(*x509.Certificate)) *tls.Certificate {
	tb.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(int64(mathrand.Int32())), Subject: pkix.Name{CommonName: "hub"}, KeyUsage: x509.KeyUsageDigitalSignature,
		NotBefore: made.Add(-time.Hour), NotAfter: made.Add(time.Hour),
	}
	if change != nil {
		change(template)
	}
	parent, signer := template, crypto.Signer(key)
	if issuer != nil {
		parent, signer = issuer.Leaf, issuer.PrivateKey.(crypto.Signer)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		tb.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func curve(tb testing.TB, c elliptic.Curve) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// sample is a manifest with its media: a head, three fragments and a tail.
func sample(tb testing.TB) (m Manifest, media []byte) {
	tb.Helper()
	m = Manifest{Kind: Kind, Version: Version, Claim: Claim, Created: made, Agent: "1.0", Hub: Hub{Thing: "hub"}, Stream: "door <&>",
		From: made.Add(-time.Minute), To: made, Clock: Clock{Trusted: true, Why: "synchronised", Corrections: []Correction{}},
		Media: Media{File: MediaFile, Type: MediaType}, Gaps: []Gap{}, Lost: []Lost{}}
	chain := new(Chain)
	part := func(c *Chain, n int) Part {
		data := make([]byte, n)
		_, _ = rand.Read(data)
		media = append(media, data...)
		sum, err := c.Next(bytes.NewReader(data))
		if err != nil {
			tb.Fatal(err)
		}
		return Part{int64(n), sum}
	}
	m.Media.Head = part(new(Chain), 300)
	for i := range 3 {
		p := part(chain, 2000)
		at := m.From.Add(time.Duration(i) * time.Second)
		m.Fragments = append(m.Fragments, Fragment{From: at, To: at.Add(time.Second), Bytes: p.Bytes, SHA256: p.SHA256})
	}
	m.Media.Tail = part(chain, 100)
	m.Media.Bytes = int64(len(media))
	return m, media
}

// archive is an archive of evidence that a certificate's key signed.
func archive(tb testing.TB, device *tls.Certificate) []byte {
	tb.Helper()
	m, media := sample(tb)
	text, err := m.Encode()
	if err != nil {
		tb.Fatal(err)
	}
	signed, err := Sign(text, device)
	if err != nil {
		tb.Fatal(err)
	}
	return packed(tb, signed, media)
}

func packed(tb testing.TB, signed Signed, media []byte) []byte {
	tb.Helper()
	file := new(memory)
	a, err := NewArchive(file, signed)
	if err == nil {
		_, err = a.Media().Write(media)
	}
	var size int64
	if err == nil {
		size, err = a.Finish(context.Background())
	}
	if err != nil || size != int64(len(file.data)) {
		tb.Fatal(size, err)
	}
	return file.data
}

func verify(data []byte, trust Trust) (Verdict, error) {
	return Verify(context.Background(), bytes.NewReader(data), int64(len(data)), trust, nil)
}

// TestEvidenceOfEveryKindOfKey is intact and its signer is known by each of the ways, and by no other certificate.
func TestEvidenceOfEveryKindOfKey(t *testing.T) {
	t.Parallel()
	large, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		t.Fatal(err)
	}
	ca := certificate(t, curve(t, elliptic.P256()), nil, func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage, c.Subject.CommonName = true, true, x509.KeyUsageCertSign, "authority"
	})
	roots, others := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(ca.Leaf)
	stranger := certificate(t, curve(t, elliptic.P256()), nil, nil)
	others.AddCert(stranger.Leaf)
	for name, key := range map[string]crypto.Signer{
		"RSA 2048": rsaKey(), "RSA 3072": large, "P-256": curve(t, elliptic.P256()), "P-384": curve(t, elliptic.P384()),
	} {
		device := certificate(t, key, ca, nil)
		data := archive(t, device)
		if again := archive(t, device); bytes.Equal(again, data) {
			t.Errorf("%s: two samples are the same", name)
		}
		sum := sha256.Sum256(device.Certificate[0])
		for _, c := range []struct {
			trust Trust
			known bool
			want  string
		}{
			{Trust{}, false, ""},
			{Trust{Certificate: device.Leaf}, true, ""},
			{Trust{Roots: roots}, true, ""},
			{Trust{Fingerprint: hex.EncodeToString(sum[:])}, true, ""},
			{Trust{Fingerprint: strings.ToUpper(hex.EncodeToString(sum[:16])) + ":" + hex.EncodeToString(sum[16:])}, true, ""},
			{Trust{Certificate: stranger.Leaf}, false, "its certificate is another one"},
			{Trust{Roots: others}, false, "does not lead to the one that was given"},
			{Trust{Fingerprint: strings.Repeat("0", 64)}, false, "the fingerprint of its certificate is " + hex.EncodeToString(sum[:])},
			{Trust{Certificate: device.Leaf, Roots: others}, false, "does not lead"},
		} {
			v, err := verify(data, c.trust)
			if v.SignerKnown != c.known || (c.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s, %+v: %v, known: %v", name, c.trust, err, v.SignerKnown)
			}
			if v.Manifest.Stream != "door <&>" {
				t.Errorf("%s: %+v", name, v.Manifest)
			}
		}
	}
}

// TestCertificatesThatDoNotCount are of another time, or of another use.
func TestCertificatesThatDoNotCount(t *testing.T) {
	t.Parallel()
	key := curve(t, elliptic.P256())
	for name, c := range map[string]struct {
		change func(*x509.Certificate)
		want   string
	}{
		"expired": {func(c *x509.Certificate) { c.NotBefore, c.NotAfter = made.Add(-2*time.Hour), made.Add(-time.Second) }, "was valid from"},
		"not yet": {func(c *x509.Certificate) { c.NotBefore = made.Add(time.Minute) }, "was valid from"},
		"other":   {func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign }, "is not for signatures"},
		"no use":  {func(c *x509.Certificate) { c.KeyUsage = 0 }, ""},
	} {
		device := certificate(t, key, nil, c.change)
		_, err := verify(archive(t, device), Trust{Certificate: device.Leaf})
		if (c.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestKeysThatDoNotSign are refused before anything is made.
func TestKeysThatDoNotSign(t *testing.T) {
	t.Parallel()
	device := certificate(t, curve(t, elliptic.P521()), nil, nil)
	if _, err := Sign([]byte("{}"), device); err == nil || !strings.Contains(err.Error(), "neither RSA nor") {
		t.Error(err)
	}
	if _, err := Sign([]byte("{}"), nil); err == nil || !strings.Contains(err.Error(), "no device certificate") {
		t.Error(err)
	}
}

// regions are the ranges of an archive before the media, behind it, and the media.
func regions(t *testing.T, data []byte) (from, to int64) {
	t.Helper()
	o, err := open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	_, at, size := o.media.Outer() // the manifest has the file's name, too
	return at, at + size
}

// TestEveryFlippedBitIsRefused, of the manifest, the signature, the certificate, and all that the archive has around them, and 1,000 of the
// media.
func TestEveryFlippedBitIsRefused(t *testing.T) {
	t.Parallel()
	device := certificate(t, curve(t, elliptic.P256()), nil, nil)
	data := archive(t, device)
	trust := Trust{Certificate: device.Leaf}
	if _, err := verify(data, trust); err != nil {
		t.Fatal(err)
	}
	from, to := regions(t, data)
	flipped := 0
	flip := func(bit int64) {
		data[bit/8] ^= 1 << (bit % 8)
		defer func() { data[bit/8] ^= 1 << (bit % 8) }()
		flipped++
		v, err := verify(data, trust)
		var wrong *Fault
		if !errors.As(err, &wrong) || v.SignerKnown {
			t.Errorf("bit %d of byte %d (the media is at %d to %d): %v", bit%8, bit/8, from, to, err)
		}
	}
	for bit := range int64(len(data)) * 8 {
		if bit/8 < from || bit/8 >= to {
			flip(bit)
		}
	}
	random := mathrand.New(mathrand.NewPCG(1, 2))
	for range 1000 {
		flip(8*from + random.Int64N(8*(to-from)))
	}
	if want := 8*(int64(len(data))-(to-from)) + 1000; int64(flipped) != want {
		t.Errorf("%d bits, want %d", flipped, want)
	}
}

// TestWhatIsShortenedOrAddedToIsRefused, at every byte.
func TestWhatIsShortenedOrAddedToIsRefused(t *testing.T) {
	t.Parallel()
	device := certificate(t, curve(t, elliptic.P256()), nil, nil)
	data := archive(t, device)
	from, to := regions(t, data)
	refused := func(what string, changed []byte) {
		var wrong *Fault
		if _, err := verify(changed, Trust{Certificate: device.Leaf}); !errors.As(err, &wrong) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for n := range data {
		if in := int64(n) > from && int64(n) < to; in && n%97 > 0 {
			continue
		}
		refused(fmt.Sprintf("the first %d bytes", n), data[:n])
		refused(fmt.Sprintf("without byte %d", n), append(bytes.Clone(data[:n]), data[n+1:]...))
		refused(fmt.Sprintf("a byte more at %d", n), append(append(bytes.Clone(data[:n]), 0), data[n:]...))
	}
	refused("a byte behind it", append(bytes.Clone(data), 0))
	refused("twice", append(bytes.Clone(data), data...))
}

// TestPartsOfOtherEvidence are refused, though each is signed.
func TestPartsOfOtherEvidence(t *testing.T) {
	t.Parallel()
	key := curve(t, elliptic.P256())
	device := certificate(t, key, nil, nil)
	renewed := certificate(t, key, nil, nil) // another certificate of the same key
	m, media := sample(t)
	text, _ := m.Encode()
	signed, err := Sign(text, device)
	if err != nil {
		t.Fatal(err)
	}
	other, otherMedia := sample(t)
	otherText, _ := other.Encode()
	otherSigned, err := Sign(otherText, renewed)
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		signed Signed
		media  []byte
		want   string
	}{
		"the media":             {signed, otherMedia, "the head of its media was changed"},
		"the manifest":          {Signed{otherText, signed.Signature, signed.Certificate}, otherMedia, "not one of the manifest by the key"},
		"the signature":         {Signed{text, otherSigned.Signature, signed.Certificate}, media, "names another certificate"},
		"the certificate":       {Signed{text, signed.Signature, otherSigned.Certificate}, media, "names another certificate"},
		"fragments in exchange": {signed, exchanged(media), "was changed"},
	} {
		if _, err := verify(packed(t, c.signed, c.media), Trust{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s of other evidence: %v", what, err)
		}
	}
}

// exchanged has the first fragment in the place of the second.
func exchanged(media []byte) []byte {
	out := bytes.Clone(media)
	copy(out[300:], media[2300:4300])
	copy(out[2300:], media[300:2300])
	return out
}

// TestALargeArchiveIsWide: beyond 4 GiB sizes have 64 bits, and the reader takes exactly those.
func TestALargeArchiveIsWide(t *testing.T) {
	t.Parallel()
	e := entry{name: MediaFile, size: 5 << 30, crc: 7, offset: 1000}
	head := e.local()
	got, err := readLocal(bytes.NewReader(append(bytes.Repeat([]byte{0}, 1000), append(head, make([]byte, 100)...)...)), MediaFile, 1000)
	if err != nil || got != e {
		t.Errorf("%+v, %v", got, err)
	}
	end := directory([]entry{e}, 5<<30+2000)
	if !bytes.Contains(end, le32(nil, markEnd64)) || !bytes.Contains(end, le32(nil, markLocator64)) {
		t.Error("the directory has no end of 64 bits")
	}
}

// TestManifestsThatAreRead are only those that are written.
func TestManifestsThatAreRead(t *testing.T) {
	t.Parallel()
	m, _ := sample(t)
	text, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parseManifest(text); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ from, to, want string }{
		"an unknown member": {`"stream"`, `"colour": "red",` + "\n " + `"stream"`, "a member is unknown"},
		"a member twice":    {`"stream": "door <&>"`, `"stream": "x",` + "\n " + `"stream": "door <&>"`, "a member is unknown"},
		"capitals":          {`"stream"`, `"Stream"`, "a member is unknown"},
		"an escape":         {`"door <&>"`, `"d\u006for <&>"`, "a member is unknown"},
		"more spaces":       {`"stream": `, `"stream":  `, "a member is unknown"},
		"another number":    {`"version": 1`, `"version": 1.0`, "a member is unknown"},
		"a later version":   {`"version": 1`, `"version": 2`, "later version of the form"},
		"another kind":      {Kind, "something", "a member is unknown"},
		"other sizes":       {`"bytes": 2000`, `"bytes": 2001`, "contradict each other"},
		"sizes that wrap":   {`"bytes": 300`, `"bytes": 9223372036854775807`, "contradict each other"},
		"negative sizes":    {`"bytes": 300`, `"bytes": -300`, "contradict each other"},
		"another claim":     {Claim, "It is true.", "contradict each other"},
	} {
		changed := strings.Replace(string(text), c.from, c.to, 1)
		if changed == string(text) {
			t.Errorf("%s changes nothing", name)
		}
		if _, err := parseManifest([]byte(changed)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := parseManifest(append(text, ' ')); err == nil {
		t.Error("a space behind it is read")
	}
}

// FuzzVerify reads archives of others.
func FuzzVerify(f *testing.F) {
	device := certificate(f, curve(f, elliptic.P256()), nil, nil)
	data := archive(f, device)
	f.Add(data)
	f.Add(data[:1000])
	f.Add([]byte("PK\x05\x06" + strings.Repeat("\x00", 18)))
	f.Fuzz(func(t *testing.T, other []byte) {
		v, err := verify(other, Trust{Certificate: device.Leaf})
		if err == nil && !bytes.Equal(other, data) || err != nil && v.SignerKnown {
			t.Errorf("%d bytes are accepted: %v", len(other), err)
		}
	})
}

// TestReadingEnds with its context, and with an error of the disk, which is not a fault of the evidence.
func TestReadingEnds(t *testing.T) {
	t.Parallel()
	data := archive(t, certificate(t, curve(t, elliptic.P256()), nil, nil))
	_, to := regions(t, data)
	broken := errors.New("the disk is broken")
	_, err := Verify(context.Background(), &failing{bytes.NewReader(data), to - 50, broken}, int64(len(data)), Trust{}, nil)
	var wrong *Fault
	if !errors.Is(err, broken) || errors.As(err, &wrong) {
		t.Error(err)
	}
}

type failing struct {
	io.ReaderAt
	at  int64
	err error
}

func (f *failing) ReadAt(p []byte, off int64) (int, error) {
	if len(p) > 1000 && off <= f.at && off+int64(len(p)) > f.at {
		return 0, f.err
	}
	return f.ReaderAt.ReadAt(p, off)
}
