package evidence

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"

	jose "github.com/go-jose/go-jose/v4"
)

// signatureType is that of the signatures, so that none that was made for another use counts, nor one of these elsewhere.
const signatureType = "kvs-edge-evidence+jws"

const (
	leastRSA     = 2048 // bits
	mostRSA      = 8192
	maxSignature = 4 << 10
	// maxCertificates bounds the file with the certificate and those of its issuers, in bytes.
	maxCertificates = 64 << 10
)

// header is the protected header of a signature, with the members in the order of its text. Anything else is refused: `crit`, keys and
// addresses of keys.
type header struct {
	Algorithm    string `json:"alg"`
	Certificates string `json:"certificates"` // as thumbprint, of the file with all of them: it is signed, too
	Type         string `json:"typ"`
	Certificate  string `json:"x5t#S256"`
}

// Signed are the parts of an archive beside the media.
type Signed struct {
	Manifest    []byte // JSON, as Manifest.Encode returns it
	Signature   []byte // a JWS whose payload is the manifest, which is not repeated (RFC 7515, appendix F)
	Certificate []byte // PEM: that of the key, and those of its issuers as far as the hub has them
}

// Sign signs a manifest with the key of a hub's certificate.
func Sign(manifest []byte, device *tls.Certificate) (s Signed, err error) {
	if device == nil || len(device.Certificate) == 0 {
		return s, errors.New("this hub has no device certificate, so that it cannot sign evidence")
	}
	algorithm, err := algorithmOf(device.PrivateKey)
	if err != nil {
		return s, err
	}
	s = Signed{Manifest: manifest}
	for _, der := range device.Certificate {
		s.Certificate = append(s.Certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	options := (&jose.SignerOptions{}).WithType(signatureType).WithHeader("x5t#S256", thumbprint(device.Certificate[0])).
		WithHeader("certificates", thumbprint(s.Certificate))
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: device.PrivateKey}, options)
	if err != nil {
		return s, fmt.Errorf("cannot sign evidence: %w", err)
	}
	signed, err := signer.Sign(manifest)
	if err != nil {
		return s, fmt.Errorf("cannot sign evidence: %w", err)
	}
	own := signed.Signatures[0].Signature
	if low := lowest(own, device.PrivateKey.(crypto.Signer).Public()); low != nil {
		copy(own, low)
	}
	text, err := signed.DetachedCompactSerialize()
	if err != nil {
		return s, fmt.Errorf("cannot sign evidence: %w", err)
	}
	s.Signature = []byte(text)
	return s, nil
}

// thumbprint is the member x5t#S256 of a certificate (RFC 7515, 4.1.8).
func thumbprint(data []byte) string {
	sum := sha256.Sum256(data)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// lowest returns the one of the two forms of a signature of a curve that counts, and nil where it has that form. From a signature (r, s)
// everybody can make (r, n-s), which is as valid: the lower one counts.
func lowest(signature []byte, public crypto.PublicKey) []byte {
	key, ok := public.(*ecdsa.PublicKey)
	if !ok {
		return nil
	}
	n, half := key.Params().N, len(signature)/2
	s := new(big.Int).SetBytes(signature[half:])
	other := new(big.Int).Sub(n, s)
	if other.Sign() < 0 || s.Cmp(other) <= 0 {
		return nil // one beyond n is not valid in any form
	}
	low := bytes.Clone(signature)
	other.FillBytes(low[half:])
	return low
}

// algorithmOf returns the one algorithm with which a key signs.
func algorithmOf(key crypto.PrivateKey) (jose.SignatureAlgorithm, error) {
	signer, ok := key.(crypto.Signer)
	if !ok {
		return "", errors.New("the device's key cannot sign")
	}
	list, err := algorithmsFor(signer.Public())
	if err != nil {
		return "", err
	}
	return list[0], nil
}

// algorithmsFor returns the algorithms with which a key may have signed. The key decides, not the signature.
func algorithmsFor(public crypto.PublicKey) ([]jose.SignatureAlgorithm, error) {
	switch key := public.(type) {
	case *rsa.PublicKey:
		if n := key.N.BitLen(); n < leastRSA || n > mostRSA {
			return nil, fmt.Errorf("the device's RSA key has %d bits, and evidence is signed with %d to %d", n, leastRSA, mostRSA)
		}
		return []jose.SignatureAlgorithm{jose.PS256, jose.RS256}, nil
	case *ecdsa.PublicKey:
		switch key.Params().Name {
		case "P-256":
			return []jose.SignatureAlgorithm{jose.ES256}, nil
		case "P-384":
			return []jose.SignatureAlgorithm{jose.ES384}, nil
		}
	}
	return nil, errors.New("the device's key is neither RSA nor of the curves P-256 or P-384, with which evidence is signed")
}

// checkSignature verifies a signature by the certificate beside it, and returns the certificate and those of its issuers.
func checkSignature(s Signed) (chain []*x509.Certificate, err error) {
	if chain, err = parseCertificates(s.Certificate); err != nil {
		return nil, err
	}
	algorithms, err := algorithmsFor(chain[0].PublicKey)
	if err != nil {
		return nil, err
	}
	if err := checkHeader(s, chain[0], algorithms); err != nil {
		return nil, err
	}
	signed, err := jose.ParseDetached(string(s.Signature), s.Manifest, algorithms)
	if err != nil || len(signed.Signatures) != 1 {
		return nil, errors.New("its signature cannot be read")
	}
	if err := signed.DetachedVerify(s.Manifest, chain[0].PublicKey); err != nil {
		return nil, errors.New("its signature is not one of the manifest by the key of the certificate")
	}
	return chain, nil
}

// checkHeader accepts the text of a signature as Sign writes it, bit by bit.
func checkHeader(signed Signed, certificate *x509.Certificate, algorithms []jose.SignatureAlgorithm) error {
	text := string(signed.Signature)
	parts := strings.Split(text, ".")
	if len(text) > maxSignature || len(parts) != 3 || parts[1] != "" {
		return errors.New("its signature is not a JWS without its payload")
	}
	for _, part := range []string{parts[0], parts[2]} {
		data, err := base64.RawURLEncoding.Strict().DecodeString(part)
		if err != nil || base64.RawURLEncoding.EncodeToString(data) != part {
			return errors.New("its signature is not strict base64url")
		}
	}
	data, _ := base64.RawURLEncoding.DecodeString(parts[0])
	signature, _ := base64.RawURLEncoding.DecodeString(parts[2])
	var h header
	if err := json.Unmarshal(data, &h); err != nil {
		return errors.New("the header of its signature is not JSON")
	}
	again, err := json.Marshal(h)
	switch {
	case err != nil || !bytes.Equal(again, data):
		return errors.New("the header of its signature has other members than alg, certificates, typ and x5t#S256")
	case h.Type != signatureType:
		return errors.New("its signature was made for another use")
	case h.Certificate != thumbprint(certificate.Raw):
		return errors.New("its signature names another certificate")
	case h.Certificates != thumbprint(signed.Certificate):
		return errors.New("the certificates of its issuers are not those that were signed")
	case lowest(signature, certificate.PublicKey) != nil:
		return errors.New("its signature is not in the form in which it is written")
	}
	for _, a := range algorithms {
		if h.Algorithm == string(a) {
			return nil
		}
	}
	return errors.New("the algorithm of its signature is not one of the key's")
}

// parseCertificates reads certificates as Sign writes them.
func parseCertificates(text []byte) (chain []*x509.Certificate, err error) {
	var again []byte
	for rest := text; len(rest) > 0; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil || block.Type != "CERTIFICATE" {
			return nil, errors.New("its certificate is not PEM")
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, errors.New("its certificate cannot be read")
		}
		chain = append(chain, c)
		again = append(again, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: block.Bytes})...)
	}
	if len(chain) == 0 || !bytes.Equal(again, text) {
		return nil, errors.New("its certificate is not PEM")
	}
	return chain, nil
}
