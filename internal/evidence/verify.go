package evidence

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// Trust says whose signature is accepted. An empty one accepts any, whose signer is unknown then.
type Trust struct {
	Certificate *x509.Certificate // exactly this one
	Roots       *x509.CertPool    // one that leads to these
	Fingerprint string            // SHA-256 of the certificate, hexadecimal, with or without colons
}

// Empty reports whether nobody is trusted.
func (t Trust) Empty() bool { return t.Certificate == nil && t.Roots == nil && t.Fingerprint == "" }

// Verdict is what is found of evidence that is intact.
type Verdict struct {
	Manifest    Manifest
	SignerKnown bool
	Subject     string // of the certificate
	Issuer      string
	Fingerprint string // SHA-256 of the certificate, hexadecimal
}

// PartSigner is the part of evidence that is intact and signed by somebody else.
const PartSigner = "signer"

// Fault says that evidence is not what it should be, in one of its parts.
type Fault struct{ Part, Text string }

// Error implements error.
func (f *Fault) Error() string { return f.Text }

func fault(part string, format string, args ...any) error {
	return &Fault{part, health.Clean(fmt.Sprintf(format, args...), health.MaxText)}
}

// Verify reads evidence of that size, unless ctx ends before. An error that is a *Fault says what is wrong with it. Memory is bounded by
// the longest manifest, not by the media. progress is called with the bytes of media that were read, and all of them. Optional.
func Verify(ctx context.Context, r io.ReaderAt, size int64, trust Trust, progress func(done, total int64)) (v Verdict, err error) {
	o, err := open(r, size)
	if err != nil {
		return v, fault("archive", "The evidence is not intact: %s.", err)
	}
	chain, err := checkSignature(o.Signed)
	if err != nil {
		return v, fault("signature", "The evidence is not intact: %s.", err)
	}
	if v.Manifest, err = parseManifest(o.Manifest); err != nil {
		return v, fault("manifest", "The evidence has a manifest that cannot be relied on: %s.", err)
	}
	if err := checkMedia(ctx, v.Manifest, o, progress); err != nil {
		return v, err
	}
	leaf := chain[0]
	sum := sha256.Sum256(leaf.Raw)
	v.Subject, v.Issuer, v.Fingerprint = leaf.Subject.String(), leaf.Issuer.String(), hex.EncodeToString(sum[:])
	if trust.Empty() {
		return v, nil
	}
	if err := trust.check(chain, v.Manifest.Created); err != nil {
		return v, fault(PartSigner, "The evidence is intact, but not signed by whom it should be: %s.", err)
	}
	v.SignerKnown = true
	return v, nil
}

// check fails for a certificate that is not accepted.
func (t Trust) check(chain []*x509.Certificate, at time.Time) error {
	leaf := chain[0]
	sum := sha256.Sum256(leaf.Raw)
	if t.Certificate != nil && !t.Certificate.Equal(leaf) {
		return errors.New("its certificate is another one")
	}
	wanted := strings.ToLower(strings.NewReplacer(":", "", " ", "").Replace(t.Fingerprint))
	if wanted != "" && wanted != hex.EncodeToString(sum[:]) {
		return fmt.Errorf("the fingerprint of its certificate is %x", sum)
	}
	if at.Before(leaf.NotBefore) || at.After(leaf.NotAfter) {
		return fmt.Errorf("its certificate was valid from %s to %s, and the evidence says that it was made at %s",
			leaf.NotBefore.UTC().Format(time.RFC3339), leaf.NotAfter.UTC().Format(time.RFC3339), at.Format(time.RFC3339))
	}
	if leaf.KeyUsage != 0 && leaf.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) == 0 {
		return errors.New("its certificate is not for signatures")
	}
	if t.Roots == nil {
		return nil
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: t.Roots, Intermediates: between, CurrentTime: at,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		return fmt.Errorf("its certificate does not lead to the one that was given (%w)", err)
	}
	return nil
}

// reading follows how much was read, and ends with its context.
type reading struct {
	ctx      context.Context
	r        io.Reader
	done     int64
	total    int64
	progress func(done, total int64)
}

func (r *reading) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.r.Read(p)
	if r.done += int64(n); r.progress != nil {
		r.progress(r.done, r.total)
	}
	return n, err
}

// checkMedia compares the media with the manifest.
func checkMedia(ctx context.Context, m Manifest, o opened, progress func(done, total int64)) error {
	if o.media.Size() != m.Media.Bytes {
		return fault("media", "The evidence is not intact: its media has %d bytes, the manifest says %d.", o.media.Size(), m.Media.Bytes)
	}
	crc := crc32.NewIEEE()
	in := bufio.NewReaderSize(io.TeeReader(&reading{ctx: ctx, r: o.media, total: m.Media.Bytes, progress: progress}, crc), 256<<10)
	head := new(Chain)
	got, err := head.Next(io.LimitReader(in, m.Media.Head.Bytes))
	if err == nil && got != m.Media.Head.SHA256 {
		return fault("media", "The evidence is not intact: the head of its media was changed.")
	}
	chain := new(Chain)
	for _, f := range m.Fragments {
		if err == nil {
			got, err = chain.Next(io.LimitReader(in, f.Bytes))
		}
		if err == nil && got != f.SHA256 {
			return fault("media", "The evidence is not intact: its media of %s to %s was changed.", f.From.Format(time.RFC3339Nano),
				f.To.Format(time.RFC3339Nano))
		}
	}
	if err == nil {
		got, err = chain.Next(in)
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return fmt.Errorf("cannot read the evidence: %w", err)
	case got != m.Media.Tail.SHA256:
		return fault("media", "The evidence is not intact: the end of its media was changed.")
	case crc.Sum32() != o.mediaCRC:
		return fault("archive", "The evidence is not intact: media.mkv differs from its checksum in the archive.")
	}
	return nil
}
