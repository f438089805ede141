package camera

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
)

// certificateFor returns a self-signed certificate, valid from and to, and its fingerprint.
func certificateFor(t *testing.T, from, to time.Time, names ...string) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "camera"}, NotBefore: from, NotAfter: to, DNSNames: names,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	if len(names) == 0 {
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, hex.EncodeToString(sum[:])
}

func pinnedConfig(t *testing.T) (config *tls.Config, query string) {
	t.Helper()
	certificate, fingerprint := certificateFor(t, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	return &tls.Config{Certificates: []tls.Certificate{certificate}}, "?fingerprint=" + fingerprint
}

// serveBytes accepts connections, reads what arrives first, and answers it, until the test ends. nil: it hangs up; empty: it waits.
func serveBytes(t *testing.T, config *tls.Config, answer []byte) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = listener.Addr().String()
	if config != nil {
		listener = tls.NewListener(listener, config)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() {
		cancel()
		_ = listener.Close()
	})
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if _, err := conn.Read(make([]byte, 4096)); err != nil || answer == nil {
					return
				}
				if _, err := conn.Write(answer); err != nil {
					return
				}
				defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
				_, _ = io.Copy(io.Discard, conn)
			}()
		}
	}()
	return address
}

// TestASentenceForEachHandshakeThatFails: no sentence contains words of a library.
func TestASentenceForEachHandshakeThatFails(t *testing.T) {
	t.Parallel()
	now := time.Now()
	with := func(change func(*tls.Config), names ...string) *tls.Config {
		certificate, _ := certificateFor(t, now.Add(-time.Hour), now.Add(time.Hour), names...)
		c := &tls.Config{Certificates: []tls.Certificate{certificate}}
		if change != nil {
			change(c)
		}
		return c
	}
	dated := func(from, to time.Time) *tls.Config {
		certificate, _ := certificateFor(t, from, to)
		return &tls.Config{Certificates: []tls.Certificate{certificate}}
	}
	_, pin := pinnedConfig(t)
	alert := func(code byte) []byte { return []byte{21, 3, 3, 0, 2, 2, code} }
	for name, c := range map[string]struct {
		config *tls.Config
		bytes  []byte // after TLS, or instead of it without a config
		scheme string // default rtsps
		query  string
		roots  bool // the certificate is a root
		want   string
	}{
		"TLS 1.1 only": {config: with(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }),
			want: "supports no secure version of TLS (1.2 or later)"},
		"TLS 1.0 is chosen": {bytes: append([]byte{22, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1}, make([]byte, 36)...),
			want: "supports no secure version of TLS"},
		"no cipher in common": {config: with(func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_RSA_WITH_RC4_128_SHA}
		}), want: "none of the secure TLS cipher suites"},
		"a handshake that fails":   {bytes: alert(40), want: "none of the secure TLS cipher"},
		"a name that is not known": {bytes: alert(112), want: "uses another name in TLS"},
		"an alert of another kind": {bytes: alert(80), want: "speaks a TLS that the agent does not understand"},
		"a certificate is demanded": {config: with(func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert }), roots: true,
			want: "asks for a client certificate"},
		"the same in TLS 1.2": {config: with(func(c *tls.Config) {
			c.ClientAuth, c.MaxVersion = tls.RequireAnyClientCert, tls.VersionTLS12
		}), roots: true, want: "asks for a client certificate"},
		"plain RTSP":  {bytes: []byte("RTSP/1.0 400 Bad Request\r\n\r\n"), want: "does not speak TLS on that port"},
		"it hangs up": {want: "closes the connection instead of speaking TLS"},
		"it waits":    {bytes: []byte{}, want: "does not answer in TLS on that port"},
		"expired": {config: dated(now.AddDate(-2, 0, 0), now.AddDate(-1, 0, 0)), roots: true,
			want: "as it expired on " + now.AddDate(-1, 0, 0).UTC().Format(time.DateOnly)},
		"not valid yet":    {config: dated(now.AddDate(1, 0, 0), now.AddDate(2, 0, 0)), roots: true, want: "check the hub's clock"},
		"of another name":  {config: with(nil, "other.example"), roots: true, want: "as it is for another name"},
		"signed by itself": {config: with(nil), want: "is not trusted: if its SHA-256 fingerprint is"},
		"not the pinned":   {config: with(nil), query: pin, want: "is not the pinned one"},
		"TLS for plain":    {scheme: "rtsp", bytes: alert(70), want: "expects TLS on that port: write rtsps://"},
		"a web server": {scheme: "rtsp", bytes: []byte("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
			want: "does not accept RTSP through HTTP"},
		"a web server, TLS": {config: with(nil), roots: true, bytes: []byte("HTTP/1.1 404 No\r\n\r\n"),
			want: "does not accept RTSP through HTTP"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := Options{Limits: Limits{Answer: time.Minute}}
			if name == "it waits" {
				o.Limits.Answer = 2 * time.Second
			}
			if c.roots {
				root, err := x509.ParseCertificate(c.config.Certificates[0].Certificate[0])
				if err != nil {
					t.Fatal(err)
				}
				o.Roots = x509.NewCertPool()
				o.Roots.AddCert(root)
			}
			if c.scheme == "" {
				c.scheme = "rtsps"
			}
			_, err := Probe(t.Context(), secret.New(c.scheme+"://u:hunter2@"+serveBytes(t, c.config, c.bytes)+"/live"+c.query), o)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			for _, raw := range []string{"tls:", "x509", "remote error", "handshake", "hunter2", "EOF"} {
				if strings.Contains(err.Error(), raw) {
					t.Errorf("the sentence has %q in it: %v", raw, err)
				}
			}
		})
	}
}
