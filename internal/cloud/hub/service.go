package hub

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awserr"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/neterr"
	"github.com/kvs-edge/kvs-edge-agent/internal/settings"
)

// CodeCloud is the code of faults of asking AWS who the hub is and what it shall do.
const CodeCloud = "cloud"

// Service is one that the agent makes requests of.
type Service struct {
	Name, URL string
	Setting   string // the variable that says where it is
	Device    bool   // it asks for the device certificate
}

// Unreachable says what keeps the hub from the service, at host.
func (s Service) Unreachable(host string, err error) string {
	switch why := neterr.Of(err); {
	case why == neterr.DNS:
		return fmt.Sprintf("The name %s of %s cannot be resolved: check the hub's DNS and %s.", host, s.Name, s.Setting)
	case why == neterr.CertExpired:
		return fmt.Sprintf("The certificate of %s at %s is not valid at the hub's time: set the clock (NTP).", s.Name, host)
	case why == neterr.Untrusted:
		return fmt.Sprintf("The certificate of %s at %s is not signed by a CA that the hub trusts: check %s and %s, and whether a proxy intercepts TLS.", s.Name, host, settings.EnvCACert, settings.EnvCABundle)
	case why == neterr.HostnameMismatch:
		return fmt.Sprintf("The server at %s has a certificate for another name: correct %s.", host, s.Setting)
	case why == neterr.Refused && s.Device:
		return fmt.Sprintf("%s at %s refuses the device certificate: check that it is active and of this account and region.", s.Name, host)
	case why == neterr.Timeout:
		return fmt.Sprintf("%s at %s does not answer: check the hub's internet connection and firewall (port 443).", s.Name, host)
	default:
		return fmt.Sprintf("%s at %s cannot be reached: check the hub's internet connection and firewall (port 443).", s.Name, host)
	}
}

// Fault says what to do about an error of a request to the service; permission is what the hub's role needs to be
// answered.
func (s Service) Fault(permission string, err error) *health.Fault {
	var known *health.Fault // of the credentials, for example: it says more than we can
	if errors.As(err, &known) {
		return known
	}
	switch answer := awserr.Of(err); {
	case answer.Kind == awserr.Unreachable:
		return health.SystemFault(CodeCloud, err, "%s", s.Unreachable(hostOf(err), err))
	case answer.CredentialsRefused():
		return health.SystemFault(CodeCloud, err, "%s refuses the hub's credentials: check the role alias and the hub's clock.", s.Name)
	case answer.RightMissing():
		return health.UserFault(CodeCloud, err, "%s does not let the hub ask: allow the hub's role %s.", s.Name, answer.Permission(permission))
	default:
		return health.SystemFault(CodeCloud, err, "%s answers with HTTP status %d %s; the agent keeps trying.", s.Name, answer.Status, answer.Name)
	}
}

// hostOf is where a request went that got no answer.
func hostOf(err error) string {
	var request *url.Error
	if errors.As(err, &request) {
		if u, err := url.Parse(request.URL); err == nil && u.Host != "" {
			return u.Host
		}
	}
	return "its endpoint"
}
