package camera

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"strings"
)

// fingerprintParameter of a rtsps:// URL pins the camera's certificate. It is not sent to the camera.
const fingerprintParameter = "fingerprint"

// certificateError says that a camera's certificate is not trusted.
type certificateError struct {
	fingerprint string // SHA-256 of the certificate, in hex
	pinned      bool   // another one was expected
	err         error
}

func (e *certificateError) Error() string {
	return "certificate " + e.fingerprint + ": " + e.err.Error()
}
func (e *certificateError) Unwrap() error { return e.err }

var errOtherCertificate = errors.New("it is not the pinned one")

// parseFingerprint reads a SHA-256 fingerprint as tools print it: with or without colons.
func parseFingerprint(text string) ([sha256.Size]byte, bool) {
	var sum [sha256.Size]byte
	b, err := hex.DecodeString(strings.ReplaceAll(text, ":", ""))
	if err != nil || len(b) != len(sum) {
		return sum, false
	}
	return [sha256.Size]byte(b), true
}

// tlsConfig makes the TLS settings towards a camera. Its certificate has to be the pinned one, or to
// be signed by one of roots (nil: those of the system) for the camera's name.
func tlsConfig(name string, pinned *[sha256.Size]byte, roots *x509.CertPool) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		ServerName: name,
		// The standard check cannot accept a pinned certificate: VerifyConnection makes both checks.
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			leaf := state.PeerCertificates[0]
			sum := sha256.Sum256(leaf.Raw)
			fault := &certificateError{fingerprint: hex.EncodeToString(sum[:])}
			if pinned != nil {
				if sum == *pinned {
					return nil
				}
				fault.pinned, fault.err = true, errOtherCertificate
				return fault
			}
			others := x509.NewCertPool()
			for _, c := range state.PeerCertificates[1:] {
				others.AddCert(c)
			}
			_, fault.err = leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, Intermediates: others})
			if fault.err != nil {
				return fault
			}
			return nil
		},
	}
}
