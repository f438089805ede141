package iotcreds

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awserr"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/connfault"
	hosts "github.com/kvs-edge/kvs-edge-agent/internal/cloud/endpoint"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/hubclock"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/neterr"
)

// The codes of the conditions that the Provider raises.
const (
	codeRoleAlias   = "credentials-role-alias"  // the alias does not exist or may not be used
	codeCertificate = "credentials-certificate" // the device certificate is refused or over
	codeClock       = "credentials-clock"       // the hub's clock is off
	codeNetwork     = "credentials-network"     // the endpoint cannot be reached
	codeTrust       = "credentials-trust"       // the endpoint is not whom it should be
	codeService     = "credentials-service"     // the endpoint answers something else
	codeToken       = "credentials-token"       // Greengrass does not accept the component's token
)

func (p *Provider) clockFault(skew time.Duration) *health.Fault {
	if skew.Abs() <= hubclock.MaxSkew {
		return nil
	}
	return health.UserFault(codeClock, nil, "The hub's clock is %s %s that of %s, and AWS refuses requests that are more than 5 min off: "+
		"set the clock (NTP).",
		health.Varying(skewText(skew.Abs())), hubclock.Direction(-skew), p.o.Endpoint)
}

// statusFault turns an answer that is not 200 into a sentence.
func (p *Provider) statusFault(status int, body []byte, skew time.Duration) error {
	answer := awserr.ParseCredentials(status, body)
	cause := &StatusError{Status: status, Message: answer.Message}
	if f := p.certificateOver(cause); f != nil {
		return f
	}
	switch {
	case (answer.Kind == awserr.NotFound || answer.Kind == awserr.NoSuchPath) && p.otherEndpoint(answer):
		return health.UserFault(codeService, cause, "The host %s is not the credentials endpoint of AWS IoT, but another of its endpoints: "+
			"set AWS_IOT_CORE_CREDENTIAL_ENDPOINT to the host that `aws iot describe-endpoint --endpoint-type iot:CredentialProvider` shows.",
			p.o.Endpoint)
	case answer.Kind == awserr.NotFound, answer.Kind == awserr.NoSuchPath:
		return health.UserFault(codeRoleAlias, cause, "The role alias %s does not exist: create it, or correct AWS_IOT_CORE_ROLE_ALIAS.",
			p.o.RoleAlias)
	case answer.Kind == awserr.Certificate:
		return p.refusedCertificate(cause)
	case answer.Kind == awserr.Denied:
		if f := p.clockFault(skew); f != nil {
			f.Err = cause
			return f
		}
		return health.UserFault(codeRoleAlias, cause, "The hub may not use the role alias %s: its certificate's policy must allow "+
			"iot:AssumeRoleWithCertificate on it, and the role must trust credentials.iot.amazonaws.com.", p.o.RoleAlias)
	case answer.Kind == awserr.Invalid:
		return health.UserFault(codeRoleAlias, cause, "The credentials endpoint %s refuses thing %s with role alias %s: check that the "+
			"certificate is attached to the thing, and AWS_IOT_CORE_THING_NAME and AWS_IOT_CORE_ROLE_ALIAS.", p.o.Endpoint, p.o.ThingName,
			p.o.RoleAlias)
	default:
		return health.SystemFault(codeService, cause, "The credentials endpoint %s answers with HTTP status %d; the agent keeps trying.",
			p.o.Endpoint, status)
	}
}

// otherEndpoint reports whether an answer of 404 is that of a host which knows no role aliases, such as
// the data endpoint: it says "Not Found" of the path, with a trace id.
func (p *Provider) otherEndpoint(answer awserr.Error) bool {
	named, _ := hosts.IoT(p.o.Endpoint)
	return named != hosts.IoTCredentials && (answer.Kind == awserr.NoSuchPath ||
		named == hosts.IoTData && !strings.Contains(strings.ToLower(answer.Message), "alias"))
}

// StatusError is an answer of the endpoint that is not 200.
type StatusError struct {
	Status  int
	Message string // of the endpoint, cleaned and shortened
}

// Error returns status and message.
func (e *StatusError) Error() string {
	if e.Message == "" {
		return http.StatusText(e.Status)
	}
	return http.StatusText(e.Status) + ": " + e.Message
}

// connectionFault turns an error of dialling, TLS or reading into a sentence.
func (p *Provider) connectionFault(err error) error {
	if f := p.certificateOver(err); f != nil {
		return f
	}
	kind := neterr.Of(err)
	s := p.server().Sentence(kind)
	return health.NewFault(s.Class, codeOf(kind), err, s.Format, s.Args...)
}

func (p *Provider) server() connfault.Server {
	return connfault.Server{
		Endpoint: "credentials", Host: p.o.Endpoint, Setting: "AWS_IOT_CORE_CREDENTIAL_ENDPOINT", Now: p.o.Now(),
		DeviceCertificate: "active, attached to thing " + p.o.ThingName + ", and that AWS_IOT_CORE_CERT is the file for this account and region",
	}
}

// codeOf is the code of a failure to connect.
func codeOf(kind neterr.Kind) string {
	switch kind {
	case neterr.CertExpired:
		return codeClock
	case neterr.Untrusted, neterr.HostnameMismatch:
		return codeTrust
	case neterr.Refused:
		return codeCertificate
	default:
		return codeNetwork
	}
}

// refusedCertificate is a refusal of the device certificate, in the handshake or in an answer.
func (p *Provider) refusedCertificate(cause error) error {
	s := p.server().Sentence(neterr.Refused)
	return health.NewFault(s.Class, codeCertificate, cause, s.Format, s.Args...)
}

// certificateOver returns the fault of our own certificate when that explains a failure.
func (p *Provider) certificateOver(cause error) *health.Fault {
	chains := p.o.TLS.Certificates
	if p.o.TLS.GetClientCertificate != nil { // takes precedence over the others
		if chain, err := p.o.TLS.GetClientCertificate(&tls.CertificateRequestInfo{}); err == nil && chain != nil {
			chains = []tls.Certificate{*chain}
		}
	}
	for _, chain := range chains {
		leaf := chain.Leaf
		if leaf == nil && len(chain.Certificate) > 0 {
			leaf, _ = x509.ParseCertificate(chain.Certificate[0]) // nil when it cannot be read: no explanation then
		}
		if leaf == nil {
			continue
		}
		if now := p.o.Now(); now.After(leaf.NotAfter) {
			return health.UserFault(codeCertificate, cause, "The device certificate was valid until %s, the hub's clock says %s: renew the "+
				"certificate, or set the clock.", humanize.Time(leaf.NotAfter.UTC()), health.Varying(humanize.Time(now.UTC())))
		} else if now.Before(leaf.NotBefore) {
			return health.UserFault(codeClock, cause, "The device certificate is valid from %s, the hub's clock says %s: set the clock (NTP).",
				humanize.Time(leaf.NotBefore.UTC()), health.Varying(humanize.Time(now.UTC())))
		}
	}
	return nil
}

// skewText writes minutes, as the Date header has whole seconds and came some time ago.
func skewText(d time.Duration) string {
	if d = d.Round(time.Minute); d < time.Hour {
		return fmt.Sprintf("%d min", int(d.Minutes()))
	}
	return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
}
