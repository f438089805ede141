package web

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/logevent"
)

// CertificateFile has the certificate that the agent made itself and its key, in the state directory.
const CertificateFile = "web-certificate.json"

// How long a certificate of the agent's own is valid, and how long before its end another one is made.
const (
	ownValid = 5 * 365 * 24 * time.Hour
	ownRenew = 30 * 24 * time.Hour
)

// buildTime is before every clock that is right: a certificate is not made for a time before it.
var buildTime = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// ownFile is the content of CertificateFile, as DER.
type ownFile struct {
	Version          int
	Certificate, Key []byte
}

// certificate is what TLS is served with: the operator's files, read again when they are replaced, or one of the agent's own.
type certificate struct {
	o Options

	mu      sync.Mutex
	current *tls.Certificate // nil: none can be used; guarded by mu
	read    string           // what the files were when current was read; guarded by mu
}

func newCertificate(o Options) *certificate { return &certificate{o: o} }

// config is that of TLS.
func (c *certificate) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		c.refresh()
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.current == nil {
			return nil, errors.New("no certificate")
		}
		return c.current, nil
	}}
}

// watch refreshes until ctx ends.
func (c *certificate) watch(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			c.refresh()
		}
	}
}

// refresh reads the files if they are other ones than before, or renews the agent's own. What cannot be read leaves the certificate as it
// was. It reports whether there is one.
func (c *certificate) refresh() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	var err error
	if c.o.Certificate != "" {
		err = c.readFiles()
	} else {
		err = c.own()
	}
	if err == nil {
		err = c.invalid()
	}
	if err == nil {
		c.o.Component.OK(scopeCertificate)
		return true
	}
	fault := health.UserFault(CodeCertificate, err, "The certificate of the web pages: %s.", health.Clean(err.Error(), health.MaxText))
	if c.o.Component.Report(scopeCertificate, health.Degraded, fault) {
		logevent.Condition(c.o.Log, fault)
	}
	return c.current != nil
}

// readFiles reads the operator's files. c.mu is held.
func (c *certificate) readFiles() error {
	var seen strings.Builder
	for _, file := range []struct{ path, variable string }{{c.o.Certificate, c.o.CertificateVariable}, {c.o.Key, c.o.KeyVariable}} {
		info, err := os.Stat(file.path)
		if err != nil {
			return fmt.Errorf("%s cannot be read (%s): %w; correct %s or the file", file.path, file.variable, err, file.variable)
		}
		fmt.Fprintf(&seen, "%d %d\n", info.Size(), info.ModTime().UnixNano())
		if detail, ok := info.Sys().(*syscall.Stat_t); ok {
			fmt.Fprintln(&seen, detail.Ino)
		}
	}
	if c.current != nil && seen.String() == c.read {
		return nil
	}
	next, err := tls.LoadX509KeyPair(c.o.Certificate, c.o.Key)
	if err != nil {
		return fmt.Errorf("%s with its key cannot be used (%s): %w; put a certificate chain and its key as PEM there", c.o.Certificate,
			c.o.CertificateVariable, err)
	}
	if c.current != nil {
		logevent.WebCertificateRead.Log(c.o.Log)
	}
	c.current, c.read = &next, seen.String()
	return nil
}

// invalid says that the operator's certificate is not valid now. c.mu is held.
func (c *certificate) invalid() error {
	if begin := c.current.Leaf.NotBefore; c.o.Now().Before(begin) {
		return fmt.Errorf("it is valid from %s on, so that browsers refuse it until then: check the hub's clock, or use another one",
			begin.UTC().Format(time.DateOnly))
	}
	if end := c.current.Leaf.NotAfter; c.o.Now().After(end) {
		return fmt.Errorf("it was valid until %s, so that browsers refuse it: renew it", end.UTC().Format(time.DateOnly))
	}
	return nil
}

// own reads the agent's own certificate, or makes one. c.mu is held.
func (c *certificate) own() error {
	now := c.o.Now()
	if c.current != nil && c.current.Leaf.NotAfter.Sub(now) > ownRenew {
		return nil
	}
	if c.current == nil {
		var file ownFile
		if err := c.o.Dir.Read(CertificateFile, &file); err == nil {
			if own, err := file.certificate(); err == nil && own.Leaf.NotAfter.Sub(now) > ownRenew {
				c.current = own
				return nil
			}
		}
	}
	file, err := newOwn(c.o.Hostname, now)
	if err != nil {
		return fmt.Errorf("none can be made: %w", err)
	}
	own, err := file.certificate()
	if err != nil {
		return fmt.Errorf("none can be made: %w", err)
	}
	if err := c.o.Dir.Write(CertificateFile, file); err != nil && c.current == nil {
		return fmt.Errorf("none can be saved: %w; %s", err, c.o.Dir.Advice(CertificateFile, err))
	}
	c.current = own
	return nil
}

func (f ownFile) certificate() (*tls.Certificate, error) {
	key, err := x509.ParsePKCS8PrivateKey(f.Key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(f.Certificate)
	if err != nil {
		return nil, err
	}
	private, ok := key.(*ecdsa.PrivateKey)
	if !ok || !private.PublicKey.Equal(leaf.PublicKey) {
		return nil, errors.New("the key is not that of the certificate")
	}
	return &tls.Certificate{Certificate: [][]byte{f.Certificate}, PrivateKey: key, Leaf: leaf}, nil
}

// newOwn makes a certificate for this machine, which nobody but who compares its fingerprint trusts.
func newOwn(hostname string, now time.Time) (f ownFile, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return f, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return f, err
	}
	from := now
	if from.Before(buildTime) { // the clock was never set
		from = buildTime
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: hostname, Organization: []string{"kvs-edge-agent"}},
		NotBefore: buildTime, NotAfter: from.Add(ownValid), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	if hostname != "" && hostname != "localhost" {
		template.DNSNames = append(template.DNSNames, hostname)
	}
	if f.Certificate, err = x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private); err != nil {
		return f, err
	}
	f.Version = 1
	f.Key, err = x509.MarshalPKCS8PrivateKey(private)
	return f, err
}

// fingerprint is the SHA-256 of the certificate, as browsers show it, and whether the agent made it.
func (c *certificate) fingerprint() (text string, own bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current == nil {
		return "", false
	}
	return fingerprintOf(c.current.Certificate[0]), c.o.Certificate == ""
}

// fingerprintOf is the SHA-256 of a certificate, as browsers show it.
func fingerprintOf(der []byte) string {
	sum := sha256.Sum256(der)
	parts := make([]string, len(sum))
	for i, b := range sum {
		parts[i] = fmt.Sprintf("%02X", b)
	}
	return strings.Join(parts, ":")
}

// shown is what the operator's certificate is for, without patterns, and what is wrong with it now. Of the agent's own, which no browser
// knows, it is empty.
func (c *certificate) shown() (names []string, trouble string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current == nil || c.o.Certificate == "" {
		return nil, ""
	}
	for _, name := range c.current.Leaf.DNSNames {
		if !strings.Contains(name, "*") {
			names = append(names, name)
		}
	}
	for _, ip := range c.current.Leaf.IPAddresses {
		names = append(names, ip.String())
	}
	if err := c.invalid(); err != nil {
		trouble = err.Error()
	}
	return names, trouble
}

// names reports whether the certificate is for a host.
func (c *certificate) names(host string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current != nil && c.current.Leaf.VerifyHostname(host) == nil
}
