package main

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/kvs-edge/kvs-edge-agent/internal/evidence"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
)

// exitUnknownSigner is the exit code for evidence that is intact, and of which nobody said who may have signed it.
const exitUnknownSigner = 3

// evidenceFlags say which evidence is verified, and whose signature is accepted.
type evidenceFlags struct{ file, certificate, ca, fingerprint string }

func (f *evidenceFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.file, "evidence", "", "verify this archive of evidence, and no recordings")
	cmd.Flags().StringVar(&f.certificate, "certificate", "", "accept the signature of this certificate: a PEM file")
	cmd.Flags().StringVar(&f.ca, "ca", "", "accept signatures of certificates that this authority issued: a PEM file")
	cmd.Flags().StringVar(&f.fingerprint, "fingerprint", "", "accept the signature of the certificate with this SHA-256")
}

// check refuses flags that exclude each other.
func (f *evidenceFlags) check(cmd *cobra.Command) error {
	for _, name := range []string{"evidence", "certificate", "ca", "fingerprint"} { // such as a variable that a script did not set
		if flag := cmd.Flags().Lookup(name); flag.Changed && flag.Value.String() == "" {
			return &exitError{exitSettings, fmt.Errorf("--%s is empty: give it a value, or leave it out", name)}
		}
	}
	if f.file == "" && (f.certificate != "" || f.ca != "" || f.fingerprint != "") {
		return &exitError{exitSettings, errors.New("--certificate, --ca and --fingerprint say who signed evidence: name it with --evidence")}
	}
	for _, name := range []string{"dir", "socket", "stream", "from", "to", "last"} {
		if flag := cmd.Flags().Lookup(name); f.file != "" && flag != nil && flag.Changed {
			return &exitError{exitSettings, fmt.Errorf("--evidence verifies one file, and --%s is of recordings", name)}
		}
	}
	return nil
}

// trust reads who is accepted.
func (f *evidenceFlags) trust() (t evidence.Trust, err error) {
	if t.Fingerprint = f.fingerprint; t.Fingerprint != "" {
		digits := strings.NewReplacer(":", "", " ", "").Replace(t.Fingerprint)
		if sum, err := hex.DecodeString(digits); err != nil || len(sum) != 32 {
			return t, &exitError{exitSettings, errors.New("--fingerprint must be a SHA-256: 64 hexadecimal digits")}
		}
	}
	if f.certificate != "" {
		list, err := readCertificates("--certificate", f.certificate)
		if err != nil {
			return t, err
		}
		t.Certificate = list[0]
	}
	if f.ca != "" {
		list, err := readCertificates("--ca", f.ca)
		if err != nil {
			return t, err
		}
		t.Roots = x509.NewCertPool()
		for _, c := range list {
			t.Roots.AddCert(c)
		}
	}
	return t, nil
}

// verifiedEvidence is what --json prints.
type verifiedEvidence struct {
	Intact      bool               `json:"intact"`
	SignerKnown bool               `json:"signerKnown"`
	Part        string             `json:"part,omitempty"`  // what is wrong: archive, manifest, signature, media, signer
	Error       string             `json:"error,omitempty"` // a sentence
	Damaged     int                `json:"damagedFragments"`
	Certificate *signerCertificate `json:"certificate,omitempty"`
	Manifest    *evidence.Manifest `json:"manifest,omitempty"` // what the hub claims, without the fragments
	Fragments   int                `json:"fragments"`
}

type signerCertificate struct {
	Subject     string `json:"subject"`
	Issuer      string `json:"issuer"`
	Fingerprint string `json:"fingerprint"`
}

// run verifies evidence and prints what it is.
func (f *evidenceFlags) run(ctx context.Context, out, problems io.Writer, asJSON bool) error {
	trust, err := f.trust()
	if err != nil {
		return err
	}
	file, err := os.OpenFile(f.file, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a named pipe is not waited for
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", shownName(f.file), cause(err))
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a file")
	}
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", shownName(f.file), cause(err))
	}
	bar := newProgress(problems, "verifying")
	verdict, err := evidence.Verify(ctx, file, info.Size(), trust, bar.show)
	bar.end()
	var wrong *evidence.Fault
	if err != nil && !errors.As(err, &wrong) {
		return err
	}
	if asJSON {
		return printVerdict(out, verdict, wrong)
	}
	if wrong != nil {
		return fmt.Errorf("%s: %s", shownName(f.file), wrong.Text)
	}
	describeEvidence(out, shownName(f.file), verdict)
	if !verdict.SignerKnown {
		return &exitError{code: exitUnknownSigner}
	}
	return nil
}

func printVerdict(out io.Writer, v evidence.Verdict, wrong *evidence.Fault) error {
	result := verifiedEvidence{Intact: wrong == nil || wrong.Part == evidence.PartSigner, SignerKnown: v.SignerKnown}
	if wrong != nil {
		result.Part, result.Error = wrong.Part, wrong.Text
	}
	if result.Intact {
		result.Damaged, result.Fragments = damagedFragments(v.Manifest), len(v.Manifest.Fragments)
		result.Certificate = &signerCertificate{v.Subject, v.Issuer, v.Fingerprint}
		v.Manifest.Fragments = nil
		result.Manifest = &v.Manifest
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	switch err := encoder.Encode(result); {
	case err != nil:
		return err
	case wrong != nil:
		return &exitError{code: exitFailure}
	case !v.SignerKnown:
		return &exitError{code: exitUnknownSigner}
	}
	return nil
}

// describeEvidence says what intact evidence claims.
func describeEvidence(out io.Writer, name string, v evidence.Verdict) {
	m := v.Manifest
	clean := func(text string) string { return health.Clean(text, health.MaxText) }
	fmt.Fprintf(out, "%s: intact, %s of stream %s, %s to %s (%s), %s\n", name, humanize.Count(len(m.Fragments), "fragment"), clean(m.Stream),
		humanize.Millis(m.From.Local()), humanize.Millis(m.To.Local()), humanize.Length(m.To.Sub(m.From)), humanize.Bytes(m.Media.Bytes))
	clock := clean(m.Clock.Why)
	if n := len(m.Clock.Corrections); n > 0 {
		clock += fmt.Sprintf("; times were corrected in %s", humanize.Count(n, "span"))
	}
	hub := "the hub " + clean(m.Hub.Thing)
	if m.Hub.Thing == "" {
		hub = "a hub without a name"
	}
	fmt.Fprintf(out, "%s says so at %s, by its clock (%s)\n", hub, m.Created.Format(time.RFC3339), clock)
	fmt.Fprintf(out, "%s without media, %s that could not be read, %s changed on the disk since the recording\n",
		humanize.Count(len(m.Gaps), "time"), humanize.Count(len(m.Lost), "time"), humanize.Count(damagedFragments(m), "fragment"))
	signer := fmt.Sprintf("the certificate %s (issued by %s, SHA-256 %s)", clean(v.Subject), clean(v.Issuer), v.Fingerprint)
	if v.SignerKnown {
		fmt.Fprintf(out, "signed by %s\n", signer)
		return
	}
	fmt.Fprintf(out, "signer unknown: it was signed by %s; say with --certificate, --ca or --fingerprint whose signature is accepted\n",
		signer)
}
