package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"time"
)

// printedURLs are the addresses at which a camera can be reached: those of this machine when it
// listens on all, and with the fingerprint of its certificate when it has one.
func printedURLs(address, fingerprint string) []string {
	u, err := url.Parse(address)
	if err != nil {
		return []string{address}
	}
	if fingerprint != "" {
		u.RawQuery = "fingerprint=" + fingerprint
	}
	if ip := net.ParseIP(u.Hostname()); ip == nil || !ip.IsUnspecified() {
		return []string{u.String()}
	}
	own, err := net.InterfaceAddrs()
	if err != nil || len(own) == 0 {
		return []string{u.String()}
	}
	var urls []string
	for _, a := range own {
		if network, ok := a.(*net.IPNet); ok && network.IP.To4() != nil {
			each := *u
			each.Host = net.JoinHostPort(network.IP.String(), u.Port())
			urls = append(urls, each.String())
		}
	}
	return urls
}

// fakecamCertificate makes a certificate that signs itself, and its SHA-256 fingerprint.
func fakecamCertificate() (*tls.Certificate, string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, "", fmt.Errorf("cannot make a key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: "fakecam"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().AddDate(1, 0, 0),
		DNSNames:     []string{"localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, "", fmt.Errorf("cannot make a certificate: %w", err)
	}
	sum := sha256.Sum256(der)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, hex.EncodeToString(sum[:]), nil
}
