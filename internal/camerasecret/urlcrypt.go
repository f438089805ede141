package camerasecret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
)

// sealer encrypts camera URLs for the disk with a key that only the holder of the device's
// private key can derive: a disk image without that key shows no password.
type sealer struct {
	aead   cipher.AEAD
	key    []byte           // of aead
	device *tls.Certificate // which key was derived from
}

// sealPurpose separates this key from any other that may be derived from the device key.
const sealPurpose = "kvs-edge-agent camera URLs v1"

var errNoDeviceKey = errors.New("the device's private key cannot be read out")

// newSealer derives the key from what config presents now. A device without a private key, or with
// one in hardware, has none: its URLs are kept in memory only.
func newSealer(config *tls.Config) (*sealer, error) {
	device, err := presented(config)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(device.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoDeviceKey, err)
	}
	key, err := hkdf.Key(sha256.New, der, nil, sealPurpose, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &sealer{aead: aead, key: key, device: device}, nil
}

// presented is the device certificate that the next connection would present, with its private key.
func presented(config *tls.Config) (device *tls.Certificate, err error) {
	switch {
	case config == nil:
		return nil, errNoDeviceKey
	case config.GetClientCertificate != nil:
		device, err = config.GetClientCertificate(new(tls.CertificateRequestInfo))
	case len(config.Certificates) > 0:
		device = &config.Certificates[0]
	}
	if err == nil && (device == nil || device.PrivateKey == nil) {
		err = errNoDeviceKey
	}
	return device, err
}

// seal encrypts a URL; it can be opened only for the same secret ARN.
func (s *sealer) seal(url secret.String, arn string) []byte {
	return s.aead.Seal(nil, nil, []byte(url.Reveal()), []byte(arn))
}

func (s *sealer) open(sealed []byte, arn string) (secret.String, error) {
	plain, err := s.aead.Open(nil, nil, sealed, []byte(arn))
	if err != nil {
		return secret.String{}, errors.New("the camera URL was sealed with another device key")
	}
	return secret.New(string(plain)), nil
}
