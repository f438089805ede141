// Package neterr finds what keeps the agent from a server that speaks TLS, so that each client can
// say in its own words what to do about it.
package neterr

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
)

// Kind is what an error of dialling, TLS or reading comes from.
type Kind int

// The kinds, from the nearest to the farthest end of the way.
const (
	Unreachable      Kind = iota // nobody there takes connections, or all that nothing below explains
	Timeout                      // no answer in time
	DNS                          // the name cannot be resolved
	CertExpired                  // the server's certificate is not valid at the hub's time
	Untrusted                    // the server's certificate is not signed by a CA that the hub trusts
	HostnameMismatch             // the server's certificate is for another name
	Refused                      // the server ends the TLS handshake: it does not accept our certificate
)

// Of returns what err comes from.
func Of(err error) Kind {
	var (
		invalid  x509.CertificateInvalidError
		unknown  x509.UnknownAuthorityError
		hostname x509.HostnameError
		dns      *net.DNSError
	)
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return CertExpired
	case errors.As(err, &unknown), errors.As(err, &invalid):
		return Untrusted
	case errors.As(err, &hostname):
		return HostnameMismatch
	case isAlert(err):
		return Refused
	case errors.As(err, &dns):
		return DNS
	case IsTimeout(err):
		return Timeout
	default:
		return Unreachable
	}
}

// isAlert reports whether err is a TLS alert of the server. Over TCP that is an operation's error
// with a text in place of an error's type.
// Source: crypto/tls, Conn.readRecordOrCCS; tls.AlertError is for QUIC.
func isAlert(err error) bool {
	var (
		alert     tls.AlertError
		operation *net.OpError
	)
	return errors.As(err, &alert) || errors.As(err, &operation) && operation.Op == "remote error"
}

// IsTimeout reports whether err is that of a time that ran out, whosever clock it was.
func IsTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}
