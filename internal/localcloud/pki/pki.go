// Package pki owns the certificates of the stand-in: one authority, one server, one of each device.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/state"
)

// lifetime of all certificates.
const lifetime = 10 * 365 * 24 * time.Hour

// thingPattern is that of HubDeviceArn, which is narrower than what IoT allows.
var thingPattern = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,128}$`)

// Authority is a certificate authority with its files: ca.pem and ca.key, server.pem and server.key,
// and thing-NAME.pem and thing-NAME.key of each device.
type Authority struct {
	dir    string
	ca     tls.Certificate
	server tls.Certificate
	pool   *x509.CertPool

	mu sync.Mutex // one certificate is made at a time
}

// Open reads the authority in dir, or makes one. The server's certificate is for that address of this machine too: one
// that an earlier version made may not be, and is replaced.
func Open(dir string, address netip.Addr) (*Authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the directory of certificates: %w", err)
	}
	p := &Authority{dir: dir, pool: x509.NewCertPool()}
	var err error
	if p.ca, err = p.obtain("ca", func() *x509.Certificate {
		return &x509.Certificate{Subject: pkix.Name{CommonName: "local cloud CA"}, IsCA: true, BasicConstraintsValid: true,
			KeyUsage: x509.KeyUsageCertSign}
	}); err != nil {
		return nil, err
	}
	p.pool.AddCert(p.ca.Leaf)
	template := func() *x509.Certificate {
		return &x509.Certificate{
			Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost", "api.localhost", "data.localhost"},
			IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback, address.AsSlice()},
			KeyUsage:    x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		}
	}
	if p.server, err = p.obtain(server, template); err != nil {
		return nil, err
	}
	if p.server.Leaf.VerifyHostname(address.String()) == nil {
		return p, nil
	}
	if err := errors.Join(os.Remove(filepath.Join(dir, server+".pem")), os.Remove(filepath.Join(dir, server+".key"))); err != nil {
		return nil, fmt.Errorf("cannot replace the server's certificate: %w", err)
	}
	p.server, err = p.obtain(server, template)
	return p, err
}

// server is the name of the server's certificate.
const server = "server"

// Device makes the certificate of a thing unless there is one.
func (p *Authority) Device(thing string) error {
	if !thingPattern.MatchString(thing) || strings.Trim(thing, ".") == "" {
		return fmt.Errorf("%q cannot be the name of a thing: use letters, digits, and _.-", thing)
	}
	_, err := p.obtain("thing-"+thing, func() *x509.Certificate {
		return &x509.Certificate{
			Subject:  pkix.Name{CommonName: thing},
			KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		}
	})
	return err
}

// CAFile is the certificate of the authority.
func (p *Authority) CAFile() string { return filepath.Join(p.dir, "ca.pem") }

// CertFile is the certificate of a thing.
func (p *Authority) CertFile(thing string) string { return filepath.Join(p.dir, "thing-"+thing+".pem") }

// KeyFile is the key of a thing.
func (p *Authority) KeyFile(thing string) string { return filepath.Join(p.dir, "thing-"+thing+".key") }

// ServerConfig is TLS as AWS serves it.
func (p *Authority) ServerConfig(clients tls.ClientAuthType) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{p.server}, ClientAuth: clients, ClientCAs: p.pool, MinVersion: tls.VersionTLS12}
}

// Pool has the authority, for those who check the server.
func (p *Authority) Pool() *x509.CertPool { return p.pool }

// obtain reads a certificate with its key, or makes it.
func (p *Authority) obtain(name string, template func() *x509.Certificate) (tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	cert, key := filepath.Join(p.dir, name+".pem"), filepath.Join(p.dir, name+".key")
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err == nil {
		return pair, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return pair, fmt.Errorf("cannot read the certificate %s, delete it to have it created again: %w", cert, err)
	}
	if err := p.issue(template(), cert, key); err != nil {
		return pair, fmt.Errorf("cannot make the certificate %s: %w", cert, err)
	}
	return tls.LoadX509KeyPair(cert, key)
}

// issue signs a certificate and writes it; the authority signs itself.
func (p *Authority) issue(template *x509.Certificate, certFile, keyFile string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)); err != nil {
		return err
	}
	template.NotBefore = time.Now().Add(-24 * time.Hour) // clocks differ
	template.NotAfter = time.Now().Add(lifetime)
	parent, signer := template, crypto.PrivateKey(key)
	if !template.IsCA {
		parent, signer = p.ca.Leaf, p.ca.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := state.ReplaceFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})); err != nil {
		return err
	}
	return state.ReplaceFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
