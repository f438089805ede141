// Package connfault has the sentences that say why a server of AWS cannot be reached, and what to do about it.
package connfault

import (
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/neterr"
)

// Server is one that the hub connects to.
type Server struct {
	Host    string
	Setting string // the variable that its address comes from

	// Endpoint names one of AWS IoT's endpoints, "credentials" for example, and Service any other server of AWS,
	// such as "STS". One of them is set.
	Endpoint, Service string

	// DeviceCertificate is what to check when the server refuses the device certificate: "active and …".
	DeviceCertificate string
	// Port is the one that was tried, where it is not always 443.
	Port string
	// Now is the hub's time, where a certificate that is not valid at it shall show it.
	Now time.Time
}

// Sentence is a failure to connect, as health.NewFault takes it.
type Sentence struct {
	Class  health.Class
	Format string
	Args   []any
}

// rows are the sentences of all kinds.
var rows = map[neterr.Kind]struct {
	class  health.Class
	format string
	args   func(Server) []any
}{
	neterr.Unreachable: {health.SystemError, "%s cannot be reached%s: check the hub's internet connection and firewall%s.",
		func(s Server) []any { return []any{s.title(), s.triedPort(), s.firewallPort()} }},
	neterr.Timeout: {health.SystemError, "%s does not answer%s: check the hub's internet connection and firewall%s.",
		func(s Server) []any { return []any{s.title(), s.triedPort(), s.firewallPort()} }},
	neterr.DNS: {health.SystemError, "The name %s cannot be resolved: check %s and %s.",
		func(s Server) []any { return []any{s.name(), s.dns(), s.Setting} }},
	neterr.CertExpired: {health.UserError, "The certificate of %s is not valid at %s: set the clock (NTP).",
		func(s Server) []any { return []any{s.certified(), s.now()} }},
	neterr.Untrusted: {health.UserError, "The certificate of %s is not signed by a CA %s, and whether a proxy intercepts TLS.",
		func(s Server) []any { return []any{s.certified(), s.trust()} }},
	neterr.HostnameMismatch: {health.UserError, "The server at %s has a certificate for another name: correct %s.",
		func(s Server) []any { return []any{s.Host, s.Setting} }},
	neterr.Refused: {health.UserError, "%s refuses the device certificate: check that it is %s.",
		func(s Server) []any { return []any{s.refuser(), s.DeviceCertificate} }},
}

// Sentence says that a failure of a kind keeps the hub from the server.
func (s Server) Sentence(kind neterr.Kind) Sentence {
	row := rows[kind]
	return Sentence{Class: row.class, Format: row.format, Args: row.args(s)}
}

// title is the server as the subject of a sentence.
func (s Server) title() string {
	if s.Endpoint != "" {
		return "The " + s.Endpoint + " endpoint " + s.Host
	}
	return s.Service + " at " + s.Host
}

// name is the server's name, and whose it is.
func (s Server) name() string {
	if s.Endpoint != "" {
		return "of the " + s.Endpoint + " endpoint " + s.Host
	}
	return s.Host + " of " + s.Service
}

// certified is who shows the certificate.
func (s Server) certified() string {
	if s.Endpoint != "" {
		return s.Host
	}
	return s.title()
}

// refuser is who judges the device certificate.
func (s Server) refuser() string {
	if s.Endpoint != "" {
		return "AWS IoT"
	}
	return s.title()
}

func (s Server) dns() string {
	if s.Endpoint != "" {
		return "DNS"
	}
	return "the hub's DNS"
}

// trust says where the trusted CAs come from, and what to check there.
func (s Server) trust() string {
	if s.Endpoint != "" {
		return "in AWS_IOT_CA_CERT: check that file"
	}
	return "that the hub trusts: check AWS_IOT_CA_CERT and AWS_CA_BUNDLE"
}

// now is the time that a certificate is not valid at. That it passes makes no other failure.
func (s Server) now() health.Varying {
	if s.Now.IsZero() {
		return "the hub's time"
	}
	return health.Varying(s.Now.UTC().Format(time.RFC3339) + ", the hub's time")
}

func (s Server) triedPort() string {
	if s.Port == "" {
		return ""
	}
	return " on port " + s.Port
}

func (s Server) firewallPort() string {
	if s.Port == "" {
		return " (port 443)"
	}
	return ""
}
