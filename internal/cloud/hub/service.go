package hub

import (
	"errors"
	"net/url"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awserr"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/connfault"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/neterr"
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
func (s Service) Unreachable(host string, err error) *health.Fault {
	kind := neterr.Of(err)
	if kind == neterr.Refused && !s.Device {
		kind = neterr.Unreachable
	}
	why := connfault.Server{
		Service: s.Name, Host: host, Setting: s.Setting, DeviceCertificate: "active and of this account and region",
	}.Sentence(kind)
	return health.SystemFault(CodeCloud, err, why.Format, why.Args...)
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
		return s.Unreachable(hostOf(err), err)
	case answer.CredentialsRefused():
		return health.SystemFault(CodeCloud, err, "%s refuses the hub's credentials: check the role alias and the hub's clock.", s.Name)
	case answer.RightMissing():
		return health.UserFault(CodeCloud, err, "%s does not let the hub ask: allow the hub's role %s.", s.Name, answer.Permission(permission))
	default:
		return health.SystemFault(CodeCloud, err, "%s answers with HTTP status %d %s; the agent keeps trying.", s.Name, answer.Status,
			answer.Name)
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
