// Package handshake makes TLS connections to cameras whose certificate is pinned or signed for their name, and turns
// failures into sentences. It does not use the connections.
package handshake

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"strings"
	"syscall"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/neterr"
)

// certificateError: a camera's certificate is not trusted.
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

// why returns, for people, what is wrong with a certificate, "" where its signer is not trusted.
func (e *certificateError) why() string {
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(e.err, new(x509.HostnameError)):
		return ", as it is for another name"
	case !errors.As(e.err, &invalid) || invalid.Reason != x509.Expired:
		return ""
	case time.Now().Before(invalid.Cert.NotBefore):
		return fmt.Sprintf(", as it is not valid before %s (check the hub's clock)", invalid.Cert.NotBefore.UTC().Format(time.DateOnly))
	default:
		return fmt.Sprintf(", as it expired on %s", invalid.Cert.NotAfter.UTC().Format(time.DateOnly))
	}
}

// Error: a camera accepted a connection, but not TLS on it.
type Error struct {
	error
	asked  bool // it asked for a client certificate
	tunnel bool // see Options
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.error }

// Untrusted reports whether the reason is that the camera's certificate is not trusted.
func (e *Error) Untrusted() bool { return errors.As(e.error, new(*certificateError)) }

// code is the code of conditions that end a session: one camera has one sentence.
const code = "camera"

// Alerts of TLS (RFC 8446, section 6).
const (
	alertHandshakeFailure     = 40
	alertBadCertificate       = 42
	alertProtocolVersion      = 70
	alertInsufficientSecurity = 71
	alertUnrecognizedName     = 112
	alertCertificateRequired  = 116
)

// Options define which certificates are trusted.
type Options struct {
	Name   string             // of the camera: a host without a port
	Pinned *[sha256.Size]byte // the SHA-256 of its certificate, with any signer; nil: none is pinned
	Roots  *x509.CertPool     // verify certificates that are not pinned. Default: the system's roots
	Tunnel bool               // the connection carries HTTP
}

// Connect makes a TLS connection over another one, which it closes when it fails. Its error is an *Error.
func Connect(ctx context.Context, over net.Conn, o Options) (*tls.Conn, error) {
	failed, config := &Error{tunnel: o.Tunnel}, o.config()
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		failed.asked = true
		return new(tls.Certificate), nil // none
	}
	conn := tls.Client(over, config)
	if failed.error = conn.HandshakeContext(ctx); failed.error != nil {
		_ = over.Close()
		return nil, failed
	}
	return conn, nil
}

// alertOf returns the camera's alert in an error, 0 for none. In TLS 1.3 it may arrive after the handshake.
func alertOf(err error) uint64 {
	var remote *net.OpError
	if errors.As(err, &remote) && remote.Op == "remote error" && reflect.ValueOf(remote.Err).Kind() == reflect.Uint8 {
		return reflect.ValueOf(remote.Err).Uint()
	}
	return 0
}

// Fault returns a sentence for the camera at a host, without words of the library, nil where TLS is not the cause.
func Fault(host string, err error) *health.Fault {
	var e *Error
	if !errors.As(err, &e) {
		if alertOf(err) == 0 {
			return nil
		}
		e = &Error{error: err}
	}
	with, without := "rtsps://", "rtsp://"
	if e.tunnel {
		with, without = "rtspsh://", "rtsph://"
	}
	user := func(format string, args ...any) *health.Fault {
		return health.UserFault(code, err, format, args...)
	}
	var certificate *certificateError
	var notTLS tls.RecordHeaderError
	alert, text := alertOf(e.error), e.Error()
	switch {
	case errors.As(e.error, &certificate) && certificate.pinned:
		return user("The certificate of the camera at %s is not the pinned one but has the fingerprint %s: "+
			"if it was renewed, correct the fingerprint in the secret's MediaURI.", host, certificate.fingerprint)
	case errors.As(e.error, &certificate):
		return user("The certificate of the camera at %s is not trusted%s: if its SHA-256 fingerprint is %s, "+
			"add ?fingerprint= with it to the secret's MediaURI.", host, certificate.why(), certificate.fingerprint)
	case errors.As(e.error, &notTLS):
		return user("The camera at %s does not speak TLS on that port: "+
			"write %s instead of %s in the secret's MediaURI, or correct the port.", host, without, with)
	case alert == alertProtocolVersion, strings.Contains(text, "protocol version"):
		return user("The camera at %s supports no secure version of TLS (1.2 or later): update its firmware, or write %s "+
			"instead of %s in the secret's MediaURI where its network is safe.", host, without, with)
	case alert == alertCertificateRequired, alert == alertBadCertificate, alert != 0 && e.asked:
		return user("The camera at %s asks for a client certificate, which the agent does not have: "+
			"switch that off on the camera.", host)
	case alert == alertHandshakeFailure, alert == alertInsufficientSecurity, strings.Contains(text, "cipher suite"):
		return user("The camera at %s supports none of the secure TLS cipher suites: update its firmware and renew its certificate, or write "+
			"%s instead of %s in the secret's MediaURI where its network is safe.", host, without, with)
	case alert == alertUnrecognizedName:
		return user("The camera at %s uses another name in TLS: write that name instead of the host in the secret's MediaURI.", host)
	case neterr.IsTimeout(err), errors.Is(err, context.DeadlineExceeded): // also when the session was cancelled
		return user("The camera at %s accepts connections, but does not answer in TLS on that port: "+
			"write %s instead of %s in the secret's MediaURI, or correct the port.", host, without, with)
	case errors.Is(e.error, io.EOF), errors.Is(e.error, io.ErrUnexpectedEOF), errors.Is(e.error, syscall.ECONNRESET),
		errors.Is(e.error, syscall.EPIPE):
		return user("The camera at %s closes the connection instead of speaking TLS: "+
			"write %s instead of %s in the secret's MediaURI, or correct the port.", host, without, with)
	}
	return user("The camera at %s speaks a TLS that the agent does not understand: update its firmware, or write %s instead of "+
		"%s in the secret's MediaURI where its network is safe.", host, without, with)
}

// config returns the configuration of a connection.
func (o Options) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		ServerName: o.Name,
		// The standard check cannot accept a pinned certificate: VerifyConnection does both checks.
		InsecureSkipVerify: true,
		VerifyConnection:   o.verify,
	}
}

// verify checks the camera's certificate.
func (o Options) verify(state tls.ConnectionState) error {
	leaf := state.PeerCertificates[0]
	sum := sha256.Sum256(leaf.Raw)
	fault := &certificateError{fingerprint: hex.EncodeToString(sum[:])}
	if o.Pinned != nil {
		if sum == *o.Pinned {
			return nil
		}
		fault.pinned, fault.err = true, errOtherCertificate
		return fault
	}
	others := x509.NewCertPool()
	for _, c := range state.PeerCertificates[1:] {
		others.AddCert(c)
	}
	if _, fault.err = leaf.Verify(x509.VerifyOptions{DNSName: o.Name, Roots: o.Roots, Intermediates: others}); fault.err != nil {
		return fault
	}
	return nil
}
